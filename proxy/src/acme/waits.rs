//! Orders that have waited for long enough after a failure, whatever time they name. Pure: from states and the times at which
//! they were seen.
//!
//! An order waits until a time by its worker's clock. A worker whose clock was an hour ahead would have it wait for that hour
//! more, so whoever leads also counts the wait by its own: from the latest time that the cluster knows, which is that worker's
//! or a later one, to the time that the order names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use temps_raft::Applied;
use temps_state::DomainName;
use tokio::time::Instant;

/// Until when orders wait, by this node's own time.
#[derive(Debug, Default)]
pub(super) struct Waits {
    seen: BTreeMap<DomainName, (Timestamp, Instant)>,
}

impl Waits {
    /// Looks at a state; the orders that have waited for long enough. Orders whose time the cluster has reached are not among
    /// them: that time, by a clock that may have been ahead, tells nothing.
    pub(super) fn follow(&mut self, applied: &Applied, now: Instant) -> BTreeSet<DomainName> {
        let until = |name: &DomainName, retry_at: Timestamp| match self.seen.get(name) {
            Some((known, until)) if *known == retry_at => Some(*until),
            _ => {
                let wait = Duration::try_from(retry_at.duration_since(applied.at)).ok()?;
                now.checked_add(wait)
            }
        };
        let waiting = applied.orders.values().filter_map(|order| {
            let retry_at = order.retry_at?;
            Some((order.name.clone(), (retry_at, until(&order.name, retry_at)?)))
        });
        self.seen = waiting.collect();
        let over = self.seen.iter().filter(|(_, (_, until))| *until <= now);
        over.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use temps_state::{Order, State};

    use super::*;

    /// The state's time and that of a retry, in seconds.
    fn applied(at: i64, retry_at: i64) -> Applied {
        let moment = |second| Timestamp::from_second(second).unwrap();
        let mut state = State::default();
        let name: DomainName = "a.example.com".parse().unwrap();
        let retry_at = Some(moment(retry_at));
        state.orders.insert(name.clone(), Order { retry_at, ..Order::new(name) });
        Applied { index: 1, at: moment(at), state }
    }

    #[test]
    fn an_order_waits_as_long_as_its_worker_meant_whatever_its_clock_was() {
        let (began, mut waits) = (Instant::now(), Waits::default());
        let mut is_over = |at, retry_at, second| {
            let now = began + Duration::from_secs(second);
            !waits.follow(&applied(at, retry_at), now).is_empty()
        };
        assert!(!is_over(3_600, 3_660, 0));
        assert!(!is_over(3_600, 3_660, 59));
        assert!(!is_over(3_650, 3_660, 59), "counted from when it was seen first");
        assert!(is_over(3_650, 3_660, 60));
        assert!(!is_over(3_650, 3_780, 61), "it failed again");
        assert!(is_over(3_650, 3_780, 191));
        assert!(!is_over(3_650, 200, 192), "by a clock that was right while another one was ahead");
        assert!(!is_over(3_650, 200, 9_999));
    }
}
