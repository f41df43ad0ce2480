//! Looks again and again how the cluster's zones are handed over. Every node looks for itself and keeps what it saw to
//! itself: nothing is decided by it, people are told.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use temps_raft::Applied;
use temps_state::{DelegationSight, DomainName};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::limits::{DELEGATION_LOOK_MAX, DELEGATION_PAUSE, DELEGATION_PAUSE_WRONG};
use crate::lookup::Lookup;

/// What this node saw of how zones are handed over.
#[derive(Debug, Clone)]
pub struct Delegations {
    lookup: Lookup,
    seen: Arc<ArcSwap<BTreeMap<DomainName, DelegationSight>>>,
}

impl Delegations {
    /// Nothing yet; it is looked with the help of these resolvers.
    pub fn new(lookup: Lookup) -> Self {
        Self { lookup, seen: Arc::default() }
    }

    /// What was seen of a zone last.
    pub fn last(&self, zone: &DomainName) -> Option<DelegationSight> {
        self.seen.load().get(zone).cloned()
    }

    /// Looks at a zone now.
    pub async fn look(&self, zone: &DomainName) -> DelegationSight {
        let at = Timestamp::now();
        let looked = timeout(DELEGATION_LOOK_MAX, self.lookup.delegation(zone)).await;
        let (found, by_parent) = match looked {
            Ok(Ok((delegation, by_parent))) => (Ok(delegation), by_parent),
            Ok(Err(error)) => (Err(error.to_string()), false),
            Err(_) => (Err(format!("it took longer than {DELEGATION_LOOK_MAX:?}")), false),
        };
        let sight = DelegationSight { at, by_parent, found };
        self.seen.rcu(|seen| {
            let mut seen = BTreeMap::clone(seen);
            seen.insert(zone.clone(), sight.clone());
            seen
        });
        sight
    }

    /// Looks at every zone of the state, again and again, for as long as somebody changes the state.
    pub async fn keep(self, mut applied: watch::Receiver<Arc<Applied>>) {
        loop {
            let state = applied.borrow_and_update().clone();
            let zones = state.settings().dns.zones;
            let mut pause = DELEGATION_PAUSE;
            for zone in &zones {
                if !is_right(&state, zone, &self.look(zone).await) {
                    pause = DELEGATION_PAUSE_WRONG;
                }
            }
            self.seen.rcu(|seen| {
                let mut seen = BTreeMap::clone(seen);
                seen.retain(|zone, _| zones.contains(zone));
                seen
            });
            // The rest of the state is not kept meanwhile.
            let known = state.settings.clone();
            drop(state);
            let others = |newer: &Arc<Applied>| {
                !newer.settings.ptr_eq(&known) && newer.settings().dns.zones != zones
            };
            if let Ok(Err(_)) = timeout(pause, applied.wait_for(others)).await {
                return;
            }
        }
    }
}

fn is_right(state: &Applied, zone: &DomainName, sight: &DelegationSight) -> bool {
    let right = |found| state.delegation_faults(zone, found, sight.at).is_empty();
    sight.found.as_ref().is_ok_and(right)
}
