//! Finds out when a domain's owner has let it lead to the cluster. The node that leads looks, often at first and then
//! more and more rarely.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use temps_raft::{Cluster, Proposal};
use temps_state::{Actor, Domain, DomainName, State};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::domain_probe::DomainProbe;

/// How often it is looked which domains are to be looked at.
const TICK: Duration = Duration::from_secs(2);
/// How many are looked at at once.
const LOOKS_AT_ONCE: usize = 16;
/// Until which age a domain is looked at how often; the last holds from then on.
const PACES: [(Duration, Duration); 3] = [
    (Duration::from_secs(10 * 60), Duration::from_secs(5)),
    (Duration::from_secs(24 * 60 * 60), Duration::from_secs(5 * 60)),
    (Duration::MAX, Duration::from_secs(60 * 60)),
];

/// Looks at domains that nobody has seen to be the cluster's, for as long as the node runs and while it leads.
pub async fn keep_verifying(cluster: Cluster, probe: DomainProbe, cancel: CancellationToken) {
    let leading = cluster.leading();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = FuturesUnordered::new();
    let mut desk = Desk::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(name) = looks.next() => desk.put_away(name, Instant::now()),
            _ = tick.tick() => {}
        }
        if !*leading.borrow() {
            (looks, desk) = Default::default();
            continue;
        }
        let taken = desk.take_on(&cluster.state(), Instant::now(), Timestamp::now());
        looks.extend(taken.into_iter().map(|domain| async {
            verify(&cluster, &probe, &domain).await;
            domain.name
        }));
    }
}

/// Which domains are looked at, and when others were.
#[derive(Default)]
struct Desk {
    under_way: BTreeSet<DomainName>,
    looked: BTreeMap<DomainName, Instant>,
}

impl Desk {
    /// The domains to look at now: those first that were not looked at for longest, so that none that takes long keeps
    /// another one waiting for ever.
    fn take_on(&mut self, state: &State, at: Instant, now: Timestamp) -> Vec<Domain> {
        let Self { under_way, looked } = self;
        let is_open = |domain: &&Domain| domain.verified_at.is_none();
        looked.retain(|name, _| state.domains.get(name).as_ref().is_some_and(is_open));
        let rested = |domain: &&Domain| {
            let last = looked.get(&domain.name);
            last.is_none_or(|last| at.duration_since(*last) >= pace(domain, now))
        };
        let due = state.domains.values().filter(is_open).filter(rested);
        let mut due: Vec<&Domain> = due.filter(|one| !under_way.contains(&one.name)).collect();
        due.sort_by_key(|domain| looked.get(&domain.name));
        due.truncate(LOOKS_AT_ONCE.saturating_sub(under_way.len()));
        under_way.extend(due.iter().map(|domain| domain.name.clone()));
        due.into_iter().cloned().collect()
    }

    fn put_away(&mut self, name: DomainName, at: Instant) {
        self.under_way.remove(&name);
        self.looked.insert(name, at);
    }
}

async fn verify(cluster: &Cluster, probe: &DomainProbe, domain: &Domain) {
    if !probe.look(domain).await.proven {
        return;
    }
    let name = &domain.name;
    let Some((command, condition)) = cluster.state().verification_of(domain) else {
        return debug!(%name, "the domain that was looked at is gone");
    };
    let proposal = Proposal::new(Actor::Node { id: cluster.node_id() }, command);
    match cluster.propose(Proposal { condition: Some(condition), ..proposal }).await {
        Ok(_) => info!(%name, "the domain leads to this cluster"),
        Err(error) => warn!(%name, %error, "nobody could be told that the domain leads here"),
    }
}

/// How long after a look a domain is looked at again.
fn pace(domain: &Domain, now: Timestamp) -> Duration {
    // The state's time may be ahead of this node's.
    let age = Duration::try_from(now.duration_since(domain.created_at)).unwrap_or_default();
    let pace = PACES.iter().find(|(until, _)| age < *until);
    pace.map_or(PACES[PACES.len() - 1].1, |(_, pace)| *pace)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::SignedDuration;
    use temps_state::{EnvironmentId, Id};

    use super::*;

    fn domain(name: String, created_at: Timestamp) -> Domain {
        Domain {
            name: name.parse().unwrap(),
            environment: EnvironmentId::from_parts(0, 1),
            redirect: None,
            paths: BTreeMap::new(),
            proof: String::new(),
            verified_at: None,
            created_at,
        }
    }

    #[test]
    fn looks_that_take_long_keep_no_domain_waiting_for_ever() {
        let (begun, now) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut state = State::default();
        for number in 0..=LOOKS_AT_ONCE {
            let domain = domain(format!("a{number:02}.example.com"), now);
            state.domains.insert(domain.name.clone(), domain);
        }
        let mut desk = Desk::default();
        let names = |taken: Vec<Domain>| taken.into_iter().map(|one| one.name).collect::<Vec<_>>();
        let first = names(desk.take_on(&state, at(0), now));
        assert_eq!(first.len(), LOOKS_AT_ONCE);
        assert_eq!(names(desk.take_on(&state, at(2), now)), [], "all places are taken");
        for name in &first {
            desk.put_away(name.clone(), at(5));
        }
        let last: DomainName = format!("a{LOOKS_AT_ONCE}.example.com").parse().unwrap();
        let rested = names(desk.take_on(&state, at(6), now));
        assert_eq!(rested, std::slice::from_ref(&last), "the others rest");
        let next = names(desk.take_on(&state, at(10), now));
        assert_eq!((next.len(), next.contains(&last)), (LOOKS_AT_ONCE - 1, false));
    }

    #[test]
    fn a_new_domain_is_looked_at_often_and_an_old_one_rarely() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for (hours, seconds) in [(0, 5), (1, 300), (23, 300), (25, 3_600), (9_999, 3_600)] {
            let domain = domain("a.example.com".into(), now - SignedDuration::from_hours(hours));
            assert_eq!(pace(&domain, now), Duration::from_secs(seconds), "{hours} h");
        }
    }
}
