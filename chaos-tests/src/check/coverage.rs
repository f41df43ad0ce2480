//! Whether enough happened for the other verdicts to mean something.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Finding, Verdict, counted};
use crate::history::{FaultKind, History, What};

/// What a run has to cover.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Demands {
    /// Faults that must have been there at least once.
    pub faults: Vec<FaultKind>,
    /// Acknowledged operations that there must be, of all workloads together.
    pub acknowledged: u64,
}

/// Acknowledged operations that a minute of a run is to have at least.
const ACKNOWLEDGED_PER_MINUTE: u64 = 600;
/// The same of a run that is so long that what it has to wait for has its time, too: 100,000 and more an hour.
const ACKNOWLEDGED_PER_LONG_MINUTE: u64 = 1_700;
/// From when on a run is so long.
const LONG_SECONDS: u64 = 30 * 60;

impl Demands {
    /// What a run is to cover by its own word: the faults it chose, and operations for as long as it lasted.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let seconds = history.setup.seconds;
        let is_long = seconds >= LONG_SECONDS;
        let rate = if is_long { ACKNOWLEDGED_PER_LONG_MINUTE } else { ACKNOWLEDGED_PER_MINUTE };
        let acknowledged = history.setup.acknowledged.unwrap_or(seconds * rate / 60);
        Self { faults: history.setup.faults.clone(), acknowledged }
    }
}

/// How often each fault was there for sure, with an effect.
#[must_use]
pub(crate) fn installed(history: &History) -> BTreeMap<FaultKind, usize> {
    let mut counts = BTreeMap::new();
    let unproven = history.faults.iter().filter_map(|(_, what)| match what {
        What::Indeterminate(fault) => Some(fault.fault),
        _ => None,
    });
    let unproven: BTreeSet<u32> = unproven.collect();
    for (_, what) in &history.faults {
        if let What::Installed(fault) = what
            && !unproven.contains(&fault.fault)
        {
            *counts.entry(fault.kind).or_default() += 1;
        }
    }
    counts
}

/// Judges what there is to judge.
pub(super) fn check(history: &History, demands: &Demands) -> Finding {
    let faults = installed(history);
    let acknowledged = history.operations.iter().filter(|one| one.acknowledged().is_some());
    let acknowledged = acknowledged.count() as u64;
    let missing: Vec<&str> = demands
        .faults
        .iter()
        .filter(|kind| !faults.contains_key(kind))
        .map(|kind| kind.name())
        .collect();
    let interrupted = history.ending.as_ref().is_some_and(|ending| ending.interrupted);
    let why = if interrupted {
        Some("the run was ended early".into())
    } else if acknowledged < demands.acknowledged {
        Some(format!(
            "only {acknowledged} operations were acknowledged, and {} are needed",
            demands.acknowledged
        ))
    } else if !missing.is_empty() {
        Some(format!("these faults never happened: {}", missing.join(", ")))
    } else {
        None
    };
    Finding {
        name: "coverage",
        promise: "Enough was done, and every chosen fault was there, so that the other verdicts mean something.",
        looked_at: format!(
            "{}, {} of {}",
            counted(usize::try_from(acknowledged).unwrap_or(usize::MAX), "acknowledged operation"),
            counted(faults.values().sum(), "fault"),
            counted(faults.len(), "kind")
        ),
        verdict: why.map_or(Verdict::Valid, |why| Verdict::Unknown { why }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;
    use crate::history::{Op, Setup};

    #[test]
    fn a_run_in_which_too_little_happened_fails() {
        let read = || Op::Read { k: "r".into(), v: Some(0) };
        let made = Made::default().ok(0, 1, read()).fault(2, 3, FaultKind::KillOne, &[1]);
        let verdict = |faults: &[FaultKind], acknowledged| {
            let demands = Demands { faults: faults.to_vec(), acknowledged };
            check(&made.history, &demands).verdict
        };
        assert_eq!(verdict(&[FaultKind::KillOne], 1), Verdict::Valid);
        assert!(matches!(verdict(&[FaultKind::KillOne], 2), Verdict::Unknown { .. }));
        assert!(matches!(verdict(&[FaultKind::Ring], 1), Verdict::Unknown { .. }));
    }

    #[test]
    fn a_fault_without_an_effect_was_not_there() {
        let mut made = Made::default().fault(2, 3, FaultKind::Loss, &[1]);
        assert_eq!(installed(&made.history).get(&FaultKind::Loss), Some(&1));
        let (at, What::Installed(fault)) = made.history.faults[0].clone() else { panic!() };
        made.history.faults.insert(1, (at, What::Indeterminate(fault)));
        assert_eq!(installed(&made.history).get(&FaultKind::Loss), None);
    }

    #[test]
    fn a_run_of_an_hour_is_to_have_a_hundred_thousand() {
        let needed = |seconds, acknowledged| {
            let setup = Setup { seconds, acknowledged, ..Setup::default() };
            Demands::of(&History { setup, ..History::default() }).acknowledged
        };
        assert_eq!(needed(90, None), 900);
        assert!(needed(3600, None) > 100_000);
        assert_eq!(needed(3600, Some(7)), 7);
    }
}
