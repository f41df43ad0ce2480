//! Calls of apps that must not be done twice: no call is handled by two replicas, or twice by one, whatever happens; and
//! while all is well none is cut off, also not by a deploy.

use std::collections::{BTreeMap, BTreeSet};

use super::visits::GRACE;
use super::{Evidence, Finding, Verdict, counted};
use crate::history::{History, Moment, Op, Operation, Sight};

/// Who handled a call, and when by the engine's clock; when it was seen.
type Handlers<'a> = BTreeMap<(&'a str, &'a str), Moment>;

/// Judges all calls.
pub(super) fn check(history: &History) -> Option<Finding> {
    let is_call = |one: &&Operation| matches!(one.op, Op::Call { .. });
    let calls: Vec<&Operation> = history.operations.iter().filter(is_call).collect();
    let handled = handled(history);
    let verdict = twice(&handled).or_else(|| cut_off(history, &calls)).unwrap_or(Verdict::Valid);
    (!calls.is_empty()).then(|| Finding {
        name: "calls",
        promise: "A request that must not be repeated is handled once at most, and while all is well none is cut off, \
                  whatever is deployed.",
        looked_at: format!(
            "{}, {} answered, {} found in the app's log",
            counted(calls.len(), "call"),
            calls.iter().filter(|call| call.acknowledged().is_some()).count(),
            handled.len()
        ),
        verdict,
    })
}

/// Who handled each call.
fn handled(history: &History) -> BTreeMap<(&str, u64), Handlers<'_>> {
    let mut handled: BTreeMap<_, Handlers<'_>> = BTreeMap::new();
    for (seen, sight) in &history.sights {
        if let Sight::Handled { app, call, replica, at } = sight {
            handled.entry((app.as_str(), *call)).or_default().insert((replica, at), *seen);
        }
    }
    handled
}

fn twice(handled: &BTreeMap<(&str, u64), Handlers<'_>>) -> Option<Verdict> {
    let ((app, call), handlers) = handled.iter().find(|(_, handlers)| handlers.len() > 1)?;
    let replicas: BTreeSet<&str> = handlers.keys().map(|(replica, _)| *replica).collect();
    let by = |((replica, at), seen): (&(&str, &str), &Moment)| Evidence {
        from: *seen,
        to: None,
        what: format!("replica {replica} of {app} was called for {call} at {at}"),
    };
    Some(Verdict::Violated {
        why: format!(
            "call {call} of {app} was handled {} times, by {}",
            handlers.len(),
            counted(replicas.len(), "replica")
        ),
        evidence: handlers.iter().map(by).collect(),
    })
}

/// Whoever dies takes with it what it was doing, and nobody may do that again; without a fault nobody dies.
fn cut_off(history: &History, calls: &[&Operation]) -> Option<Verdict> {
    let troubles = history.troubles();
    let is_calm = |call: &&&Operation| {
        let (since, until) = (call.invoked.minus(GRACE), call.over().unwrap_or(history.last));
        let is_near = |from: Moment, to: Moment| from <= until && to >= since;
        let mut felt = troubles.iter().filter(|trouble| trouble.fault.kind.is_felt());
        !felt.any(|trouble| is_near(trouble.from, trouble.to))
    };
    // What the run's end cut off says nothing.
    let failed = calls.iter().filter(|call| call.acknowledged().is_none() && call.over().is_some());
    let cut: Vec<&Operation> = failed.filter(is_calm).copied().collect();
    (!cut.is_empty()).then(|| {
        let why = format!("{} did not succeed while all was well", counted(cut.len(), "call"));
        Verdict::violated(why, cut)
    })
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;
    use crate::history::FaultKind;

    fn call(v: u64) -> Op {
        Op::Call { k: "app".into(), v }
    }

    fn by(call: u64, replica: &str, at: &str) -> Sight {
        Sight::Handled { app: "app".into(), call, replica: replica.into(), at: at.into() }
    }

    #[test]
    fn good_ones_are_valid() {
        for (name, made) in [
            ("seen twice in the log", {
                Made::default()
                    .ok(1, 2, call(1))
                    .sight(3, by(1, "a", "1"))
                    .sight(4, by(1, "a", "1"))
            }),
            ("the node died", {
                let made = Made::default().fault(10, 20, FaultKind::KillOne, &[1]);
                made.unknown(15, 16, call(1)).sight(30, by(1, "a", "1"))
            }),
        ] {
            assert_eq!(verdict(check, made), Verdict::Valid, "{name}");
        }
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (name, made, why) in [
            (
                "another replica did it again",
                {
                    let made = Made::default().fault(10, 20, FaultKind::KillOne, &[1]);
                    let made = made.ok(15, 16, call(1)).sight(30, by(1, "a", "1"));
                    made.sight(31, by(1, "b", "2"))
                },
                "2 times, by 2 replicas",
            ),
            (
                "the same one did it again",
                Made::default()
                    .ok(1, 2, call(1))
                    .sight(3, by(1, "a", "1"))
                    .sight(3, by(1, "a", "2")),
                "2 times, by 1 replica",
            ),
            (
                "cut off while all was well",
                Made::default().unknown(40, 41, call(1)),
                "all was well",
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
