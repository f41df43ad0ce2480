//! Sets that nothing leaves: what was acknowledged is in every later read, and nothing is that nobody added.

use std::collections::BTreeMap;

use super::{EVIDENCE_MAX, Finding, Verdict, counted};
use crate::history::{History, Moment, Op, Operation, Outcome};

/// What became of elements.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    acknowledged: usize,
    /// Not known to be added, and there.
    recovered: usize,
    /// Not known to be added, and not there.
    unknown: usize,
}

/// Judges all sets.
pub(super) fn check(history: &History) -> Option<Finding> {
    let mut sets: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        if matches!(operation.op, Op::Add { .. } | Op::Members { .. }) {
            sets.entry(operation.op.key()).or_default().push(operation);
        }
    }
    let mut tally = Tally::default();
    let judged: Vec<Verdict> =
        sets.iter().map(|(key, operations)| of_one(key, operations, &mut tally)).collect();
    let Tally { acknowledged, recovered, unknown } = tally;
    (!sets.is_empty()).then(|| Finding {
        name: "sets",
        promise: "An element whose addition was acknowledged is in every read that begins after it, to the very end; \
                  none is there that nobody added.",
        looked_at: format!(
            "{}, {acknowledged} elements acknowledged, {recovered} unknown ones there, {unknown} not",
            counted(sets.len(), "set")
        ),
        verdict: judged.into_iter().find(|one| *one != Verdict::Valid).unwrap_or(Verdict::Valid),
    })
}

fn of_one(key: &str, operations: &[&Operation], tally: &mut Tally) -> Verdict {
    let mut added: BTreeMap<u64, &Operation> = BTreeMap::new();
    let mut reads: Vec<(&Operation, &std::collections::BTreeSet<u64>, Moment)> = Vec::new();
    for operation in operations {
        match (&operation.op, &operation.outcome) {
            (Op::Add { v, .. }, _) => drop(added.insert(*v, operation)),
            (Op::Members { v: Some(v), .. }, Outcome::Ok { at, .. }) => {
                reads.push((operation, v, *at));
            }
            _ => {}
        }
    }
    reads.sort_by_key(|(_, _, at)| *at);
    let Some((last, last_seen, _)) = reads.iter().max_by_key(|(read, ..)| read.invoked) else {
        return Verdict::Unknown { why: format!("{key} was never read") };
    };
    // Since when each element is known to be in the set, and by what.
    let mut known: BTreeMap<u64, (Moment, &Operation)> = BTreeMap::new();
    for (v, add) in &added {
        known.extend(add.acknowledged().map(|at| (*v, (at, *add))));
    }
    for (read, seen, at) in &reads {
        for v in *seen {
            match added.get(v) {
                Some(add) if add.may_have_happened() && add.invoked <= *at => {}
                Some(add) => {
                    let why = format!("{v} is in {key}, though it was not added");
                    return Verdict::violated(why, [*add, *read]);
                }
                None => return Verdict::violated(format!("nobody added {v} to {key}"), [*read]),
            }
            let since = known.entry(*v).or_insert((*at, read));
            if *at < since.0 {
                *since = (*at, read);
            }
        }
    }
    for (read, seen, _) in &reads {
        let lost: Vec<_> = known
            .iter()
            .filter(|(v, (since, _))| *since < read.invoked && !seen.contains(v))
            .collect();
        if let [(first, _), ..] = lost[..] {
            let at_the_end = lost.iter().filter(|(v, _)| !last_seen.contains(v)).count();
            let why = format!(
                "{} missing from {key}, the first is {first}; {at_the_end} of them to the end",
                counted(lost.len(), "acknowledged element")
            );
            let shown = lost.iter().take(EVIDENCE_MAX - 2).map(|(_, (_, by))| *by);
            let last = (at_the_end > 0 && read.invoked != last.invoked).then_some(*last);
            return Verdict::violated(why, shown.chain([*read]).chain(last));
        }
    }
    for (v, add) in &added {
        match (&add.outcome, last_seen.contains(v)) {
            (Outcome::Ok { .. }, _) => tally.acknowledged += 1,
            (Outcome::Unknown { .. }, true) => tally.recovered += 1,
            (Outcome::Unknown { .. }, false) => tally.unknown += 1,
            (Outcome::Failed { .. }, _) => {}
        }
    }
    let since = |operation: &&&Operation| operation.acknowledged() > Some(last.invoked);
    match added.values().find(since) {
        Some(_) => Verdict::Unknown { why: format!("{key} was not read after the last addition") },
        None => Verdict::Valid,
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;

    fn add(v: u64) -> Op {
        Op::Add { k: "s".into(), v }
    }

    fn members(v: &[u64]) -> Op {
        Op::Members { k: "s".into(), v: Some(v.iter().copied().collect()) }
    }

    #[test]
    fn good_ones_are_valid() {
        let made = Made::default().ok(0, 1, add(1)).unknown(2, 3, add(2)).unknown(2, 3, add(3));
        let made = made.failed(2, 3, add(4)).ok(4, 5, members(&[1])).ok(6, 7, members(&[1, 3]));
        assert_eq!(verdict(check, made), Verdict::Valid);
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (name, made, why) in [
            ("lost", Made::default().ok(0, 1, add(1)).ok(2, 3, members(&[])), "1 acknowledged"),
            (
                "lost and found",
                {
                    let made = Made::default().ok(0, 1, add(1)).ok(2, 3, members(&[]));
                    made.ok(4, 5, members(&[1]))
                },
                "0 of them to the end",
            ),
            ("a phantom", Made::default().ok(2, 3, members(&[1])), "nobody added"),
            (
                "what was refused is there",
                { Made::default().failed(0, 1, add(1)).ok(2, 3, members(&[1])) },
                "not added",
            ),
            (
                "there and gone",
                {
                    let made = Made::default().unknown(0, 1, add(1)).ok(2, 3, members(&[1]));
                    made.ok(4, 5, members(&[]))
                },
                "missing",
            ),
            (
                "there before it was added",
                {
                    Made::default().ok(0, 1, members(&[1])).ok(2, 3, add(1)).ok(4, 5, members(&[1]))
                },
                "not added",
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

    #[test]
    fn a_set_that_was_not_read_to_the_end_proves_nothing() {
        let made = Made::default().ok(0, 1, members(&[])).ok(2, 3, add(1));
        assert!(matches!(verdict(check, made), Verdict::Unknown { .. }));
    }
}
