//! What the scheduler agreed on, as the state shows it: never more replicas in the routes than are wanted, and never two
//! at one place.

use std::collections::BTreeMap;

use super::{Evidence, Finding, Verdict, counted};
use crate::history::{History, Moment, ReplicaSight, Sight};

/// Judges all sights of replicas.
pub(super) fn check(history: &History) -> Option<Finding> {
    let sights = history.sights.iter().filter_map(|(at, sight)| match sight {
        Sight::Replicas { app, wanted, replicas } => Some((*at, app.as_str(), *wanted, replicas)),
        _ => None,
    });
    let sights: Vec<_> = sights.collect();
    (!sights.is_empty()).then(|| Finding {
        name: "replicas",
        promise: "A version is never in the routes with more replicas than it should have, so that a single one is there \
                  once, and no two replicas are at the same place.",
        looked_at: format!("{} at the replicas", counted(sights.len(), "look")),
        verdict: sights
            .iter()
            .find_map(|(at, app, wanted, replicas)| wrong(*at, app, *wanted, replicas))
            .unwrap_or(Verdict::Valid),
    })
}

fn wrong(at: Moment, app: &str, wanted: usize, replicas: &[ReplicaSight]) -> Option<Verdict> {
    let mut routed: BTreeMap<&str, Vec<&ReplicaSight>> = BTreeMap::new();
    // Containers' addresses are their machine's own affair.
    let mut places: BTreeMap<(u64, &str), &ReplicaSight> = BTreeMap::new();
    for replica in replicas.iter().filter(|replica| replica.serves) {
        let Some(endpoint) = &replica.endpoint else { continue };
        routed.entry(&replica.deployment).or_default().push(replica);
        if let Some(other) = places.insert((replica.node, endpoint), replica) {
            let why = format!("two replicas of {app} are at {endpoint} of node {}", replica.node);
            return Some(violated(at, why, &[other, replica]));
        }
    }
    let (deployment, some) = routed.iter().find(|(_, some)| some.len() > wanted)?;
    let why =
        format!("{} replicas of {app}, {deployment}, are routed; {wanted} are wanted", some.len());
    Some(violated(at, why, some))
}

fn violated(at: Moment, why: String, replicas: &[&ReplicaSight]) -> Verdict {
    let shown = |replica: &&ReplicaSight| {
        let ReplicaSight { id, node, deployment, endpoint, .. } = *replica;
        let endpoint = endpoint.as_deref().unwrap_or("nowhere");
        let what = format!("{id} of {deployment} on node {node} at {endpoint}");
        Evidence { from: at, to: Some(at), what }
    };
    Verdict::Violated { why, evidence: replicas.iter().map(shown).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;

    fn replica(id: &str, deployment: &str, endpoint: Option<&str>) -> ReplicaSight {
        ReplicaSight {
            id: id.into(),
            node: 1,
            machine: Some(1),
            deployment: deployment.into(),
            serves: true,
            endpoint: endpoint.map(str::to_owned),
        }
    }

    fn of(wanted: usize, replicas: &[ReplicaSight]) -> Verdict {
        let sight = Sight::Replicas { app: "app".into(), wanted, replicas: replicas.to_vec() };
        verdict(check, Made::default().sight(1, sight))
    }

    #[test]
    fn a_single_one_is_routed_once() {
        let (one, two) = (replica("a", "d1", Some("h:1")), replica("b", "d1", Some("h:2")));
        assert_eq!(of(1, &[one.clone(), replica("b", "d1", None)]), Verdict::Valid);
        assert_eq!(of(1, &[one.clone(), replica("b", "d2", Some("h:2"))]), Verdict::Valid);
        let drains = ReplicaSight { serves: false, ..two.clone() };
        assert_eq!(of(1, &[one.clone(), drains]), Verdict::Valid);
        assert!(matches!(of(1, &[one.clone(), two.clone()]), Verdict::Violated { .. }));
        assert_eq!(of(2, &[one.clone(), two]), Verdict::Valid);
        let elsewhere = ReplicaSight { node: 2, ..replica("c", "d1", Some("h:1")) };
        assert_eq!(of(2, &[one.clone(), elsewhere]), Verdict::Valid);
        assert!(matches!(
            of(2, &[one.clone(), replica("c", "d1", Some("h:1"))]),
            Verdict::Violated { .. }
        ));
    }
}
