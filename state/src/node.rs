//! Nodes: the machines of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::{FIRST, SECOND, THIRD};
use crate::row::{Key, Value};
use crate::table::retain;
use crate::{Command, NodeId, Rejected, Reply, State};

/// The most nodes a cluster has.
pub const NODES_MAX: usize = 1_000;
/// The most labels a node has.
pub const LABELS_MAX: usize = 64;
/// The most characters of a label's name, and of its value.
pub const LABEL_CHARS_MAX: usize = 63;

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
    /// What people say about it, for placing replicas.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// SHA-256 of its public key (`SubjectPublicKeyInfo`), in hex; empty while it has none.
    #[serde(default)]
    pub key: String,
    /// Where other nodes reach it, when known.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// How far it takes part.
    #[serde(default)]
    pub standing: Standing,
    /// Since when the leader has not heard of it.
    #[serde(default)]
    pub lost_since: Option<Timestamp>,
    /// Since when one process of it hands over to the next: it is silent meanwhile, and not lost. Until it tells of
    /// itself again, or is lost for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hands_over_since: Option<Timestamp>,
    /// Since when its container engine does not answer, by its own word. Told once every node can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_away_since: Option<Timestamp>,
    /// The version of Temps that it runs.
    #[serde(default)]
    pub version: String,
    /// The newest format of the state that it knows; 0 where it told none, see [`Node::knows`].
    #[serde(default)]
    pub format: u32,
    /// The port of its edge for plain HTTP.
    #[serde(default)]
    pub http_port: Option<u16>,
    /// The port of its edge for HTTPS.
    #[serde(default)]
    pub https_port: Option<u16>,
    /// Where it answers for the cluster's zones in the DNS, if it does. Told once every node can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<SocketAddr>,
}

/// How far a node takes part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was admitted and has not told yet that it runs.
    Joining,
    /// It takes replicas.
    #[default]
    Ready,
    /// Its replicas move elsewhere, and it takes no more.
    Draining,
}

/// What a node has for containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Mebibytes of memory.
    pub memory_mib: u64,
}

impl Node {
    /// A node of which only the name is known.
    pub fn new(id: NodeId, name: impl Into<String>, joined_at: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            joined_at,
            architecture: String::new(),
            capacity: Capacity::default(),
            builds: false,
            labels: BTreeMap::new(),
            key: String::new(),
            address: None,
            standing: Standing::Ready,
            lost_since: None,
            hands_over_since: None,
            engine_away_since: None,
            version: String::new(),
            format: 0,
            http_port: None,
            https_port: None,
            dns: None,
        }
    }

    /// Whether the leader hears of it.
    pub fn is_reachable(&self) -> bool {
        self.lost_since.is_none()
    }

    /// Whether its container engine answers, as far as it has told.
    pub fn engine_answers(&self) -> bool {
        self.engine_away_since.is_none()
    }

    /// The id under which a machine that has this node's key may repeat its join. Once it has voted, whoever comes with an
    /// empty log must not: it would vote again, without what it promised the others to keep.
    pub fn readmission(&self) -> Result<NodeId, Rejected> {
        match self.standing {
            Standing::Joining => Ok(self.id),
            Standing::Ready | Standing::Draining => {
                let id = self.id;
                let why = format!(
                    "this machine is node {id} already, and what it had agreed on with the others is gone from its data \
                     folder: put that back, or `temps nodes remove {id} --force` and join with an empty data folder"
                );
                Err(invalid("node", &why))
            }
        }
    }

    /// Whether replicas may be placed on it.
    pub fn takes_replicas(&self) -> bool {
        self.standing == Standing::Ready && self.is_reachable()
    }
}

