//! Apps that are deployed while things break: visitors see the old version or the new one, and are answered wherever a
//! healthy replica can be reached.

use std::collections::BTreeMap;
use std::time::Duration;

use super::order::{self, Change, Sighting};
use super::{Finding, Verdict, counted};
use crate::history::{FaultKind, History, Moment, Op, Operation, ReplicaSight, Sight, Trouble};

/// How long after a fault its consequences may last: others are missed, replaced, and come back.
pub(super) const GRACE: Duration = Duration::from_secs(15);

/// Judges what visitors of apps saw.
pub(super) fn check(history: &History) -> Option<Finding> {
    let mut apps: BTreeMap<&str, (Vec<Change<'_>>, Vec<Sighting<'_>>)> = BTreeMap::new();
    let mut failed: Vec<&Operation> = Vec::new();
    for by in &history.operations {
        match (&by.op, by.acknowledged()) {
            (Op::Deploy { k, v }, _) => {
                apps.entry(k).or_default().0.push(Change { version: *v, by });
            }
            (Op::Visit { k, v: Some(v) }, Some(at)) => {
                apps.entry(k).or_default().1.push(Sighting { version: *v, by, at });
            }
            // What the run's end cut off says nothing.
            (Op::Visit { .. }, None) if by.over().is_some() => failed.push(by),
            _ => {}
        }
    }
    let answered: usize = apps.values().map(|(_, seen)| seen.len()).sum();
    let deploys: usize = apps.values().map(|(changes, _)| changes.len()).sum();
    let unexcused = unexcused(history, &failed);
    let of_order = apps
        .iter()
        .map(|(app, (changes, seen))| order::judge(app, changes, seen, history))
        .find(|verdict| *verdict != Verdict::Valid);
    let verdict = match (of_order, unexcused.as_slice()) {
        (Some(verdict), _) => verdict,
        (None, []) => Verdict::Valid,
        (None, some) => Verdict::violated(
            format!(
                "{} failed though a healthy replica could be reached",
                counted(some.len(), "request")
            ),
            some.iter().copied(),
        ),
    };
    (answered + failed.len() > 0).then(|| Finding {
        name: "apps",
        promise: "Visitors get the old version or the new one and never the old one again, and no request that may be \
                  repeated fails at an edge that lives while it can reach a healthy replica.",
        looked_at: format!(
            "{} answered, {} failed during faults that excuse it, {}",
            counted(answered, "request"),
            failed.len() - unexcused.len(),
            counted(deploys, "deploy")
        ),
        verdict,
    })
}

/// Those that nothing excuses.
fn unexcused<'a>(history: &History, failed: &[&'a Operation]) -> Vec<&'a Operation> {
    let troubles = history.troubles();
    let is_unexcused = |visit: &&&Operation| {
        let since = visit.invoked.minus(GRACE);
        let until = visit.over().unwrap_or(Moment(u64::MAX));
        let near: Vec<&Trouble> = troubles
            .iter()
            .filter(|trouble| trouble.fault.kind.is_felt())
            .filter(|trouble| trouble.from <= until && trouble.to >= since)
            .collect();
        // An edge that does not live, or that clients cannot reach, answers nobody.
        let is_away = |trouble: &&Trouble| trouble.fault.hides(visit.node);
        if near.iter().any(is_away) {
            return false;
        }
        near.is_empty() || reaches_replica(history, visit, until, &near)
    };
    failed.iter().filter(is_unexcused).copied().collect()
}

/// Whether the same healthy replica was there before and after, at a machine that the edge reached all the time: its own,
/// or one that no trouble touched, as none touched the edge.
fn reaches_replica(history: &History, visit: &Operation, until: Moment, near: &[&Trouble]) -> bool {
    let of_app =
        |sight: &Sight| matches!(sight, Sight::Replicas { app, .. } if app == visit.op.key());
    let sights = || history.sights.iter().filter(|(_, sight)| of_app(sight));
    let before = sights().rfind(|(at, _)| *at <= visit.invoked);
    let after = sights().find(|(at, _)| *at >= until);
    let (Some((_, before)), Some((_, after))) = (before, after) else { return false };
    let after = healthy(after);
    let stays = |replica: &&ReplicaSight| after.iter().any(|later| later.id == replica.id);
    healthy(before).into_iter().filter(stays).any(|replica| match replica.machine {
        // An engine that starts anew ends what it ran before anybody is told.
        Some(own) if own == visit.node => !near.iter().any(|trouble| {
            trouble.fault.kind == FaultKind::KillEngine && trouble.fault.nodes.contains(&own)
        }),
        Some(other) => {
            let nodes = [other, visit.node];
            near.iter().all(|Trouble { fault, .. }| {
                fault.kind.is_local() && !nodes.iter().any(|node| fault.nodes.contains(node))
            })
        }
        None => false,
    })
}

