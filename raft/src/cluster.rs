//! The one handle to what the cluster agrees on.

mod chronicle;
mod doors;
mod duties;
mod edge;
mod expected;
pub mod forward;
mod group;
mod known;
mod members;
mod propose;
pub mod quorum;
mod read;
pub mod serve;
pub mod start;
mod stop;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeSet;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use openraft::async_runtime::watch::WatchReceiver;
use temps_state::{Actor, ClusterKey, Command, JoinToken, NONCE_LEN, NodeId, SealError, Sealed};
use tokio::sync::{OnceCell, watch};

pub use group::Group;
pub use quorum::{MayLose, WouldLoseQuorum};
pub use tls::PeerTls;

use self::serve::Serving;
use crate::identity::Identity;
use crate::log::Log;
use crate::machine::Shown;
use crate::peer::{PeerError, Peers};
use crate::store::Store;
use crate::trust::{SEED_LEN, Trust, TrustError};
use crate::types::Fatal;
use crate::{
    Applied, Committed, HandOverError, PeerStatus, Proposal, ProposeError, RaftError, ReadError,
    Status,
};

/// This node's part in the group. Clones share it.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    group: Group,
    identity: Identity,
    key: ClusterKey,
    founded: bool,
    leading: watch::Receiver<bool>,
    log: Log,
    store: Store,
    shown: Shown,
    meeting: Option<Meeting>,
    stopped: OnceCell<()>,
}

/// What a node has that meets others.
struct Meeting {
    trust: Arc<Trust>,
    peers: Arc<Peers>,
    address: SocketAddr,
    serving: Mutex<Option<Serving>>,
}

impl Cluster {
    /// This node's id.
    pub fn node_id(&self) -> NodeId {
        self.inner.identity.node
    }

    /// Whether this start made a new cluster.
    pub fn founded(&self) -> bool {
        self.inner.founded
    }

    /// Puts a command in the log and answers once it is applied here. A node that does not lead hands it to the leader,
    /// once. Without a quorum it is refused within two seconds; else it takes ten seconds at most.
    pub async fn propose(&self, proposal: Proposal) -> Result<Committed, ProposeError> {
        self.inner.group.propose(proposal).await
    }

    /// Puts a command of this node's own in the log, as [`propose`](Self::propose) does.
    pub async fn propose_own(&self, command: Command) -> Result<Committed, ProposeError> {
        self.propose(Proposal::new(Actor::Node { id: self.node_id() }, command)).await
    }

    /// What this node has applied.
    pub fn state(&self) -> Arc<Applied> {
        self.inner.group.applied()
    }

    /// Tells of every change of [`state`](Self::state).
    pub fn watch(&self) -> watch::Receiver<Arc<Applied>> {
        self.inner.group.watch()
    }

    /// A state with everything that anybody was told took effect before this call, on whichever node. Takes two seconds
    /// at most.
    pub async fn read_latest(&self) -> Result<Arc<Applied>, ReadError> {
        self.inner.group.read_latest().await
    }

