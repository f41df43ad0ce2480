//! Whether a history keeps what is promised. Pure: a history in, verdicts out; nothing here has seen the cluster.

mod calls;
mod certificates;
mod coverage;
mod feed;
mod linearizable;
mod names;
mod order;
mod placements;
mod registers;
mod sets;
mod soundness;
mod transactions;
mod visits;
mod wgl;

#[cfg(test)]
mod made;

use std::fmt;

use serde::Serialize;

use crate::history::{History, Moment, Op, Operation, Outcome};

pub use coverage::Demands;

/// Operations that are shown of a violation.
pub(crate) const EVIDENCE_MAX: usize = 12;

/// Whether a promise was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It was, as far as the history tells.
    Valid,
    /// It was not.
    Violated {
        /// What was seen.
        why: String,
        /// The few events that show it.
        evidence: Vec<Evidence>,
    },
    /// It cannot be said. A run with such a verdict fails, too.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// An event that shows a violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// When it began.
    pub from: Moment,
    /// When it was over; missing when nobody can say.
    pub to: Option<Moment>,
    /// Who, at which node, what.
    pub what: String,
}

/// A promise, and whether it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its short name.
    pub name: &'static str,
    /// What is promised.
    pub promise: &'static str,
    /// How much there was to look at.
    pub looked_at: String,
    /// Whether it was kept.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Finding {
    /// Whether the run may pass as far as this goes.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.verdict == Verdict::Valid
    }
}

/// A promise, and how a history is judged by it. Nothing comes back where the history says nothing about it.
type Check = fn(&History) -> Option<Finding>;

const CHECKS: [Check; 10] = [
    registers::check,
    transactions::check,
    sets::check,
    names::check,
    feed::check,
    visits::check,
    calls::check,
    placements::check,
    certificates::check,
    soundness::check,
];

/// Judges a history by everything that it says something about, and by what it was to cover.
#[must_use]
pub fn judge(history: &History, demands: &Demands) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS.iter().filter_map(|check| check(history)).collect();
    findings.push(coverage::check(history, demands));
    findings
}

impl Verdict {
    /// A violation that these operations show.
    pub(crate) fn violated<'a>(
        why: impl Into<String>,
        shown: impl IntoIterator<Item = &'a Operation>,
    ) -> Self {
        let evidence = shown.into_iter().take(EVIDENCE_MAX).map(Evidence::of).collect();
        Self::Violated { why: why.into(), evidence }
    }
}

impl Evidence {
    pub(crate) fn of(operation: &Operation) -> Self {
        let Operation { proc, node, op, invoked, outcome } = operation;
        let came = match outcome {
            Outcome::Ok { rev: Some(rev), .. } => format!("ok at entry {rev}"),
            Outcome::Ok { rev: None, .. } => "ok".into(),
            Outcome::Failed { why, .. } => format!("failed: {why}"),
            Outcome::Unknown { why, .. } => format!("unknown: {why}"),
        };
        let what = format!("process {} at n{node}: {} → {came}", proc.0, Said(op));
        Self { from: *invoked, to: operation.over(), what }
    }
}

/// An operation in words.
struct Said<'a>(&'a Op);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let k = self.0.key();
        match self.0 {
            Op::Read { v: None, .. } => write!(f, "read {k}"),
            Op::Read { v: Some(v), .. } => write!(f, "read {k} = {v}"),
            Op::Write { v, .. } => write!(f, "write {k} := {v}"),
            Op::Cas { v: [from, to], .. } => write!(f, "{k} := {to} if it is {from}"),
            Op::Add { v, .. } => write!(f, "add {v} to {k}"),
            Op::Members { v: None, .. } => write!(f, "read all of {k}"),
            Op::Members { v: Some(v), .. } => write!(f, "read all of {k}: {} elements", v.len()),
            Op::Claim { v, id: None, .. } => write!(f, "claim {v} of the name {k}"),
            Op::Claim { v, id: Some(id), .. } => write!(f, "claim {v} of the name {k}: {id}"),
            Op::Look { id: None, .. } => write!(f, "look for {k}: nobody"),
            Op::Look { id: Some(id), .. } => write!(f, "look for {k}: {id}"),
            Op::WriteMany { v, .. } => write!(f, "write {v:?} in {k}"),
            Op::ReadMany { v: None, .. } => write!(f, "read all of {k}"),
            Op::ReadMany { v: Some(v), .. } => write!(f, "read all of {k}: {v:?}"),
            Op::Lead { v, .. } => write!(f, "let {k} lead to {v}"),
            Op::Follow { v: Some(v), .. } => write!(f, "follow {k}: to {v}"),
            Op::Follow { v: None, .. } => write!(f, "follow {k}"),
            Op::Deploy { v, .. } => write!(f, "deploy version {v} of {k}"),
            Op::Visit { v: Some(v), .. } => write!(f, "visit {k}: version {v}"),
            Op::Visit { v: None, .. } => write!(f, "visit {k}"),
            Op::Call { v, .. } => write!(f, "call {v} of {k}"),
            Op::Certify { .. } => write!(f, "ask for a certificate of {k}"),
        }
    }
}

/// A count with its noun.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