impl State {
    /// The nodes that replicas may be placed on.
    pub fn ready_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.takes_replicas())
    }

    /// A node tells what it is. What others say about it stays.
    pub(crate) fn record_node(&mut self, told: Node) -> Result<Reply, Rejected> {
        let node = match self.nodes.get(&told.id) {
            Some(known) => known.retold(told),
            None if self.nodes.is_empty() => told,
            None => return Err(Rejected::not_found("node", told.id)),
        };
        self.nodes.insert(node.id, node);
        Ok(Reply::Done)
    }

    /// Takes a node in under the log index as its id. The same key again gets the same id while the join is not over, so
    /// that it may be repeated after a crash.
    pub(crate) fn admit_node(
        &mut self,
        index: u64,
        token_key: &str,
        node: Node,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        if node.key.is_empty() {
            return Err(invalid("node", "it has no key"));
        }
        if let Some(known) = self.nodes.values().find(|known| known.key == node.key) {
            return known.readmission().map(|id| Reply::Node { id });
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(Rejected::TooMany { noun: "nodes".into(), max: NODES_MAX });
        }
        if node.knows() < self.format() {
            let (knows, needed) = (node.knows(), self.format());
            let why = format!(
                "it knows format {knows} of the state, and this cluster is at {needed}: install the \
                 version of Temps that the other nodes have"
            );
            return Err(invalid("node", &why));
        }
        check_labels(&node.labels)?;
        self.use_join_token(token_key, at)?;
        let id = NodeId(index);
        let (standing, lost_since) = (Standing::Joining, None);
        let node = Node { id, joined_at: at, standing, lost_since, ..node };
        self.nodes.insert(id, node);
        Ok(Reply::Node { id })
    }

    /// A node will be silent for a while, as another process takes it over.
    pub(crate) fn hand_over_node(&mut self, id: NodeId, at: Timestamp) -> Result<Reply, Rejected> {
        self.node(id)?.hands_over_since = Some(at);
        Ok(Reply::Done)
    }

    /// A node's container engine no longer answers it, or does again.
    pub(crate) fn report_engine(
        &mut self,
        id: NodeId,
        away: bool,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let node = self.node(id)?;
        node.engine_away_since = away.then(|| node.engine_away_since.unwrap_or(at));
        Ok(Reply::Done)
    }

    /// The leader no longer hears of a node, or does again. A handover that took until then has failed.
    pub(crate) fn set_lost(
        &mut self,
        id: NodeId,
        since: Option<Timestamp>,
    ) -> Result<Reply, Rejected> {
        let node = self.node(id)?;
        node.lost_since = since.map(|at| node.lost_since.unwrap_or(at));
        node.hands_over_since = node.hands_over_since.filter(|_| node.is_reachable());
        Ok(Reply::Done)
    }

    /// Moves a node's replicas elsewhere, or takes it back into service.
    pub(crate) fn set_draining(&mut self, id: NodeId, drains: bool) -> Result<Reply, Rejected> {
        let node = self.node(id)?;
        match (node.standing, drains) {
            (Standing::Joining, _) => return Err(Rejected::NodeJoining { id }),
            (_, true) => node.standing = Standing::Draining,
            (_, false) => node.standing = Standing::Ready,
        }
        Ok(Reply::Done)
    }

    /// Changes what people say about a node.
    pub(crate) fn label_node(
        &mut self,
        id: NodeId,
        set: BTreeMap<String, String>,
        unset: &[String],
    ) -> Result<Reply, Rejected> {
        check_labels(&set)?;
        let node = self.node(id)?;
        node.labels.retain(|name, _| !unset.contains(name));
        node.labels.extend(set);
        if node.labels.len() > LABELS_MAX {
            return Err(Rejected::TooMany { noun: "labels".into(), max: LABELS_MAX });
        }
        Ok(Reply::Done)
    }

    /// Nothing but the audit log tells of it: which version runs says the node itself.
    pub(crate) fn upgrade_node(&mut self, id: NodeId, binary: &str) -> Result<Reply, Rejected> {
        let is_digest = binary.len() == 64 && binary.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            return Err(invalid("binary", "it is named by its SHA-256, 64 hexadecimal digits"));
        }
        self.node(id).map(|_| Reply::Done)
    }

    /// Removes a node with its replicas. Its id is never given again.
    pub(crate) fn remove_node(
        &mut self,
        id: NodeId,
        beside: &BTreeSet<NodeId>,
    ) -> Result<Reply, Rejected> {
        self.node(id)?;
        if let Some(gone) = beside.iter().find(|other| !self.nodes.contains_key(*other)) {
            return Err(Rejected::Changed { row: format!("nodes/{}", gone.to_text()) });
        }
        if self.nodes.len() == 1 {
            return Err(Rejected::LastNode);
        }
        self.nodes.remove(&id);
        retain(&mut self.replicas, |_, replica| replica.node != id);
        self.forget_holder(id);
        Ok(Reply::Done)
    }

    fn node(&mut self, id: NodeId) -> Result<&mut Node, Rejected> {
        self.nodes.get_mut(&id).ok_or_else(|| Rejected::not_found("node", id))
    }
}

impl Node {
    /// What a node tells of itself, with what others said about it before.
    fn retold(&self, told: Node) -> Node {
        let key = if self.key.is_empty() { told.key } else { self.key.clone() };
        let standing = match self.standing {
            Standing::Draining => Standing::Draining,
            Standing::Joining | Standing::Ready => Standing::Ready,
        };
        Node {
            joined_at: self.joined_at,
            labels: self.labels.clone(),
            address: told.address.or(self.address),
            lost_since: self.lost_since,
            engine_away_since: self.engine_away_since,
            // Whoever tells of itself is not silent: one process has followed the other.
            hands_over_since: None,
            key,
            standing,
            ..told
        }
    }
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Rejected> {
    let fits =
        |text: &str| text.chars().count() <= LABEL_CHARS_MAX && !text.contains(char::is_whitespace);
    match labels.iter().find(|(name, value)| name.is_empty() || !fits(name) || !fits(value)) {
        Some((name, _)) => Err(invalid(
            "label",
            &format!(
                "`{name}` and its value need 1 to {LABEL_CHARS_MAX} characters without spaces"
            ),
        )),
        None => Ok(()),
    }
}

fn invalid(what: &str, why: &str) -> Rejected {
    Rejected::Invalid { what: what.into(), why: why.into() }
}

impl Value for Node {
    fn since(&self) -> u8 {
        match self {
            Self { dns: Some(_), .. } | Self { engine_away_since: Some(_), .. } => THIRD,
            Self { hands_over_since: Some(_), .. } => SECOND,
            _ => FIRST,
        }
    }
}

impl From<Node> for Command {
    fn from(node: Node) -> Self {
        Self::RecordNode { node }
    }
}
