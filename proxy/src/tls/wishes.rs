//! Names of the preview domain that clients asked for and that there is no trusted certificate for.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use imbl::OrdMap;
use jiff::Timestamp;
use temps_state::{EnvironmentId, State};
use tokio::sync::mpsc;

use crate::tls::minutes::Minutes;

/// How many names wait to be looked at; what comes while so many do is asked for again by the next client.
const WAITING_MAX: usize = 64;

/// The names that lead to an environment: only they count, so that nobody crowds them out with others.
#[derive(Debug, Default)]
struct Ours {
    hosts: OrdMap<String, EnvironmentId>,
    domain: String,
}

/// Tells of each name at most once a minute, and never waits.
#[derive(Debug)]
pub(super) struct Wishes {
    ours: ArcSwap<Ours>,
    told: Minutes,
    sender: mpsc::Sender<String>,
    receiver: Mutex<Option<mpsc::Receiver<String>>>,
}

impl Wishes {
    /// None yet.
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self {
            ours: ArcSwap::default(),
            told: Minutes::new(),
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }

    /// Counts the names of a state.
    pub(super) fn follow(&self, state: &State) {
        let domain = state.settings().preview_domain;
        let ours = self.ours.load();
        if !ours.hosts.ptr_eq(&state.hosts) || ours.domain != domain {
            self.ours.store(Arc::new(Ours { hosts: state.hosts.clone(), domain }));
        }
    }

    /// A client asked for a name.
    pub(super) fn note(&self, name: &str, now: Timestamp) {
        if self.ours.load().has(name) && self.told.is_first(name, now) {
            // Where nobody listens, or too many wait, it is told of again.
            let _ = self.sender.try_send(name.to_owned());
        }
    }

    /// Where the names come; for the first who asks.
    pub(super) fn take(&self) -> Option<mpsc::Receiver<String>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Ours {
    fn has(&self, name: &str) -> bool {
        let parts = name.split_once('.').filter(|(_, domain)| *domain == self.domain);
        parts.is_some_and(|(label, _)| self.hosts.contains_key(label))
    }
}

#[cfg(test)]
mod tests {
    use temps_state::{Id, Settings};

    use super::*;

    fn state() -> State {
        let mut state = State::default();
        let environment = EnvironmentId::from_parts(0, 1);
        let labels = (0..1_000).map(|n| n.to_string()).chain(["a".to_owned()]);
        state.hosts = labels.map(|label| (label, environment)).collect();
        let preview_domain = "example.com".into();
        state.settings.insert(0, Settings { preview_domain, ..Settings::default() });
        state
    }

    #[test]
    fn a_name_is_told_of_once_a_minute_and_never_more_than_can_wait() {
        let wishes = Wishes::new();
        wishes.follow(&state());
        let mut told = wishes.take().unwrap();
        assert!(wishes.take().is_none());
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in [60, 61, 119, 120] {
            wishes.note("a.example.com", at(second));
        }
        assert_eq!(told.try_recv().ok().as_deref(), Some("a.example.com"));
        assert!(told.try_recv().is_ok() && told.try_recv().is_err(), "once in each minute");
        for n in 0..1_000 {
            wishes.note(&format!("{n}.example.com"), at(600));
        }
        assert_eq!(told.len(), WAITING_MAX);
    }

    #[test]
    fn names_that_lead_nowhere_crowd_nobody_out() {
        let wishes = Wishes::new();
        wishes.follow(&state());
        let mut told = wishes.take().unwrap();
        let now = Timestamp::from_second(60).unwrap();
        for n in 0..10_000 {
            wishes.note(&format!("x{n}.example.com"), now);
            wishes.note(&format!("{n}.example.org"), now);
        }
        wishes.note("a.example.com", now);
        assert_eq!(told.try_recv().ok().as_deref(), Some("a.example.com"));
    }
}
