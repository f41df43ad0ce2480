//! One line of a history.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fault, Op, Sight};

/// A moment of a run: nanoseconds since it began, by the one clock of whoever drives it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// So long after the beginning.
    #[must_use]
    pub fn after(since: Duration) -> Self {
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after the beginning.
    #[must_use]
    pub const fn since_begin(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(Self::after(by).0))
    }

    /// So much earlier, but not before the beginning.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(Self::after(by).0))
    }

    /// How long after another one; nothing when it was before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.since_begin().as_secs_f64())
    }
}

/// Somebody who does one thing after the other. Whoever does not know how a change of theirs ended does nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub u32);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(rename = "t_ns")]
    pub at: Moment,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    /// The run began.
    Begin(Setup),
    /// A process is about to ask for something.
    Invoke(Step),
    /// It got what it asked for.
    Ok(Step),
    /// What it asked for was not done, and will not be.
    Fail(Step),
    /// Nobody can say: it may have been done, may be done later, or never.
    Info(Step),
    /// A fault is there.
    Installed(Fault),
    /// It is gone.
    Healed(Fault),
    /// It was not made, for a reason.
    Skipped(Fault),
    /// Whether it was made, or is gone, is not known.
    Indeterminate(Fault),
    /// What somebody who only looks has seen.
    Sight(Sight),
    /// The harness could not do its own work. Such a run proves nothing.
    Broken {
        /// What failed.
        err: String,
    },
    /// The run ended.
    End(Ending),
}

/// What a process asks for, or gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Who.
    pub proc: Process,
    /// The node that is asked.
    pub node: usize,
    /// For what; in an answer, with what it found.
    #[serde(flatten)]
    pub op: Op,
    /// The log entry that the node had applied when it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub err: Option<String>,
}

/// What a run was made of. The same seed on as many nodes for as long gives the same faults and operations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// For how long faults are made, in seconds.
    pub seconds: u64,
    /// The faults that have to be there.
    pub faults: Vec<super::FaultKind>,
    /// The faults that there were to choose from, all of which have to be there if there is time for them.
    #[serde(default)]
    pub choice: Vec<super::FaultKind>,
    /// How many operations have to be acknowledged, if somebody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// The workloads that were chosen.
    pub workloads: Vec<String>,
    /// What the nodes' binary says of itself.
    pub version: String,
    /// The digest of that binary.
    pub binary: String,
    /// When it began, by the calendar.
    pub began: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ending {
    /// How long the cluster took to be whole again once all was healed, in milliseconds; nothing when it did not.
    pub converged_ms: Option<u64>,
    /// What the nodes' logs have of panics.
    pub panics: Vec<String>,
    /// Whether somebody ended it early.
    pub interrupted: bool,
}