fn healthy(sight: &Sight) -> Vec<&ReplicaSight> {
    let Sight::Replicas { replicas, .. } = sight else { return Vec::new() };
    replicas.iter().filter(|replica| replica.serves && replica.endpoint.is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;

    fn visit(v: u64) -> Op {
        Op::Visit { k: "app".into(), v: Some(v) }
    }

    fn deploy(v: u64) -> Op {
        Op::Deploy { k: "app".into(), v }
    }

    fn replicas(machine: usize, id: &str) -> Sight {
        let replica = ReplicaSight {
            id: id.into(),
            node: 1,
            machine: Some(machine),
            deployment: "dep_1".into(),
            serves: true,
            endpoint: Some("10.0.0.1:80".into()),
            leaves: false,
        };
        Sight::Replicas { app: "app".into(), wanted: 1, replicas: vec![replica] }
    }

    fn lost() -> Op {
        Op::Visit { k: "app".into(), v: None }
    }

    #[test]
    fn good_ones_are_valid() {
        for (name, made) in [
            ("during a deploy", {
                let made = Made::default().node(1).ok(0, 1, deploy(1)).ok(20, 30, deploy(2));
                made.ok(21, 22, visit(1)).ok(23, 24, visit(2)).node(2).ok(24, 25, visit(1))
            }),
            ("the edge was dead", {
                let made = Made::default().fault(10, 20, FaultKind::KillOne, &[1]).node(1);
                made.failed(15, 16, lost()).failed(22, 23, lost())
            }),
            ("the replica was cut off", {
                let made = Made::default().sight(5, replicas(2, "a")).sight(30, replicas(2, "a"));
                made.fault(10, 20, FaultKind::Halves, &[1]).node(1).failed(15, 16, lost())
            }),
            ("nobody says which links are lost", {
                let made = Made::default().sight(5, replicas(3, "a")).sight(30, replicas(3, "a"));
                made.fault(10, 20, FaultKind::OneWay, &[2]).node(1).failed(15, 16, lost())
            }),
        ] {
            assert_eq!(verdict(check, made), Verdict::Valid, "{name}");
        }
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (name, made, why) in [
            (
                "old after new",
                {
                    let made = Made::default().node(1).ok(0, 1, deploy(1)).ok(2, 9, deploy(2));
                    made.ok(3, 4, visit(2)).ok(5, 6, visit(1))
                },
                "went back",
            ),
            (
                "a version that was never deployed",
                { Made::default().node(1).ok(0, 1, deploy(1)).ok(2, 3, visit(5)) },
                "nobody made",
            ),
            (
                "a failure while all was well",
                Made::default().node(1).failed(40, 41, lost()),
                "failed",
            ),
            (
                "a failure while only the authority was away",
                {
                    let made = Made::default().fault(30, 50, FaultKind::AuthorityAway, &[1, 2]);
                    made.node(1).failed(40, 41, lost())
                },
                "failed",
            ),
            (
                "a failure beside a healthy replica",
                {
                    let made =
                        Made::default().sight(5, replicas(1, "a")).sight(30, replicas(1, "a"));
                    made.fault(10, 20, FaultKind::Halves, &[1]).node(1).failed(15, 16, lost())
                },
                "failed",
            ),
            (
                "a failure at an edge that lives while another one is dead",
                {
                    let made =
                        Made::default().sight(5, replicas(1, "a")).sight(30, replicas(1, "a"));
                    made.fault(10, 20, FaultKind::KillOne, &[2]).node(1).unknown(15, 16, lost())
                },
                "failed",
            ),
            (
                "a failure while another machine had a healthy replica",
                {
                    let made =
                        Made::default().sight(5, replicas(3, "a")).sight(30, replicas(3, "a"));
                    made.fault(10, 20, FaultKind::KillOne, &[2]).node(1).failed(15, 16, lost())
                },
                "failed",
            ),
        ] {
            match verdict(check, made) {
                Verdict::Violated { why: said, .. } => {
                    assert!(said.contains(why), "{name}: {said}")
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
