//! Several keys changed at once. A change names keys of one group, and a read shows the whole group, so that the group is
//! one object: its history is strictly serializable exactly when it is linearizable, which the same two checkers decide.

use std::collections::{BTreeMap, BTreeSet};

use super::linearizable;
use super::wgl::{Object, Span};
use super::{Finding, counted};
use crate::history::{History, Op, Operation, Outcome, Values};

/// Keys that are changed together.
#[derive(Clone)]
struct Group;

#[derive(Debug, Clone)]
enum Call {
    Write(Values),
    Read(Values),
}

impl Object for Group {
    type State = Values;
    type Call = Call;

    fn fresh() -> Values {
        Values::new()
    }

    fn step(state: &Values, call: &Call) -> Option<Values> {
        match call {
            Call::Write(values) => {
                let mut next = state.clone();
                next.extend(values.iter().map(|(key, value)| (key.clone(), *value)));
                Some(next)
            }
            Call::Read(values) => (values == state).then(|| state.clone()),
        }
    }
}

/// Judges all groups.
pub(super) fn check(history: &History) -> Option<Finding> {
    let mut groups: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        if matches!(operation.op, Op::WriteMany { .. } | Op::ReadMany { .. }) {
            groups.entry(operation.op.key()).or_default().push(operation);
        }
    }
    let acknowledged = groups.values().flatten().filter(|one| one.acknowledged().is_some());
    let looked_at = format!(
        "{} of keys, {}",
        counted(groups.len(), "group"),
        counted(acknowledged.count(), "acknowledged transaction")
    );
    (!groups.is_empty()).then(|| Finding {
        name: "transactions",
        promise: "What changes several keys at once changes all of them at one moment or none, in one order that all \
                  readers see (strict serializability).",
        looked_at,
        verdict: linearizable::first_wrong::<Group>(&groups, spans, may_go, |key| {
            format!("no order of the transactions on {key} explains what was read")
        }),
    })
}

/// A write that nobody saw can be left out.
fn may_go(call: &Call, others: &[&Call]) -> bool {
    let Call::Write(values) = call else { return true };
    let saw = |other: &&Call| match other {
        Call::Read(seen) => seen.values().any(|value| values.values().any(|own| own == value)),
        Call::Write(_) => false,
    };
    !others.iter().any(saw)
}

/// What counts, with its place. A write that nobody knows the outcome of and nobody ever saw explains nothing.
fn spans(operations: &[&Operation]) -> Vec<(usize, Span<Call>)> {
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    for operation in operations {
        if let (Op::ReadMany { v: Some(v), .. }, Outcome::Ok { .. }) =
            (&operation.op, &operation.outcome)
        {
            seen.extend(v.values());
        }
    }
    let span = |operation: &Operation| {
        let (to, call) = match (&operation.op, &operation.outcome) {
            (Op::ReadMany { v: Some(v), .. }, Outcome::Ok { at, .. }) => {
                (Some(at.0), Call::Read(v.clone()))
            }
            (Op::WriteMany { v, .. }, Outcome::Ok { at, .. }) => {
                (Some(at.0), Call::Write(v.clone()))
            }
            (Op::WriteMany { v, .. }, Outcome::Unknown { .. })
                if v.values().any(|value| seen.contains(value)) =>
            {
                (None, Call::Write(v.clone()))
            }
            _ => return None,
        };
        Some(Span { from: operation.invoked.0, to, call })
    };
    operations.iter().enumerate().filter_map(|(place, one)| Some((place, span(one)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::made::{Made, verdict};
    use super::*;

    fn values(of: &[(&str, u64)]) -> Values {
        of.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    }

    fn read(of: &[(&str, u64)]) -> Op {
        Op::ReadMany { k: "g".into(), v: Some(values(of)) }
    }

    fn write(of: &[(&str, u64)]) -> Op {
        Op::WriteMany { k: "g".into(), v: values(of) }
    }

    #[test]
    fn good_ones_are_valid() {
        let both = Made::default().ok(0, 1, write(&[("a", 1), ("b", 2)]));
        let both = both.ok(2, 3, read(&[("a", 1), ("b", 2)]));
        assert_eq!(verdict(check, both), Verdict::Valid);
        let unknown =
            Made::default().unknown(0, 1, write(&[("a", 1), ("b", 2)])).ok(2, 3, read(&[]));
        let unknown = unknown.ok(4, 5, write(&[("b", 3)])).ok(6, 7, read(&[("a", 1), ("b", 2)]));
        assert_eq!(verdict(check, unknown), Verdict::Valid, "the unknown one came last");
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (name, made) in [
            ("a torn read", {
                let made = Made::default().ok(0, 1, write(&[("a", 1), ("b", 1)]));
                made.ok(2, 9, write(&[("a", 2), ("b", 2)])).ok(3, 4, read(&[("a", 2), ("b", 1)]))
            }),
            ("half of an unknown one", {
                let made = Made::default().unknown(0, 1, write(&[("a", 1), ("b", 1)]));
                made.ok(2, 3, read(&[("a", 1)]))
            }),
            ("two orders", {
                let made =
                    Made::default().ok(0, 20, write(&[("a", 1)])).ok(0, 20, write(&[("b", 1)]));
                let made = made.ok(1, 5, read(&[("a", 1)])).ok(1, 5, read(&[("b", 1)]));
                made.ok(21, 22, read(&[("a", 1), ("b", 1)]))
            }),
            ("a lost key", {
                let made =
                    Made::default().ok(0, 1, write(&[("a", 1)])).ok(2, 3, write(&[("b", 1)]));
                made.ok(4, 5, read(&[("b", 1)]))
            }),
        ] {
            assert!(matches!(verdict(check, made), Verdict::Violated { .. }), "{name}");
        }
    }
}
