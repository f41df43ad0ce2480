//! How often something may be asked: GCRA, the leaky bucket that keeps one time per client (ITU-T I.371). Pure.

use std::hash::Hash;
use std::time::Duration;

use temps_state::Rate;

use super::memory::{Crowded, Memory, TICKS, Tick};

/// A node's share of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// What one request takes.
    interval: Tick,
    /// How far ahead of its time a client may be.
    tolerance: Tick,
}

impl Pace {
    /// The share of one of so many edges; at least one request passes at once.
    pub(crate) fn new(rate: Rate, edges: u32) -> Self {
        let period = u64::from(rate.seconds) * TICKS * u64::from(edges.max(1));
        let interval = (period / u64::from(rate.requests.max(1))).max(1);
        let burst = u64::from((rate.burst / edges.max(1)).max(1));
        Self { interval, tolerance: interval.saturating_mul(burst - 1) }
    }

    /// As many requests as so many clients may send.
    pub(crate) fn of_many(self, clients: u32) -> Self {
        let interval = (self.interval / u64::from(clients.max(1))).max(1);
        Self { interval, tolerance: self.tolerance.saturating_add(self.interval - interval) }
    }

    /// Counts a request; else tells when the next one may come.
    pub(crate) fn count(&self, memory: &Memory, key: impl Hash, now: Tick) -> Result<(), Duration> {
        memory.change(key, now, Crowded::Forget, |known| self.next(known, now)).map(drop)
    }

    /// Until when a client is busy with what it asked for, this request included.
    fn next(&self, busy: Option<Tick>, now: Tick) -> Result<Tick, Duration> {
        let begin = busy.map_or(now, |busy| busy.max(now));
        match (begin - now).checked_sub(self.tolerance) {
            None | Some(0) => Ok(begin + self.interval),
            Some(wait) => Err(Duration::from_micros(wait * 10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(requests: u32, seconds: u32, burst: u32, edges: u32) -> Pace {
        Pace::new(Rate { requests, seconds, burst }, edges)
    }

    /// How many of many requests pass that come at once.
    fn at_once(pace: Pace) -> u32 {
        let mut busy = None;
        let mut passed = 0;
        while let Ok(next) = pace.next(busy, 1_000) {
            (busy, passed) = (Some(next), passed + 1);
            if passed > 10_000 {
                break;
            }
        }
        passed
    }

    #[test]
    fn a_burst_passes_and_then_one_by_one() {
        for (pace, burst) in [
            (pace(100, 60, 20, 1), 20),
            (pace(100, 60, 1, 1), 1),
            (pace(100, 60, 20, 3), 6),
            (pace(100, 60, 2, 5), 1),
            (pace(1, 86_400, 1, 1_000), 1),
            (pace(100, 60, 20, 1).of_many(4), 80),
            (pace(1, 60, 1, 1).of_many(4), 4),
        ] {
            assert_eq!(at_once(pace), burst, "{pace:?}");
        }
    }

    #[test]
    fn whoever_asks_too_often_hears_when_to_come_again() {
        let pace = pace(60, 60, 2, 1);
        let memory = Memory::default();
        let ask = |now| pace.count(&memory, "a", now);
        assert_eq!((ask(1), ask(1)), (Ok(()), Ok(())));
        assert_eq!(ask(1), Err(Duration::from_secs(1)));
        assert_eq!(ask(1 + TICKS / 2), Err(Duration::from_millis(500)));
        assert_eq!(ask(1 + TICKS), Ok(()));
        assert_eq!(pace.count(&memory, "b", 1), Ok(()), "another client");
    }

    proptest! {
        #[test]
        fn no_more_pass_in_a_time_than_the_rate_and_the_burst(
            requests in 1..1_000_u32, seconds in 1..100_u32, burst in 1..100_u32,
            steps in prop::collection::vec(0..TICKS, 1..300),
        ) {
            let pace = pace(requests, seconds, burst, 1);
            let (mut now, mut busy, mut passed) = (1, None, 0_u64);
            for step in steps {
                now += step;
                if let Ok(next) = pace.next(busy, now) {
                    (busy, passed) = (Some(next), passed + 1);
                }
            }
            let allowed = u64::from(burst) + now / pace.interval;
            prop_assert!(passed <= allowed, "{passed} > {allowed}");
        }
    }
}
