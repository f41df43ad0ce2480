//! Events put together: what was asked for with what came of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ending, Event, Fault, HistoryError, Moment, Op, Process, Setup, Sight, Step, What};

/// Something that was asked for, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub proc: Process,
    /// The node that was asked.
    pub node: usize,
    /// For what; with what was found when it succeeded.
    pub op: Op,
    /// When.
    pub invoked: Moment,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok {
        /// When that was told.
        at: Moment,
        /// The log entry that the node had applied.
        rev: Option<u64>,
    },
    /// It was not done, and will not be.
    Failed {
        /// When that was told.
        at: Moment,
        /// Why.
        why: String,
    },
    /// Nobody can say.
    Unknown {
        /// When it was given up; never when the run ended before.
        at: Option<Moment>,
        /// Why.
        why: String,
    },
}

/// What a compare-and-set is told when there is something else.
pub const CHANGED: &str = "changed";
/// What a claim is told when somebody has the name.
pub const TAKEN: &str = "taken";

/// Whether a failure is an answer: what was asked for cannot be, and the client was told so at once.
#[must_use]
pub fn is_refusal(why: &str) -> bool {
    why == CHANGED || why == TAKEN
}

impl Operation {
    /// When it was answered with a success.
    #[must_use]
    pub const fn acknowledged(&self) -> Option<Moment> {
        match self.outcome {
            Outcome::Ok { at, .. } => Some(at),
            Outcome::Failed { .. } | Outcome::Unknown { .. } => None,
        }
    }

    /// Whether it may have taken effect, now or later.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        !matches!(self.outcome, Outcome::Failed { .. })
    }

    /// When it was over for whoever asked.
    #[must_use]
    pub const fn over(&self) -> Option<Moment> {
        match self.outcome {
            Outcome::Ok { at, .. } | Outcome::Failed { at, .. } => Some(at),
            Outcome::Unknown { at, .. } => at,
        }
    }

    /// The last moment at which it can have taken effect.
    #[must_use]
    pub fn until(&self) -> Moment {
        match self.outcome {
            Outcome::Ok { at, .. } | Outcome::Failed { at, .. } => at,
            Outcome::Unknown { .. } => Moment(u64::MAX),
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// What it was made of.
    pub setup: Setup,
    /// All operations, by when they were asked for.
    pub operations: Vec<Operation>,
    /// What became of faults, and when.
    pub faults: Vec<(Moment, What)>,
    /// What was seen.
    pub sights: Vec<(Moment, Sight)>,
    /// What the harness could not do.
    pub broken: Vec<String>,
    /// How it ended; missing when its end is.
    pub ending: Option<Ending>,
    /// Its last event.
    pub last: Moment,
}

/// A fault that was there, from when to when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it was.
    pub fault: Fault,
    /// Since when.
    pub from: Moment,
    /// Until when; the end of the run when it was not healed.
    pub to: Moment,
}

/// Which life of a node it is that did something between these moments: how often it has started anew before. Nobody can
/// say while it is dead or starts.
#[must_use]
pub fn life(troubles: &[Trouble], node: usize, from: Moment, to: Moment) -> Option<usize> {
    let mut lives = 0;
    for trouble in troubles {
        let Trouble { fault, from: dead, to: alive } = trouble;
        if !fault.kind.restarts() || !fault.nodes.contains(&node) || *dead > to {
            continue;
        }
        if from <= *alive {
            return None;
        }
        lives += 1;
    }
    Some(lives)
}

/// Events on their way to a history.
#[derive(Default)]
struct Reading {
    history: History,
    /// What each process has asked for last and got no end of, by its place.
    open: BTreeMap<Process, usize>,
    retired: BTreeSet<Process>,
}

impl Reading {
    fn take(&mut self, Event { at, what }: Event) -> Result<(), HistoryError> {
        self.history.last = self.history.last.max(at);
        match what {
            What::Invoke(step) => return self.invoke(at, step),
            What::Ok(Step { proc, op, rev, .. }) => {
                let done = self.end(at, proc)?;
                (done.op, done.outcome) = (op, Outcome::Ok { at, rev });
            }
            What::Fail(Step { proc, err, .. }) => {
                let why = err.unwrap_or_default();
                self.end(at, proc)?.outcome = Outcome::Failed { at, why };
            }
            What::Info(Step { proc, err, .. }) => {
                let why = err.unwrap_or_default();
                self.end(at, proc)?.outcome = Outcome::Unknown { at: Some(at), why };
                self.retired.insert(proc);
            }
            fault @ (What::Installed(_)
            | What::Healed(_)
            | What::Skipped(_)
            | What::Indeterminate(_)) => self.history.faults.push((at, fault)),
            What::Begin(setup) => self.history.setup = setup,
            What::Sight(sight) => self.history.sights.push((at, sight)),
            What::Broken { err } => self.history.broken.push(err),
            What::End(ending) => self.history.ending = Some(ending),
        }
        Ok(())
    }

    fn invoke(&mut self, at: Moment, step: Step) -> Result<(), HistoryError> {
        let Step { proc, node, op, .. } = step;
        let place = self.history.operations.len();
        if self.retired.contains(&proc) || self.open.insert(proc, place).is_some() {
            return Err(HistoryError::Busy { proc: proc.0, at });
        }
        let outcome = Outcome::Unknown { at: None, why: "the run ended".into() };
        self.history.operations.push(Operation { proc, node, op, invoked: at, outcome });
        Ok(())
    }

    fn end(&mut self, at: Moment, proc: Process) -> Result<&mut Operation, HistoryError> {
        let place = self.open.remove(&proc);
        let done = place.and_then(|place| self.history.operations.get_mut(place));
        done.ok_or(HistoryError::Unasked { proc: proc.0, at })
    }
}

impl History {
    /// Puts events together, which are in the order of their moments.
    ///
    /// # Errors
    /// When a process answers what it was not asked, or goes on though it must not.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Result<Self, HistoryError> {
        let mut reading = Reading::default();
        for event in events {
            reading.take(event)?;
        }
        Ok(reading.history)
    }

    /// The faults that were there. One that may have been made counts from when that was tried, and one of which nobody
    /// knows whether it is gone, until the end.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        let mut troubles: BTreeMap<u32, Trouble> = BTreeMap::new();
        for (at, what) in &self.faults {
            match what {
                What::Installed(fault) | What::Indeterminate(fault) => {
                    let trouble = || Trouble { fault: fault.clone(), from: *at, to: self.last };
                    troubles.entry(fault.fault).or_insert_with(trouble);
                }
                What::Healed(fault) => {
                    if let Some(trouble) = troubles.get_mut(&fault.fault) {
                        trouble.to = *at;
                        trouble.fault.replaced.clone_from(&fault.replaced);
                    }
                }
                _ => {}
            }
        }
        troubles.into_values().collect()
    }
}
