//! The one handle to what the cluster agrees on.

mod duties;
mod edge;
mod expected;
pub mod forward;
mod group;
mod members;
mod propose;
pub mod quorum;
mod read;
mod serve;
mod tls;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{BasicNode, ReadPolicy, ServerState};
use temps_state::{ClusterKey, JoinToken, NONCE_LEN, NodeId, SealError, Sealed};
use tokio::sync::watch;
use tokio::time::timeout;

pub use group::Group;
pub use quorum::{MayLose, WouldLoseQuorum};
pub use tls::PeerTls;

use self::duties::member;
use self::group::leads;
use self::serve::Serving;
use crate::config::{LEAD_ALONE_TIMEOUT, raft_config};
use crate::folder::Folder;
use crate::identity::Identity;
use crate::log::Log;
use crate::machine::blocking;
use crate::network::Network;
use crate::parts::Parts;
use crate::peer::{PeerError, Peers, Port};
use crate::store::Store;
use crate::trust::{Trust, TrustError};
use crate::types::{Fatal, Raft};
use crate::{
    Applied, Committed, Config, HandOverError, PeerConfig, PeerStatus, Proposal, ProposeError,
    RaftError, ReadError, Status,
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
    meeting: Option<Meeting>,
}

/// What a node has that meets others.
struct Meeting {
    trust: Arc<Trust>,
    peers: Arc<Peers>,
    address: SocketAddr,
    serving: Mutex<Option<Serving>>,
}

impl Cluster {
    /// Opens the data folder, or founds a new group of one when it has no data.
    ///
    /// A node that is alone leads itself on return, and has applied its whole log. One that is not alone returns at
    /// once, with what it applied before, whether or not it reaches anybody.
    pub async fn start(config: Config) -> Result<Self, RaftError> {
        let Config { data_dir, peer } = config;
        let folder = Folder { root: data_dir.clone() };
        let root = data_dir.clone();
        let opening = tokio::task::spawn_blocking(move || Parts::open(root));
        let parts = opening.await.map_err(RaftError::failed)??;
        let Parts { identity, key, log, store, machine, snapshots, applied } = parts;
        let trust = open_trust(&peer, &folder, &identity, &applied, &key).await?;
        let peers = trust.clone().map(|trust| Peers::new(trust, applied.clone()));
        let port = bind(&peer).await?;

        let node = identity.node;
        let network = Network { node, peers: peers.clone() };
        let raft = Raft::new(node.0, raft_config(), network, log.clone(), machine).await;
        let raft = raft.map_err(RaftError::failed)?;
        let group = Group::new(node, data_dir, snapshots, raft.clone(), applied, peers.clone());
        let founded = identity.founded() && found(&raft, node, known_address(&peer)).await?;
        let leads = lead_if_alone(&raft, node).await?;
        let leading = watch_leading(&raft);

        let meeting = match (trust, peers, port, peer) {
            (Some(trust), Some(peers), Some(port), Some(peer)) => {
                if leads {
                    group.found_authority(&key, &identity.cluster).await?;
                }
                let address = port.address();
                let serving = Serving::start(&group, &trust, port, &peer, &key).await?;
                let serving = Mutex::new(Some(serving));
                Some(Meeting { trust, peers, address, serving })
            }
            _ => None,
        };
        let inner = Inner { group, identity, key, founded, leading, log, store, meeting };
        Ok(Self { inner: Arc::new(inner) })
    }

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

    /// Whether this node leads, for work that one node does for all.
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
        let meeting = self.inner.meeting.as_ref().ok_or(TrustError::NoAuthority)?;
        let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        meeting.trust.draw_token(Timestamp::now(), ttl, uses)
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

    /// Whether the cluster could still agree without a node.
    pub fn may_remove(&self, node: NodeId) -> Result<(), WouldLoseQuorum> {
        self.inner.group.may_remove(node)
    }

