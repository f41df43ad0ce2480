//! Registers: put, linearizable get and compare-and-set, each key by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::linearizable;
use super::wgl::{Object, Span};
use super::{Finding, counted};
use crate::history::{CHANGED, History, Moment, Op, Operation, Outcome};

/// A register, which holds 0 at first.
#[derive(Clone)]
struct Register;

/// What a register was asked, and how it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Read(u64),
    Write(u64),
    /// It held the first, and holds the second now.
    Set(u64, u64),
    /// It was asked to, and nobody knows what came of it.
    MaybeSet(u64, u64),
    /// It did not hold this.
    Refused(u64),
}

impl Object for Register {
    type State = u64;
    type Call = Call;

    fn fresh() -> u64 {
        0
    }

    fn step(state: &u64, call: &Call) -> Option<u64> {
        match *call {
            Call::Read(v) => (*state == v).then_some(v),
            Call::Write(v) => Some(v),
            Call::Set(from, to) => (*state == from).then_some(to),
            Call::MaybeSet(from, to) => Some(if *state == from { to } else { *state }),
            Call::Refused(from) => (*state != from).then_some(*state),
        }
    }
}

/// Judges all registers.
pub(super) fn check(history: &History) -> Option<Finding> {
    let mut registers: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        if matches!(operation.op, Op::Read { .. } | Op::Write { .. } | Op::Cas { .. }) {
            registers.entry(operation.op.key()).or_default().push(operation);
        }
    }
    let acknowledged = registers.values().flatten().filter(|one| one.acknowledged().is_some());
    let looked_at = format!(
        "{}, {}",
        counted(registers.len(), "register"),
        counted(acknowledged.count(), "acknowledged operation")
    );
    (!registers.is_empty()).then(|| Finding {
        name: "registers",
        promise: "Every register behaves as if it were in one place: each read sees the last change that was \
                  acknowledged before it, and a compare-and-set never loses one.",
        looked_at,
        verdict: linearizable::first_wrong::<Register>(&registers, spans, may_go, |key| {
            format!("no order of what was done to {key} explains what was answered")
        }),
    })
}

/// A change that nobody saw, and that no refusal may be due to, can be left out.
fn may_go(call: &Call, others: &[&Call]) -> bool {
    match *call {
        Call::Read(_) | Call::Refused(_) => true,
        Call::Write(v) | Call::Set(_, v) | Call::MaybeSet(_, v) => {
            others.iter().all(|other| match **other {
                Call::Read(seen) | Call::Set(seen, _) | Call::MaybeSet(seen, _) => seen != v,
                Call::Refused(_) => false,
                Call::Write(_) => true,
            })
        }
    }
}

