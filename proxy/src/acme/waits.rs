//! Orders that have waited for long enough after a failure, whatever time they name. Pure: from states and the times at which
//! they were seen.
//!
//! An order waits until a time by its worker's clock. A worker whose clock was an hour ahead would have it wait for that hour
//! more, so whoever leads also counts the wait by its own. Of its own failures it knows the clock. Of those that it finds when
//! it begins to lead it takes the latest time that the cluster knows, which is their worker's or a later one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use temps_raft::Applied;
use temps_state::{DomainName, Order};
use tokio::time::Instant;

/// Until when orders wait, by this node's own time.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Nothing before the first look.
    seen: Option<BTreeMap<DomainName, Wait>>,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    /// What its order named, and after how many failures.
    of: (Timestamp, u32),
    /// None where the time that its order names has come by a clock that may have been ahead, which tells nothing.
    until: Option<Instant>,
}

impl Waits {
    /// Looks at a state, at `clock` by the clock and at `now`; the orders that have waited for long enough.
    pub(super) fn follow(
        &mut self,
        applied: &Applied,
        clock: Timestamp,
        now: Instant,
    ) -> BTreeSet<DomainName> {
        let since = if self.seen.is_some() { clock } else { applied.at };
        let known = self.seen.take().unwrap_or_default();
        let wait = |order: &Order| {
            let of = (order.retry_at?, order.failures);
            let anew = || {
                let wait = Duration::try_from(of.0.duration_since(since)).ok();
                Wait { of, until: wait.and_then(|wait| now.checked_add(wait)) }
            };
            let wait = known.get(&order.name).copied().filter(|known| known.of == of);
            Some((order.name.clone(), wait.unwrap_or_else(anew)))
        };
        let seen: BTreeMap<_, _> = applied.orders.values().filter_map(wait).collect();
        let over = seen.iter().filter(|(_, wait)| wait.until.is_some_and(|until| until <= now));
        let over = over.map(|(name, _)| name.clone()).collect();
        self.seen = Some(seen);
        over
    }
}

#[cfg(test)]
mod tests {
    use temps_state::State;

    use super::*;

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The latest time that the cluster knows, and the time and number of a failure, in seconds.
    fn applied(at: i64, retry_at: i64, failures: u32) -> Applied {
        let mut state = State::default();
        let name: DomainName = "a.example.com".parse().unwrap();
        let retry_at = Some(moment(retry_at));
        let order = Order { retry_at, failures, ..Order::new(name.clone()) };
        state.orders.insert(name, order);
        Applied { index: 1, at: moment(at), state }
    }

    /// Looks at an order at these seconds of this node's own time, by a clock that is then at that second too.
    struct Looks {
        began: Instant,
        waits: Waits,
    }

    impl Looks {
        fn new() -> Self {
            Self { began: Instant::now(), waits: Waits::default() }
        }

        fn is_over(&mut self, applied: &Applied, second: u32) -> bool {
            let now = self.began + Duration::from_secs(second.into());
            !self.waits.follow(applied, moment(second.into()), now).is_empty()
        }
    }

    #[test]
    fn what_failed_before_by_a_clock_that_was_ahead_waits_as_long_as_was_meant() {
        let mut looks = Looks::new();
        assert!(!looks.is_over(&applied(3_600, 3_660, 1), 0));
        assert!(!looks.is_over(&applied(3_600, 3_660, 1), 59));
        assert!(!looks.is_over(&applied(3_650, 3_660, 1), 59), "from when it was seen first");
        assert!(looks.is_over(&applied(3_650, 3_660, 1), 60));
    }

    #[test]
    fn what_fails_here_waits_as_long_as_was_meant_though_another_clock_is_ahead() {
        let mut looks = Looks::new();
        looks.waits.follow(&Applied::default(), moment(0), looks.began);
        assert!(!looks.is_over(&applied(3_600, 4_000, 1), 1));
        assert!(!looks.is_over(&applied(3_600, 4_000, 1), 3_999));
        assert!(looks.is_over(&applied(3_600, 4_000, 1), 4_000));
        assert!(!looks.is_over(&applied(3_600, 9_000, 2), 4_001), "it failed again");
        assert!(looks.is_over(&applied(3_600, 9_000, 2), 9_000));
    }

    #[test]
    fn an_order_that_is_refused_until_the_same_time_again_waits_for_it() {
        let mut looks = Looks::new();
        assert!(!looks.is_over(&applied(3_600, 7_200, 1), 0));
        assert!(looks.is_over(&applied(3_600, 7_200, 1), 3_600), "before its time, once");
        assert!(!looks.is_over(&applied(3_600, 7_200, 2), 3_601));
        assert!(looks.is_over(&applied(3_600, 7_200, 2), 7_200));
    }

    #[test]
    fn a_time_that_has_come_by_a_clock_that_was_ahead_tells_nothing() {
        let mut looks = Looks::new();
        assert!(!looks.is_over(&applied(3_600, 200, 1), 0));
        assert!(!looks.is_over(&applied(3_600, 200, 1), 9_999));
    }
}
