//! Nodes: the machines of the cluster.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Command, NodeId, Rejected, Reply, State};

/// One machine that runs `temps serve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The node's id, for ever.
    pub id: NodeId,
    /// What people call it; its host name by default.
    pub name: String,
    /// When it was admitted.
    pub joined_at: Timestamp,
    /// The processor architecture its containers need, as Docker names it: `amd64`, `arm64`.
    pub architecture: String,
    /// What its containers may use together.
    pub capacity: Capacity,
    /// Whether it may build images.
    pub builds: bool,
}

/// What a node has for containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Mebibytes of memory.
    pub memory_mib: u64,
}

impl State {
    pub(crate) fn record_node(&mut self, node: Node) -> Result<Reply, Rejected> {
        self.nodes.insert(node.id, node);
        Ok(Reply::Done)
    }
}

impl From<Node> for Command {
    fn from(node: Node) -> Self {
        Self::RecordNode { node }
    }
}
