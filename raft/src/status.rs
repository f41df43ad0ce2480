//! How the group is, as this node sees it.

use std::net::SocketAddr;

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
    /// Whether this node knows of a quorum, without which nothing can be changed.
    pub quorum: bool,
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
    /// Where other nodes reach it, when known.
    pub address: Option<SocketAddr>,
    /// The last entry that is in its log as in the leader's; known to the leader only.
    pub matched: Option<u64>,
    /// How many entries it is behind the leader; known to the leader only.
    pub lag: Option<u64>,
    /// Whether the leader hears of it.
    pub reachable: bool,
}

/// How a node is, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerStatus {
    /// The index of the last entry applied there.
    pub applied: u64,
    /// The index of the last entry in its log.
    pub last_log: u64,
    /// What its edge has applied.
    pub edge_applied: u64,
    /// Its version of Temps.
    pub version: String,
    /// Whether its disk has no room for changes.
    pub lacks_room: bool,
}
