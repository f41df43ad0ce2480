//! What goes into the log, and what comes back once it is applied.

use std::net::IpAddr;
use std::ops::Deref;

use jiff::Timestamp;
use temps_state::{Actor, Command, Condition, Entry, Reply, State};

/// A change that somebody asks the cluster for.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Who asks.
    pub actor: Actor,
    /// From which address.
    pub from: Option<IpAddr>,
    /// The client's idempotency key.
    pub request: Option<String>,
    /// What must hold for the command to apply.
    pub condition: Option<Condition>,
    /// What to do.
    pub command: Command,
}

impl Proposal {
    /// A proposal without address, idempotency key and condition.
    pub fn new(actor: Actor, command: Command) -> Self {
        Self { actor, from: None, request: None, condition: None, command }
    }

    pub(crate) fn into_entry(self, at: Timestamp) -> Entry {
        let Self { actor, from, request, condition, command } = self;
        Entry { at, actor, from, request, condition, command }
    }
}

/// A proposal that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The index of its log entry; [`Cluster::state`](crate::Cluster::state) is at least there.
    pub index: u64,
    /// What the command answered.
    pub reply: Reply,
}

/// The state after the log entry at `index`.
#[derive(Debug, Default)]
pub struct Applied {
    /// The index of the last applied log entry; 0 before the first.
    pub index: u64,
    /// The latest time that any entry carried, by whichever clock was ahead; the beginning of time before the first.
    pub at: Timestamp,
    /// The state.
    pub state: State,
}

impl Deref for Applied {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}
