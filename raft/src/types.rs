//! The types that openraft is used with, all in one place.

use std::fmt;

use bytes::Bytes;
use openraft::type_config::alias;
use serde::{Deserialize, Serialize};
use temps_state::{Entry, Rejected, Reply, RowError, decode};

use crate::machine::Machine;

openraft::declare_raft_types!(
    /// What the log carries, and what applying it answers.
    pub TypeConfig:
        D = Payload,
        R = Answer,
        NodeId = u64,
        Node = openraft::BasicNode,
);

/// What applying an entry answers. A refused command is applied, too: it is an answer, not an error.
pub type Answer = Result<Reply, Rejected>;

pub type Fatal = openraft::errors::Fatal<TypeConfig>;
pub type LeaderId = alias::LeaderIdOf<TypeConfig>;
pub type LogEntry = alias::EntryOf<TypeConfig>;
pub type LogId = alias::LogIdOf<TypeConfig>;
pub type LogPayload = alias::PayloadOf<TypeConfig>;
pub type Raft = openraft::Raft<TypeConfig, Machine>;
pub type RaftMetrics = openraft::RaftMetrics<TypeConfig>;
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
pub type Vote = alias::VoteOf<TypeConfig>;

/// An encoded [`Entry`], opaque to Raft.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload(pub Bytes);

impl Payload {
    /// Encodes an entry.
    pub fn of(entry: &Entry) -> Self {
        Self(entry.encode().into())
    }

    /// The entry, if this version can read it.
    pub fn entry(&self) -> Result<Entry, RowError> {
        decode(&self.0)
    }

    /// The format that a node must know to read it.
    pub fn format(&self) -> u32 {
        self.0.first().copied().unwrap_or_default().into()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
