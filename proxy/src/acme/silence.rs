//! Orders whose worker has fallen silent. Pure: from states and the times at which they were seen.
//!
//! A lease ends at a time by its worker's clock. A worker whose clock was an hour ahead when it died would keep its order for that
//! hour, so whoever leads also counts by its own clock for how long a lease has not been renewed.

use std::collections::BTreeMap;
use std::time::Duration;

use temps_state::{DomainName, NodeId, State};
use tokio::time::Instant;

/// How long a lease may go without being renewed. Longer than one lasts, so that the end which it has of itself comes first
/// where clocks are right.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(45);

/// Since when the leases of others are as they are.
#[derive(Debug, Default)]
pub(super) struct Silence {
    seen: BTreeMap<DomainName, (u64, Instant)>,
}

impl Silence {
    /// Looks at a state; the orders, with their fences, that nobody has worked on for too long though somebody has the right
    /// to.
    pub(super) fn follow(
        &mut self,
        state: &State,
        me: NodeId,
        now: Instant,
    ) -> Vec<(DomainName, u64)> {
        let leased = state.orders.values().filter_map(|order| Some((&order.name, order.lease?)));
        let others = leased.filter(|(_, lease)| lease.node != me);
        let since = |name: &DomainName, fence| match self.seen.get(name) {
            Some((known, since)) if *known == fence => *since,
            _ => now,
        };
        self.seen = others
            .map(|(name, lease)| (name.clone(), (lease.fence, since(name, lease.fence))))
            .collect();
        let silent = self.seen.iter().filter(|(_, (_, since))| now - *since >= SILENCE_MAX);
        silent.map(|(name, (fence, _))| (name.clone(), *fence)).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{Lease, Order};

    use super::*;

    fn state(node: u64, fence: u64) -> State {
        let mut state = State::default();
        let name: DomainName = "a.example.com".parse().unwrap();
        let lease = Some(Lease { node: NodeId(node), fence, until: Timestamp::MAX });
        state.orders.insert(name.clone(), Order { lease, ..Order::new(name) });
        state
    }

    #[test]
    fn a_lease_that_nobody_renews_ends_whatever_time_it_names() {
        let (began, mut silence) = (Instant::now(), Silence::default());
        let mut silent = |node, fence, seconds| {
            let now = began + Duration::from_secs(seconds);
            !silence.follow(&state(node, fence), NodeId(1), now).is_empty()
        };
        let longest = SILENCE_MAX.as_secs();
        assert!(!silent(2, 7, 0));
        assert!(!silent(2, 7, longest - 1));
        assert!(silent(2, 7, longest));
        assert!(!silent(2, 8, longest + 1), "it was renewed");
        assert!(!silent(2, 8, 2 * longest));
        assert!(silent(2, 8, 2 * longest + 1));
        assert!(!silent(1, 8, 9 * longest), "this node's own is renewed here");
        assert!(!silent(2, 8, 9 * longest), "it counts from when it is another's");
    }
}