/// What counts, with its place. What nobody knows the outcome of and nobody ever saw can be left out, unless a refusal
/// may be due to it: whatever explains the rest explains it without.
fn spans(operations: &[&Operation]) -> Vec<(usize, Span<Call>)> {
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    let mut refused: Option<Moment> = None;
    for operation in operations {
        match (&operation.op, &operation.outcome) {
            (Op::Read { v: Some(v), .. }, Outcome::Ok { .. }) => drop(seen.insert(*v)),
            (Op::Cas { v: [from, _], .. }, Outcome::Ok { .. } | Outcome::Unknown { .. }) => {
                seen.insert(*from);
            }
            (Op::Cas { .. }, Outcome::Failed { at, why }) if why == CHANGED => {
                refused = refused.max(Some(*at));
            }
            _ => {}
        }
    }
    let matters = |operation: &Operation, v: u64| {
        operation.acknowledged().is_some()
            || seen.contains(&v)
            || refused.is_some_and(|at| at >= operation.invoked)
    };
    let call = |operation: &Operation| match (&operation.op, &operation.outcome) {
        (Op::Read { v: Some(v), .. }, Outcome::Ok { .. }) => Some(Call::Read(*v)),
        (Op::Write { v, .. }, Outcome::Ok { .. } | Outcome::Unknown { .. }) => {
            matters(operation, *v).then_some(Call::Write(*v))
        }
        (Op::Cas { v: [from, to], .. }, Outcome::Ok { .. }) => Some(Call::Set(*from, *to)),
        (Op::Cas { v: [from, to], .. }, Outcome::Unknown { .. }) => {
            matters(operation, *to).then_some(Call::MaybeSet(*from, *to))
        }
        (Op::Cas { v: [from, _], .. }, Outcome::Failed { why, .. }) if why == CHANGED => {
            Some(Call::Refused(*from))
        }
        _ => None,
    };
    let span = |operation: &Operation| {
        let to = match operation.outcome {
            Outcome::Ok { at, .. } | Outcome::Failed { at, .. } => Some(at.0),
            Outcome::Unknown { .. } => None,
        };
        Some(Span { from: operation.invoked.0, to, call: call(operation)? })
    };
    operations.iter().enumerate().filter_map(|(place, one)| Some((place, span(one)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::made::{Made, verdict};
    use super::*;

    fn read(v: u64) -> Op {
        Op::Read { k: "r".into(), v: Some(v) }
    }

    fn write(v: u64) -> Op {
        Op::Write { k: "r".into(), v }
    }

    fn cas(from: u64, to: u64) -> Op {
        Op::Cas { k: "r".into(), v: [from, to] }
    }

    #[test]
    fn good_ones_are_valid() {
        for (name, made) in [
            ("nothing but a fresh register", Made::default().ok(0, 1, read(0))),
            ("one after the other", Made::default().ok(0, 1, write(1)).ok(2, 3, read(1))),
            ("at once, either way", Made::default().ok(0, 9, write(1)).ok(2, 3, read(0))),
            ("an unknown write, later", {
                let made = Made::default().unknown(0, 1, write(1)).ok(2, 3, read(0));
                made.ok(4, 5, read(1)).ok(6, 7, read(1))
            }),
            ("an unknown write, never", Made::default().unknown(0, 1, write(1)).ok(2, 3, read(0))),
            ("a failed write, never", Made::default().failed(0, 1, write(1)).ok(2, 3, read(0))),
            ("a set", Made::default().ok(0, 1, cas(0, 4)).ok(2, 3, read(4))),
            ("a refusal", Made::default().ok(0, 1, write(1)).changed(2, 3, cas(0, 4))),
            ("a refusal due to what nobody knows", {
                Made::default().unknown(0, 1, write(1)).changed(2, 3, cas(0, 4))
            }),
            ("an unknown set that was seen", {
                Made::default().unknown(0, 1, cas(0, 4)).ok(2, 3, cas(4, 5)).ok(4, 5, read(5))
            }),
        ] {
            assert_eq!(verdict(check, made), Verdict::Valid, "{name}");
        }
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (name, made, shown) in [
            ("a stale read", Made::default().ok(0, 1, write(1)).ok(2, 3, read(0)), 2),
            (
                "a lost write",
                {
                    let made = Made::default().ok(0, 1, write(1)).ok(2, 3, write(2));
                    made.ok(4, 5, read(1))
                },
                3,
            ),
            ("a value from nowhere", Made::default().ok(0, 1, read(7)), 1),
            (
                "a failed write that took effect",
                { Made::default().failed(0, 1, write(1)).ok(2, 3, read(1)) },
                1,
            ),
            (
                "back and forth",
                {
                    let made = Made::default().ok(0, 1, write(1)).ok(2, 9, write(2));
                    made.ok(3, 4, read(2)).ok(5, 6, read(1))
                },
                4,
            ),
            (
                "two sets from the same value",
                { Made::default().ok(0, 5, cas(0, 1)).ok(1, 6, cas(0, 2)) },
                2,
            ),
            ("a refusal without a reason", Made::default().changed(0, 1, cas(0, 1)), 1),
            (
                "a set that was refused and took effect",
                { Made::default().ok(0, 1, write(1)).changed(2, 3, cas(1, 2)).ok(4, 5, read(2)) },
                2,
            ),
            (
                "a write that was read before it was asked for",
                { Made::default().ok(0, 1, read(3)).ok(2, 3, write(3)) },
                1,
            ),
        ] {
            match verdict(check, made) {
                Verdict::Violated { evidence, .. } => {
                    assert_eq!(evidence.len(), shown, "{name}: {evidence:?}")
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn registers_are_judged_apart() {
        let other = Op::Read { k: "s".into(), v: Some(0) };
        let made = Made::default().ok(0, 1, write(1)).ok(2, 3, other);
        assert_eq!(verdict(check, made), Verdict::Valid);
    }
}
