//! What edges serve follows what was changed: every edge shows a beginning of one order, and soon the end of it.

use std::collections::BTreeMap;

use super::order::{self, Change, Sighting};
use super::{Finding, Verdict, counted};
use crate::history::{History, Op};

/// Judges where edges sent visitors of domains.
pub(super) fn check(history: &History) -> Option<Finding> {
    let mut domains: BTreeMap<&str, (Vec<Change<'_>>, Vec<Sighting<'_>>)> = BTreeMap::new();
    for by in &history.operations {
        match (&by.op, by.acknowledged()) {
            (Op::Lead { k, v }, _) => {
                domains.entry(k).or_default().0.push(Change { version: *v, by });
            }
            (Op::Follow { k, v: Some(v) }, Some(at)) => {
                domains.entry(k).or_default().1.push(Sighting { version: *v, by, at });
            }
            _ => {}
        }
    }
    let changes: usize = domains.values().map(|(changes, _)| changes.len()).sum();
    let seen: usize = domains.values().map(|(_, seen)| seen.len()).sum();
    (changes > 0).then(|| Finding {
        name: "route feed",
        promise: "Every edge follows the same changes in the same order, without ever going back, and has them all \
                  soon after the last fault.",
        looked_at: format!(
            "{} of routes, {} at edges",
            counted(changes, "change"),
            counted(seen, "look")
        ),
        verdict: domains
            .iter()
            .map(|(domain, (changes, seen))| order::judge(domain, changes, seen, history))
            .find(|verdict| *verdict != Verdict::Valid)
            .unwrap_or(Verdict::Valid),
    })
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;
    use crate::history::FaultKind;

    fn lead(v: u64) -> Op {
        Op::Lead { k: "d".into(), v }
    }

    fn follow(v: u64) -> Op {
        Op::Follow { k: "d".into(), v: Some(v) }
    }

    /// Two changes, one after the other.
    fn two() -> Made {
        Made::default().ok(0, 1, lead(1)).ok(2, 3, lead(2))
    }

    #[test]
    fn good_ones_are_valid() {
        for (name, made) in [
            ("in order", two().node(1).ok(4, 5, follow(1)).ok(6, 7, follow(2))),
            ("one is skipped", two().node(1).ok(4, 5, follow(0)).ok(6, 7, follow(2))),
            ("edges differ for a while", {
                two().node(1).ok(4, 5, follow(2)).node(2).ok(6, 7, follow(1)).ok(8, 9, follow(2))
            }),
            ("an unknown change comes late", {
                let made = two().unknown(4, 5, lead(3)).ok(6, 7, lead(4)).node(1);
                made.ok(8, 9, follow(4)).ok(10, 11, follow(3))
            }),
            ("a node starts anew from its disk", {
                let made = two().node(1).ok(4, 5, follow(2)).fault(6, 8, FaultKind::KillOne, &[1]);
                made.ok(9, 10, follow(1)).ok(11, 12, follow(2))
            }),
            ("an empty node catches up before it is ready", {
                let made = two().node(1).ok(4, 5, follow(2)).fault(5, 9, FaultKind::Replace, &[1]);
                made.ok(5, 6, follow(2)).ok(7, 8, follow(1)).ok(11, 12, follow(2))
            }),
            ("late, but cut off", {
                let made = two().fault(4, 60, FaultKind::Halves, &[1]).node(1);
                made.ok(50, 51, follow(1)).ok(70, 71, follow(1)).ok(90, 91, follow(2))
            }),
        ] {
            assert_eq!(verdict(check, made), Verdict::Valid, "{name}");
        }
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (name, made, why) in [
            ("an edge goes back", two().node(1).ok(4, 5, follow(2)).ok(6, 7, follow(1)), "back"),
            (
                "two edges, two orders",
                {
                    let made = Made::default().ok(0, 9, lead(1)).ok(0, 9, lead(2)).node(1);
                    let made = made.ok(1, 2, follow(1)).ok(3, 4, follow(2)).node(2);
                    made.ok(1, 2, follow(2)).ok(3, 4, follow(1))
                },
                "no order",
            ),
            ("from nowhere", two().node(1).ok(4, 5, follow(9)), "nobody made"),
            (
                "before it was asked for",
                Made::default().node(1).ok(0, 1, follow(1)).ok(2, 3, lead(1)),
                "nobody made",
            ),
            ("an update that was lost", two().node(1).ok(40, 41, follow(1)), "still"),
            (
                "an update that was lost, seen in a circle with what was acknowledged",
                {
                    let made = two().node(1).ok(4, 5, follow(2)).unknown(5, 6, lead(3));
                    made.ok(7, 8, follow(3)).ok(9, 10, follow(2))
                },
                "back",
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
