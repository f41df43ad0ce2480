//! The periods of a run, one after the other: faults are made in them and undone.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::Field;
use super::chance::Chance;
use super::nemesis::{Nemesis, make, prove, undo};
use super::plan::{Period, Plan, Planned};
use super::watch::Known;
use crate::GroundError;
use crate::disk::Order;
use crate::history::{Fault, FaultKind, What};

/// How long a fault waits for a leader to be known.
const LEADER_MAX: Duration = Duration::from_secs(5);
/// How long it may take to see what a fault did.
const PROOF_MAX: Duration = Duration::from_secs(15);
/// How long undoing a fault may take before it is tried once more.
const UNDO_MAX: Duration = Duration::from_secs(150);

/// How many periods there are at most for faults that had no effect when they were dealt, or could not be made.
const EXTRA_PERIODS_MAX: usize = 8;

/// Makes faults.
pub(super) struct Periods<'a> {
    pub field: &'a Field,
    pub known: watch::Receiver<Known>,
    pub chance: Chance,
    /// The same, for whoever shows them.
    pub now: watch::Sender<Vec<FaultKind>>,
    /// The faults that are there, or may be.
    pub made: Vec<Fault>,
    pub count: u32,
    /// The faults that are to be made, with an effect, and were not yet.
    pub missing: BTreeSet<FaultKind>,
}

/// Something that is to be done at a moment.
#[derive(Debug, Clone, Copy)]
enum Step {
    Make(FaultKind),
    Undo(FaultKind),
}

impl Periods<'_> {
    /// Goes through all of them. Dropping it leaves faults as they are: `undo_all` is for that.
    pub async fn go(&mut self, periods: &[Period], length: Duration) {
        let mut began = Instant::now();
        for Period { from, faults, to } in periods {
            // Whatever took longer than it was given moves what follows, and does not shorten it.
            began += (began + *from).elapsed();
            for (at, step) in steps(faults) {
                sleep_until(began + at).await;
                match step {
                    Step::Make(kind) => self.make(kind).await,
                    Step::Undo(kind) if kind.lets_in() => self.undo_all().await,
                    Step::Undo(kind) => self.undo(kind).await,
                }
            }
            self.undo_all().await;
            sleep_until(began + (*to).min(length)).await;
        }
    }

    /// Goes on until every fault that is to be made was there, but not for ever.
    pub async fn go_on(&mut self) {
        for _ in 0..EXTRA_PERIODS_MAX {
            // The first of those that are missing may be one that cannot be there now, and is the last then.
            let missing: Vec<FaultKind> = self.missing.iter().copied().collect();
            let Some(&kind) = self.chance.pick(&missing) else { return };
            let period = Plan::once_more(kind, &mut self.chance);
            self.go(std::slice::from_ref(&period), period.to).await;
        }
    }

    async fn make(&mut self, kind: FaultKind) {
        self.count += 1;
        let mut fault =
            Fault { fault: self.count, kind, nodes: Vec::new(), err: None, replaced: Vec::new() };
        // Whoever the leader was has to be known again after what was before.
        let _ = timeout(LEADER_MAX, self.known.wait_for(|known| known.leader.is_some())).await;
        let leader = self.known.borrow().leader;
        let field = self.field;
        let mut nemesis = Nemesis { field, chance: &mut self.chance, leader };
        match nemesis.victims(kind) {
            Ok(nodes) => fault.nodes = nodes,
            Err(why) => {
                fault.err = Some(why.to_string());
                return field.recorder.note(What::Skipped(fault)).await;
            }
        }
        // It begins to be there before it is known to be, and whoever is interrupted has to undo it, too.
        let from = field.recorder.now();
        self.made.push(fault.clone());
        self.show();
        let what = match make(field, kind, &fault.nodes).await {
            Ok(()) => What::Installed(fault),
            Err(error) => {
                // What is half taken back is a state that no loss of power leaves.
                if let GroundError::Disk { order: Order::Lose | Order::Tear(_), .. } = &error {
                    field.recorder.note(What::Broken { err: error.to_string() }).await;
                }
                fault.err = Some(error.to_string());
                self.made.iter_mut().filter(|it| it.fault == fault.fault).for_each(|it| {
                    it.err.clone_from(&fault.err);
                });
                What::Indeterminate(fault)
            }
        };
        field.recorder.note_at(from, what).await;
    }

    async fn undo(&mut self, kind: FaultKind) {
        while let Some(place) = self.made.iter().position(|fault| fault.kind == kind) {
            self.undo_at(place).await;
        }
    }

    /// Undoes whatever is there, links first: nodes that start need each other.
    pub async fn undo_all(&mut self) {
        self.made.sort_by_key(|fault| std::cmp::Reverse(fault.kind.place()));
        while !self.made.is_empty() {
            self.undo_at(0).await;
        }
    }

    async fn undo_at(&mut self, place: usize) {
        let mut fault = self.made.remove(place);
        if fault.err.is_none() {
            self.prove(&fault).await;
        }
        let mut failed = String::new();
        for _ in 0..2 {
            match timeout(UNDO_MAX, undo(self.field, fault.kind, &fault.nodes)).await {
                Ok(Ok(replaced)) => {
                    (fault.err, fault.replaced) = (None, replaced);
                    self.field.recorder.note(What::Healed(fault)).await;
                    return self.show();
                }
                Ok(Err(error)) => failed = error.to_string(),
                Err(_) => failed = format!("it took longer than {UNDO_MAX:?}"),
            }
        }
        fault.err = Some(failed.clone());
        let err = format!("{} could not be undone: {failed}", fault.kind);
        self.field.recorder.note(What::Indeterminate(fault)).await;
        self.field.recorder.note(What::Broken { err }).await;
        self.show();
    }

    /// A fault that had no effect as far as anybody knows is noted as such, and has to come again.
    async fn prove(&mut self, fault: &Fault) {
        let proven = timeout(PROOF_MAX, prove(self.field, fault.kind, &fault.nodes)).await;
        let why = match proven {
            Ok(Ok(())) => {
                self.missing.remove(&fault.kind);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nobody could say within {PROOF_MAX:?} what it did"),
        };
        let fault = Fault { err: Some(why), ..fault.clone() };
        self.field.recorder.note(What::Indeterminate(fault)).await;
    }

    fn show(&self) {
        self.now.send_replace(self.made.iter().map(|fault| fault.kind).collect());
    }
}

/// What is to be done when, in order.
fn steps(faults: &[Planned]) -> Vec<(Duration, Step)> {
    let step = |fault: &Planned| {
        [(fault.from, Step::Make(fault.kind)), (fault.to, Step::Undo(fault.kind))]
    };
    let mut steps: Vec<_> = faults.iter().flat_map(step).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps
}