    /// Whether this node leads and a quorum follows it, for work that one node does for all. Another node may begin with the
    /// same a moment before a leader that was cut off hears of it.
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.inner.leading.clone()
    }

    /// The key that seals the cluster's secrets.
    pub fn key(&self) -> &ClusterKey {
        &self.inner.key
    }

    /// Seals `value` under the cluster key, with a fresh nonce, for keeping at `place`.
    pub fn seal(&self, place: &str, value: &str) -> Result<Sealed, SealError> {
        self.inner.key.seal(rand::random::<[u8; NONCE_LEN]>(), place, value)
    }

    /// Opens what was sealed for the same `place`.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<String, SealError> {
        self.inner.key.open(place, sealed)
    }

    /// How the group is.
    pub fn status(&self) -> Status {
        let metrics = self.inner.group.metrics();
        Status {
            cluster_id: self.inner.identity.cluster.clone(),
            node: self.node_id(),
            leader: metrics.current_leader.map(NodeId),
            quorum: self.inner.group.saw_quorum(),
            term: metrics.current_term,
            last_log: metrics.last_log_index.unwrap_or_default(),
            applied: self.state().index,
            members: self.inner.group.members(),
            snapshot: metrics.snapshot.map(|id| id.index),
        }
    }

    /// For how long this node has known of no quorum, since it started at most; `None` while it does.
    pub fn without_quorum_for(&self) -> Option<Duration> {
        self.inner.group.without_quorum_for()
    }

    /// The address that other nodes call; `None` for a node that stays alone.
    pub fn peer_listen_addr(&self) -> Option<SocketAddr> {
        self.inner.meeting.as_ref().map(|meeting| meeting.address)
    }

    /// How this node and the others know each other, for other connections between them.
    pub fn peers(&self) -> Option<PeerTls> {
        let meeting = self.inner.meeting.as_ref()?;
        Some(PeerTls::new(meeting.trust.clone(), meeting.peers.clone()))
    }

    /// SHA-256 of this node's public key, in hex, for [`Node::key`](temps_state::Node::key).
    pub fn fingerprint(&self) -> Option<String> {
        self.inner.meeting.as_ref().map(|meeting| meeting.trust.fingerprint())
    }

    /// Draws a join token: what to propose, and the text for whoever joins. The text is kept nowhere.
    pub fn draw_token(&self, ttl: Duration, uses: u32) -> Result<(JoinToken, String), TrustError> {
        self.token_of(rand::random(), ttl, uses)
    }

    /// As [`draw_token`](Self::draw_token), of a seed that nobody may guess: the same one gives the same text on every node.
    pub fn token_of(
        &self,
        seed: [u8; SEED_LEN],
        ttl: Duration,
        uses: u32,
    ) -> Result<(JoinToken, String), TrustError> {
        let meeting = self.inner.meeting.as_ref().ok_or(TrustError::NoAuthority)?;
        let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        // The cluster judges by the latest time that any of its clocks has told, so its life begins there.
        let now = self.state().at.max(Timestamp::now());
        meeting.trust.token_of(seed, now, ttl, uses)
    }

    /// How another node is, by its own word.
    pub async fn peer_status(&self, node: NodeId) -> Result<PeerStatus, PeerError> {
        self.inner.group.peer_status(node).await
    }

    /// Waits until every reachable node's edge has applied `index`; else tells which have not.
    pub async fn wait_edges(&self, index: u64, within: Duration) -> Result<(), Vec<NodeId>> {
        self.inner.group.wait_edges(index, within).await
    }

    /// Tells where the progress of this node's edge is seen.
    pub fn tell_edge(&self, applied: watch::Receiver<u64>) {
        self.inner.group.edge.tell(applied);
    }

    /// Gives the lead to another voter, if this node has it. Takes five seconds at most.
    pub async fn hand_over(&self) -> Result<(), HandOverError> {
        self.inner.group.hand_over().await
    }

    /// Says that this process is about to leave the node to another one, so that its silence meanwhile is no loss, for
    /// `HANDOVER_GRACE` at most. It ends when the node tells of itself again. Refused while some node does not know that
    /// command; takes as long as [`propose`](Self::propose).
    pub async fn announce_handover(&self) -> Result<(), ProposeError> {
        self.propose_own(Command::HandOverNode { id: self.node_id() }).await.map(drop)
    }

    /// Whether the cluster could still agree without a node.
    pub fn may_remove(&self, node: NodeId) -> Result<(), WouldLoseQuorum> {
        self.inner.group.may_remove(node)
    }

    /// How many more nodes the cluster may lose, in words, too.
    ///
    /// The `silent` ones count as lost, though the leader may not have missed them yet.
    pub fn may_lose(&self, silent: &BTreeSet<NodeId>) -> MayLose {
        self.inner.group.may_lose(silent)
    }

    /// Resolves when the node must stop, because it can no longer keep what it acknowledges.
    pub async fn failed(&self) -> RaftError {
        let mut metrics = self.inner.group.raft.metrics();
        loop {
            let running = metrics.borrow_watched().running_state.clone();
            match running {
                Ok(()) => {}
                Err(Fatal::Stopped) => pending().await,
                Err(fatal) => return RaftError::failed(fatal),
            }
            if metrics.changed().await.is_err() {
                return RaftError::failed(Fatal::Panicked);
            }
        }
    }
}
