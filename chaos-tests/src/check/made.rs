//! Histories by hand, for tests.

use std::time::Duration;

use super::{Finding, Verdict};
use crate::history::{
    Fault, FaultKind, History, Moment, Op, Operation, Outcome, Process, Sight, What,
};

/// A history in the making. Moments are seconds.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub history: History,
    node: usize,
}

pub(super) fn at(seconds: u64) -> Moment {
    Moment::after(Duration::from_secs(seconds))
}

impl Made {
    /// What comes next is asked of this node.
    pub fn node(mut self, node: usize) -> Self {
        self.node = node;
        self
    }

    pub fn ok(self, from: u64, to: u64, op: Op) -> Self {
        self.with(from, op, Outcome::Ok { at: at(to), rev: None })
    }

    pub fn failed(self, from: u64, to: u64, op: Op) -> Self {
        self.with(from, op, Outcome::Failed { at: at(to), why: "refused".into() })
    }

    pub fn changed(self, from: u64, to: u64, op: Op) -> Self {
        self.with(from, op, Outcome::Failed { at: at(to), why: crate::history::CHANGED.into() })
    }

    pub fn because(self, from: u64, to: u64, op: Op, why: &str) -> Self {
        self.with(from, op, Outcome::Failed { at: at(to), why: why.into() })
    }

    pub fn unknown(self, from: u64, to: u64, op: Op) -> Self {
        self.with(from, op, Outcome::Unknown { at: Some(at(to)), why: "no answer".into() })
    }

    fn with(mut self, from: u64, op: Op, outcome: Outcome) -> Self {
        let proc = Process(u32::try_from(self.history.operations.len()).unwrap_or_default());
        let operation = Operation { proc, node: self.node, op, invoked: at(from), outcome };
        self.history.last = self.history.last.max(operation.over().unwrap_or_default());
        self.history.operations.push(operation);
        self
    }

    /// A fault of these nodes, from when to when.
    pub fn fault(mut self, from: u64, to: u64, kind: FaultKind, nodes: &[usize]) -> Self {
        let fault = u32::try_from(self.history.faults.len()).unwrap_or_default() + 1;
        let fault = Fault { fault, kind, nodes: nodes.to_vec(), err: None, replaced: Vec::new() };
        self.history.faults.push((at(from), What::Installed(fault.clone())));
        self.history.faults.push((at(to), What::Healed(fault)));
        self.history.last = self.history.last.max(at(to));
        self
    }

    /// These nodes were lost, and others took their places.
    pub fn replaced(self, from: u64, to: u64, nodes: &[usize]) -> Self {
        let mut made = self.fault(from, to, FaultKind::Replace, nodes);
        if let Some((_, What::Healed(fault))) = made.history.faults.last_mut() {
            fault.replaced = nodes.to_vec();
        }
        made
    }

    pub fn sight(mut self, when: u64, sight: Sight) -> Self {
        self.history.sights.push((at(when), sight));
        self.history.last = self.history.last.max(at(when));
        self
    }
}

/// What a check says of a history that it has something to say about.
pub(super) fn verdict(check: fn(&History) -> Option<Finding>, made: Made) -> Verdict {
    check(&made.history).expect("there is something to look at").verdict
}
