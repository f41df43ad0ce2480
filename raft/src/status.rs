//! How the group is, as this node sees it.

use serde::Serialize;
use temps_state::NodeId;

/// How the group is, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The cluster's id, drawn when it was founded.
    pub cluster_id: String,
    /// This node.
    pub node: NodeId,
    /// The node that leads, if this node knows of one.
    pub leader: Option<NodeId>,
    /// The current term: how many elections there were, at least.
    pub term: u64,
    /// The index of the last entry in this node's log.
    pub last_log: u64,
    /// The index of the last entry applied here.
    pub applied: u64,
    /// Who belongs to the group.
    pub members: Vec<Member>,
    /// The index that the newest snapshot reaches to.
    pub snapshot: Option<u64>,
}

/// A node that belongs to the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Which node.
    pub id: NodeId,
    /// Whether it votes; a learner only follows.
    pub voter: bool,
}
