//! What the scheduler agreed on, as the state shows it: no more replicas in the routes than are wanted, but while one
//! takes another's place, and never two at one place.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Evidence, Finding, Verdict, counted};
use crate::history::{History, Moment, ReplicaSight, Sight};

/// How long one that takes another's place may be routed beside it: until whoever leads, or leads next, has seen it.
const TAKE_OVER_MAX: Duration = Duration::from_secs(60);

/// One look at the replicas of an app.
struct Look<'a> {
    at: Moment,
    app: &'a str,
    wanted: usize,
    replicas: &'a [ReplicaSight],
}

/// Judges all sights of replicas.
pub(super) fn check(history: &History) -> Option<Finding> {
    let looks = history.sights.iter().filter_map(|(at, sight)| match sight {
        Sight::Replicas { app, wanted, replicas } => {
            Some(Look { at: *at, app, wanted: *wanted, replicas })
        }
        _ => None,
    });
    let looks: Vec<Look<'_>> = looks.collect();
    (!looks.is_empty()).then(|| Finding {
        name: "replicas",
        promise: "A version is never in the routes with more replicas than it should have, but for the moment in which \
                  one takes another's place, and no two replicas are at the same place.",
        looked_at: format!("{} at the replicas", counted(looks.len(), "look")),
        verdict: judge(&looks),
    })
}