    /// How many more nodes the cluster may lose, in words, too.
    pub fn may_lose(&self) -> MayLose {
        self.inner.group.may_lose()
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

    /// Leaves off and makes everything durable.
    pub async fn stop(&self) -> Result<(), RaftError> {
        if let Some(serving) = self.inner.meeting.as_ref().and_then(Meeting::take_serving) {
            serving.stop().await;
        }
        self.inner.group.raft.shutdown().await.map_err(RaftError::failed)?;
        self.inner.log.sync().await.map_err(RaftError::failed)?;
        let store = self.inner.store.clone();
        blocking(move || store.sync()).await.map_err(RaftError::failed)
    }
}

impl Meeting {
    fn take_serving(&self) -> Option<Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn open_trust(
    peer: &Option<PeerConfig>,
    folder: &Folder,
    identity: &Identity,
    applied: &watch::Receiver<Arc<Applied>>,
    key: &ClusterKey,
) -> Result<Option<Arc<Trust>>, RaftError> {
    if peer.is_none() {
        return Ok(None);
    }
    let (folder, identity) = (folder.clone(), identity.clone());
    let (applied, key) = (applied.clone(), key.clone());
    let opening =
        tokio::task::spawn_blocking(move || Trust::open(&folder, &identity, applied, &key));
    opening.await.map_err(RaftError::failed)?.map(Some)
}

async fn bind(peer: &Option<PeerConfig>) -> Result<Option<Port>, RaftError> {
    let Some(PeerConfig { listen, .. }) = peer else { return Ok(None) };
    let port = Port::bind(*listen).await;
    port.map(Some).map_err(|source| RaftError::PeerPort { address: *listen, source })
}

/// Where others reach this node, if its settings say so.
fn known_address(peer: &Option<PeerConfig>) -> Option<SocketAddr> {
    let peer = peer.as_ref()?;
    let listens = Some(peer.listen).filter(|at| !at.ip().is_unspecified() && at.port() != 0);
    peer.advertise.or(listens)
}

/// Makes a new group with this node alone in it, unless there is one already.
async fn found(raft: &Raft, node: NodeId, address: Option<SocketAddr>) -> Result<bool, RaftError> {
    if raft.is_initialized().await.map_err(RaftError::failed)? {
        return Ok(false);
    }
    let members: BTreeMap<u64, BasicNode> = BTreeMap::from([(node.0, member(address))]);
    raft.initialize(members).await.map_err(RaftError::failed)?;
    Ok(true)
}

/// A node that is the only voter need not wait for anybody's heartbeat before it votes.
async fn lead_if_alone(raft: &Raft, node: NodeId) -> Result<bool, RaftError> {
    let voters = raft.with_raft_state(|state| {
        state.membership_state.effective().voter_ids().collect::<Vec<_>>()
    });
    if voters.await.map_err(RaftError::failed)? != [node.0] {
        return Ok(false);
    }
    if !raft.is_leader() {
        raft.trigger().elect(false).await.map_err(RaftError::failed)?;
    }
    let led = timeout(LEAD_ALONE_TIMEOUT, async {
        let leading = raft.wait(None).state(ServerState::Leader, "the only voter leads").await;
        leading.is_ok() && raft.ensure_linearizable(ReadPolicy::ReadIndex).await.is_ok()
    });
    if led.await.unwrap_or(false) {
        return Ok(true);
    }
    let running = raft.metrics().borrow_watched().running_state.clone();
    Err(running.map_or_else(RaftError::failed, |()| RaftError::NotLeading))
}

/// Follows whether this node leads, until Raft ends.
fn watch_leading(raft: &Raft) -> watch::Receiver<bool> {
    let mut metrics = raft.metrics();
    let (sender, receiver) = watch::channel(leads(&metrics.borrow_watched()));
    tokio::spawn(async move {
        while metrics.changed().await.is_ok() {
            let now = leads(&metrics.borrow_watched());
            sender.send_if_modified(|leading| std::mem::replace(leading, now) != now);
        }
        sender.send_replace(false);
    });
    receiver
}
