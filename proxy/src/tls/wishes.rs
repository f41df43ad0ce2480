//! Names of the preview domain that clients asked for and that there is no trusted certificate for.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::tls::minutes::Minutes;

/// How many names wait to be looked at; what comes while so many do is asked for again by the next client.
const WAITING_MAX: usize = 64;

/// Tells of each name at most once a minute, and never waits.
#[derive(Debug)]
pub(super) struct Wishes {
    told: Minutes,
    sender: mpsc::Sender<String>,
    receiver: Mutex<Option<mpsc::Receiver<String>>>,
}

impl Wishes {
    /// None yet.
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self { told: Minutes::new(), sender, receiver: Mutex::new(Some(receiver)) }
    }

    /// A client asked for a name.
    pub(super) fn note(&self, name: &str, now: Timestamp) {
        if self.told.is_first(name, now) {
            // Where nobody listens, or too many wait, it is told of again.
            let _ = self.sender.try_send(name.to_owned());
        }
    }

    /// Where the names come; for the first who asks.
    pub(super) fn take(&self) -> Option<mpsc::Receiver<String>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_of_once_a_minute_and_never_more_than_can_wait() {
        let wishes = Wishes::new();
        let mut told = wishes.take().unwrap();
        assert!(wishes.take().is_none());
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in [60, 61, 119, 120] {
            wishes.note("a.example.com", at(second));
        }
        assert_eq!(told.try_recv().ok().as_deref(), Some("a.example.com"));
        assert!(told.try_recv().is_ok() && told.try_recv().is_err(), "once in each minute");
        for n in 0..1_000 {
            wishes.note(&n.to_string(), at(600));
        }
        assert_eq!(told.len(), WAITING_MAX);
    }
}
