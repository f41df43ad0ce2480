//! How much of an answer over HTTP/2 an app may send ahead of a client that takes none.
//!
//! While Pingora waits for the app to read a request, it reads no answer (cloudflare/pingora#910). An app that answers as
//! fast as it is asked reads on only while its answers fit in here, so most calls get more than apps take of a request
//! unread; and only so many at once, for what is sent ahead is held in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Octets that most calls get.
const LARGE: u32 = 8 << 20;
/// How many have so much at once: a quarter of a gibibyte in all.
const LARGE_AT_ONCE: usize = 32;
/// Octets that all others get.
const SMALL: u32 = 256 << 10;

/// How many large ones there are.
static LARGE_ONES: AtomicUsize = AtomicUsize::new(0);

/// What one call got; given back when dropped.
#[derive(Debug)]
pub(crate) enum AnswerWindow {
    /// One of the few large ones.
    Large,
    /// One of any number of small ones.
    Small,
}

impl AnswerWindow {
    /// A large one while there is one, else a small one.
    pub(crate) fn take() -> Self {
        let one_more = |ones: usize| (ones < LARGE_AT_ONCE).then_some(ones + 1);
        match LARGE_ONES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Self::Large,
            Err(_) => Self::Small,
        }
    }

    /// Its octets.
    pub(crate) fn octets(&self) -> u32 {
        match self {
            Self::Large => LARGE,
            Self::Small => SMALL,
        }
    }

    /// Which of an endpoint's connections may be used again: those that were opened with the same window.
    pub(crate) fn group_of(&self, serial: u64) -> u64 {
        match self {
            Self::Large => !serial,
            Self::Small => serial,
        }
    }
}

impl Drop for AnswerWindow {
    fn drop(&mut self) {
        if matches!(self, Self::Large) {
            LARGE_ONES.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_calls_get_a_large_window_and_give_it_back() {
        let taken: Vec<AnswerWindow> =
            (0..LARGE_AT_ONCE + 2).map(|_| AnswerWindow::take()).collect();
        let large = taken.iter().filter(|window| window.octets() == LARGE).count();
        assert_eq!((large, taken.last().map(AnswerWindow::octets)), (LARGE_AT_ONCE, Some(SMALL)));
        assert_ne!(AnswerWindow::Small.group_of(7), taken[0].group_of(7));
        drop(taken);
        assert_eq!(AnswerWindow::take().octets(), LARGE);
    }
}