fn judge(looks: &[Look<'_>]) -> Verdict {
    let mut apps: BTreeMap<&str, Vec<&Look<'_>>> = BTreeMap::new();
    for look in looks {
        apps.entry(look.app).or_default().push(look);
    }
    let crowded = || apps.values().find_map(|looks| too_many(looks));
    looks.iter().find_map(two_at_one_place).or_else(crowded).unwrap_or(Verdict::Valid)
}

/// Containers' addresses are their machine's own affair.
fn two_at_one_place(look: &Look<'_>) -> Option<Verdict> {
    let mut places: BTreeMap<(u64, &str), &ReplicaSight> = BTreeMap::new();
    for replica in routed(look) {
        let endpoint = replica.endpoint.as_deref()?;
        if let Some(other) = places.insert((replica.node, endpoint), replica) {
            let why =
                format!("two replicas of {} are at {endpoint} of node {}", look.app, replica.node);
            return Some(violated(look.at, why, &[other, replica]));
        }
    }
    None
}

/// The first look with more than may be, or the first after which there were too many for too long.
fn too_many(looks: &[&Look<'_>]) -> Option<Verdict> {
    // Of each version, since when there are too many; of each replica, when it was on a drained node.
    let mut since: BTreeMap<&str, Moment> = BTreeMap::new();
    let mut left: BTreeMap<&str, Moment> = BTreeMap::new();
    for look in looks {
        let leave = look.replicas.iter().filter(|replica| replica.leaves);
        left.extend(leave.map(|replica| (replica.id.as_str(), look.at)));
        let mut crowded = by_version(look);
        crowded.retain(|_, some| some.len() > look.wanted);
        since.retain(|version, _| crowded.contains_key(version));
        for (version, some) in &crowded {
            let lasts = |since: Moment| look.at.since(since) <= TAKE_OVER_MAX;
            let gives_way = |id: &str| left.get(id).is_some_and(|at| lasts(*at));
            let stay = some.iter().filter(|replica| !gives_way(&replica.id)).count();
            // Where there are several, one more may come before another goes, so that nodes have equally many.
            let most = look.wanted + usize::from(look.wanted > 1);
            if stay > most || !lasts(*since.entry(*version).or_insert(look.at)) {
                let Look { at, app, wanted, .. } = look;
                let count = some.len();
                let why = format!(
                    "{count} replicas of {app}, {version}, are routed; {wanted} are wanted"
                );
                return Some(violated(*at, why, some));
            }
        }
    }
    None
}

fn by_version<'a>(look: &Look<'a>) -> BTreeMap<&'a str, Vec<&'a ReplicaSight>> {
    let mut versions: BTreeMap<&str, Vec<&ReplicaSight>> = BTreeMap::new();
    for replica in routed(look) {
        versions.entry(&replica.deployment).or_default().push(replica);
    }
    versions
}

fn routed<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a ReplicaSight> {
    look.replicas.iter().filter(|replica| replica.serves && replica.endpoint.is_some())
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
            leaves: false,
        }
    }

    fn sight(wanted: usize, replicas: &[ReplicaSight]) -> Sight {
        Sight::Replicas { app: "app".into(), wanted, replicas: replicas.to_vec() }
    }

    /// Looks at these seconds.
    fn of_looks<const N: usize>(wanted: usize, looks: [(u64, &[ReplicaSight]); N]) -> Verdict {
        let made = looks
            .into_iter()
            .fold(Made::default(), |made, (at, replicas)| made.sight(at, sight(wanted, replicas)));
        verdict(check, made)
    }

    fn of(wanted: usize, replicas: &[ReplicaSight]) -> Verdict {
        of_looks(wanted, [(1, replicas)])
    }

    fn is_wrong(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Violated { .. })
    }

    #[test]
    fn a_single_one_is_routed_once() {
        let (one, two) = (replica("a", "d1", Some("h:1")), replica("b", "d1", Some("h:2")));
        assert_eq!(of(1, &[one.clone(), replica("b", "d1", None)]), Verdict::Valid);
        assert_eq!(of(1, &[one.clone(), replica("b", "d2", Some("h:2"))]), Verdict::Valid);
        let drains = ReplicaSight { serves: false, ..two.clone() };
        assert_eq!(of(1, &[one.clone(), drains]), Verdict::Valid);
        assert!(is_wrong(&of(1, &[one, two])));
    }

    #[test]
    fn no_two_are_at_one_place() {
        let one = replica("a", "d1", Some("h:1"));
        assert_eq!(of(2, &[one.clone(), replica("b", "d1", Some("h:2"))]), Verdict::Valid);
        let elsewhere = ReplicaSight { node: 2, ..replica("c", "d1", Some("h:1")) };
        assert_eq!(of(2, &[one.clone(), elsewhere]), Verdict::Valid);
        assert!(is_wrong(&of(2, &[one.clone(), replica("c", "d1", Some("h:1"))])));
        assert!(is_wrong(&of(2, &[one, replica("c", "d2", Some("h:1"))])));
    }

    #[test]
    fn one_may_take_anothers_place_before_it_goes() {
        let made = |id: &str, leaves| ReplicaSight { leaves, ..replica(id, "d1", Some(id)) };
        let stay: Vec<ReplicaSight> = ["a", "b"].map(|id| made(id, false)).into();
        let with = |more: &[ReplicaSight]| [stay.as_slice(), more].concat();
        let leaving = with(&[made("c", true)]);
        let stays_on = with(&[made("c", false)]);
        let two_on = with(&[made("c", false), made("d", false)]);
        let two_leave = with(&[made("c", true), made("d", true)]);
        assert_eq!(of(2, &two_leave), Verdict::Valid, "of drained nodes");
        assert_eq!(of(2, &stays_on), Verdict::Valid, "on its way to a node with fewer");
        assert!(is_wrong(&of(2, &two_on)), "one at a time");
        assert!(is_wrong(&of(1, &stays_on[1..])), "a single one stays where it is");
        assert_eq!(of(1, &leaving[1..]), Verdict::Valid, "unless its node is drained");
        let undrained = [(1, two_leave.as_slice()), (2, two_on.as_slice())];
        assert_eq!(of_looks(2, undrained), Verdict::Valid, "their nodes are in service again");
        assert!(is_wrong(&of_looks(2, [undrained[0], (62, &two_on)])), "and they stay");
        let looks = [(1, leaving.as_slice()), (61, &leaving), (62, &leaving)];
        assert_eq!(of_looks(2, [looks[0], looks[1]]), Verdict::Valid);
        assert!(is_wrong(&of_looks(2, looks)), "for too long");
        assert_eq!(of_looks(2, [looks[0], (40, &stay), looks[2]]), Verdict::Valid, "anew");
    }
}
