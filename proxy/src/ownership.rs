//! Finds out when a domain's owner has let it lead to the cluster. The node that leads looks, often at first and then
//! more and more rarely.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use temps_raft::{Cluster, Proposal};
use temps_state::{Actor, Domain, DomainName};
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
    let mut looked: BTreeMap<DomainName, Instant> = BTreeMap::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        if !*leading.borrow() {
            looked.clear();
            continue;
        }
        let state = cluster.state();
        let is_open = |domain: &&Domain| domain.verified_at.is_none();
        looked.retain(|name, _| state.domains.get(name).as_ref().is_some_and(is_open));
        let now = Timestamp::now();
        let due = state.domains.values().filter(is_open).filter(|domain| {
            looked.get(&domain.name).is_none_or(|at| at.elapsed() >= pace(domain, now))
        });
        let due: Vec<Domain> = due.take(LOOKS_AT_ONCE).cloned().collect();
        looked.extend(due.iter().map(|domain| (domain.name.clone(), Instant::now())));
        let looks = due.into_iter().map(|domain| verify(&cluster, &probe, domain));
        stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE).collect::<()>().await;
    }
}

async fn verify(cluster: &Cluster, probe: &DomainProbe, domain: Domain) {
    if !probe.look(&domain).await.proven {
        return;
    }
    let name = &domain.name;
    let Some((command, condition)) = cluster.state().verification_of(&domain) else {
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
    let age = now.duration_since(domain.created_at).unsigned_abs();
    let pace = PACES.iter().find(|(until, _)| age < *until);
    pace.map_or(PACES[PACES.len() - 1].1, |(_, pace)| *pace)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::SignedDuration;
    use temps_state::{EnvironmentId, Id};

    use super::*;

    #[test]
    fn a_new_domain_is_looked_at_often_and_an_old_one_rarely() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for (hours, seconds) in [(0, 5), (1, 300), (23, 300), (25, 3_600), (9_999, 3_600)] {
            let domain = Domain {
                name: "a.example.com".parse().unwrap(),
                environment: EnvironmentId::from_parts(0, 1),
                redirect: None,
                paths: BTreeMap::new(),
                proof: String::new(),
                verified_at: None,
                created_at: now - SignedDuration::from_hours(hours),
            };
            assert_eq!(pace(&domain, now), Duration::from_secs(seconds), "{hours} h");
        }
    }
}
