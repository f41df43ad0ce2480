//! When a node that could not be reached may be tried again.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
/// So that a node that is back is not refused for long.
const LONGEST: Duration = Duration::from_secs(1);

/// Failures in a row, and what follows from them.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
}

impl Backoff {
    /// How long to wait still; `None` when the node may be tried.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.not_before?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// The attempt failed.
    pub(crate) fn fail(&mut self, now: Instant) {
        let pause = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
    }

    /// The node was reached, or is elsewhere now.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_end_with_a_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait(now), None);
        for pause in [50, 100, 200, 400, 800, 1000, 1000] {
            backoff.fail(now);
            assert_eq!(backoff.wait(now), Some(Duration::from_millis(pause)));
            assert_eq!(backoff.wait(now + Duration::from_millis(pause)), None);
        }
        backoff.reset();
        assert_eq!(backoff.wait(now), None);
    }

    #[test]
    fn no_number_of_failures_makes_it_longer() {
        let now = Instant::now();
        let mut backoff = Backoff { failures: u32::MAX, not_before: None };
        backoff.fail(now);
        assert_eq!(backoff.wait(now), Some(LONGEST));
    }
}
