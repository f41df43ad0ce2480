//! The one handle to what the cluster agrees on.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError as OpenraftError};
use openraft::{BasicNode, ReadPolicy, ServerState};
use temps_state::{ClusterKey, NONCE_LEN, NodeId, SealError, Sealed};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{
    ENTRY_BYTES_MAX, LEAD_ALONE_TIMEOUT, LEADER_WAIT, PROPOSALS_MAX, PROPOSE_TIMEOUT, READ_TIMEOUT,
    raft_config,
};
use crate::identity::Identity;
use crate::log::Log;
use crate::machine::blocking;
use crate::network::Nobody;
use crate::parts::Parts;
use crate::room::ensure_room;
use crate::store::Store;
use crate::types::{Fatal, Payload, Raft, RaftMetrics};
use crate::{
    Applied, Committed, Config, Member, Proposal, ProposeError, RaftError, ReadError, Status,
};

/// This node's part in the group. Clones share it.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    data_dir: PathBuf,
    raft: Raft,
    identity: Identity,
    key: ClusterKey,
    founded: bool,
    applied: watch::Receiver<Arc<Applied>>,
    leading: watch::Receiver<bool>,
    proposals: Semaphore,
    log: Log,
    store: Store,
}

impl Cluster {
    /// Opens the data folder, or founds a new group of one when it has no data.
    ///
    /// A node that is alone leads itself on return, and has applied its whole log.
    pub async fn start(config: Config) -> Result<Self, RaftError> {
        let data_dir = config.data_dir.clone();
        let opening = tokio::task::spawn_blocking(move || Parts::open(config.data_dir));
        let parts = opening.await.map_err(RaftError::failed)??;
        let Parts { identity, key, log, store, machine, applied } = parts;
        let node = identity.node.0;
        let raft = Raft::new(node, raft_config(), Nobody, log.clone(), machine).await;
        let raft = raft.map_err(RaftError::failed)?;
        let founded = found(&raft, node).await?;
        lead_if_alone(&raft, node).await?;
        let leading = watch_leading(&raft);
        let proposals = Semaphore::new(PROPOSALS_MAX);
        let inner = Inner {
            data_dir,
            raft,
            identity,
            key,
            founded,
            applied,
            leading,
            proposals,
            log,
            store,
        };
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

    /// Puts a command in the log and answers once it is applied here. Takes ten seconds at most.
    pub async fn propose(&self, proposal: Proposal) -> Result<Committed, ProposeError> {
        ensure_room(&self.inner.data_dir, &proposal.actor)?;
        let payload = Payload::of(&proposal.into_entry(Timestamp::now()));
        if payload.0.len() > ENTRY_BYTES_MAX {
            let bytes = payload.0.len();
            return Err(ProposeError::TooLarge { bytes, max: ENTRY_BYTES_MAX });
        }
        let deadline = Instant::now() + PROPOSE_TIMEOUT;
        let Ok(_turn) = timeout_at(deadline, self.inner.proposals.acquire()).await else {
            return Err(ProposeError::NoQuorum);
        };
        loop {
            match self.submit(payload.clone(), deadline).await {
                Err(ProposeError::NoQuorum) => self.wait_to_lead(deadline).await?,
                result => return result,
            }
        }
    }

    async fn submit(&self, payload: Payload, deadline: Instant) -> Result<Committed, ProposeError> {
        use OpenraftError::{APIError, Fatal};
        let written = timeout_at(deadline, self.inner.raft.client_write(payload)).await;
        match written.map_err(|_| ProposeError::Timeout)? {
            Ok(written) => Ok(Committed { index: written.log_id.index, reply: written.data? }),
            Err(APIError(ClientWriteError::ForwardToLeader(_))) => Err(ProposeError::NoQuorum),
            Err(APIError(_)) => Err(ProposeError::Timeout),
            Err(Fatal(fatal)) => Err(ProposeError::Stopped { reason: fatal.to_string() }),
        }
    }

    async fn wait_to_lead(&self, deadline: Instant) -> Result<(), ProposeError> {
        let wait = LEADER_WAIT.min(deadline.saturating_duration_since(Instant::now()));
        let leads = self.inner.raft.wait(Some(wait));
        let led = leads.state(ServerState::Leader, "this node leads").await;
        led.map(drop).map_err(|_| ProposeError::NoQuorum)
    }

    /// What this node has applied.
    pub fn state(&self) -> Arc<Applied> {
        self.inner.applied.borrow().clone()
    }

    /// Tells of every change of [`state`](Self::state).
    pub fn watch(&self) -> watch::Receiver<Arc<Applied>> {
        self.inner.applied.clone()
    }

    /// A state with everything that anybody was told took effect before this call. Takes five seconds at most.
    pub async fn read_latest(&self) -> Result<Arc<Applied>, ReadError> {
        use LinearizableReadError::{ForwardToLeader, QuorumNotEnough};
        use OpenraftError::{APIError, Fatal};
        let ensured = self.inner.raft.ensure_linearizable(ReadPolicy::ReadIndex);
        match timeout(READ_TIMEOUT, ensured).await.map_err(|_| ReadError::Timeout)? {
            Ok(_) => Ok(self.state()),
            Err(APIError(ForwardToLeader(_) | QuorumNotEnough(_))) => Err(ReadError::NoQuorum),
            Err(Fatal(fatal)) => Err(ReadError::Stopped { reason: fatal.to_string() }),
        }
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
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        Status {
            cluster_id: self.inner.identity.cluster.clone(),
            node: self.node_id(),
            leader: metrics.current_leader.map(NodeId),
            term: metrics.current_term,
            last_log: metrics.last_log_index.unwrap_or_default(),
            applied: self.inner.applied.borrow().index,
            members: members(&metrics),
            snapshot: metrics.snapshot.map(|id| id.index),
        }
    }

    /// Resolves when the node must stop, because it can no longer keep what it acknowledges.
    pub async fn failed(&self) -> RaftError {
        let mut metrics = self.inner.raft.metrics();
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
        self.inner.raft.shutdown().await.map_err(RaftError::failed)?;
        self.inner.log.sync().await.map_err(RaftError::failed)?;
        let store = self.inner.store.clone();
        blocking(move || store.sync()).await.map_err(RaftError::failed)
    }
}

/// Makes a new group with this node alone in it, unless there is one already.
async fn found(raft: &Raft, node: u64) -> Result<bool, RaftError> {
    if raft.is_initialized().await.map_err(RaftError::failed)? {
        return Ok(false);
    }
    let members = BTreeMap::from([(node, BasicNode::default())]);
    raft.initialize(members).await.map_err(RaftError::failed)?;
    Ok(true)
}

/// A node that is the only voter need not wait for anybody's heartbeat before it votes.
async fn lead_if_alone(raft: &Raft, node: u64) -> Result<(), RaftError> {
    let voters = raft.with_raft_state(|state| {
        state.membership_state.effective().voter_ids().collect::<Vec<_>>()
    });
    if voters.await.map_err(RaftError::failed)? != [node] {
        return Ok(());
    }
    if !raft.is_leader() {
        raft.trigger().elect(false).await.map_err(RaftError::failed)?;
    }
    let led = timeout(LEAD_ALONE_TIMEOUT, async {
        let leading = raft.wait(None).state(ServerState::Leader, "the only voter leads").await;
        leading.is_ok() && raft.ensure_linearizable(ReadPolicy::ReadIndex).await.is_ok()
    });
    if led.await.unwrap_or(false) {
        return Ok(());
    }
    let running = raft.metrics().borrow_watched().running_state.clone();
    Err(running.map_or_else(RaftError::failed, |()| RaftError::NotLeading))
}

fn leads(metrics: &RaftMetrics) -> bool {
    metrics.running_state.is_ok() && metrics.state == ServerState::Leader
}

fn members(metrics: &RaftMetrics) -> Vec<Member> {
    let membership = &metrics.membership_config;
    let voters: Vec<u64> = membership.voter_ids().collect();
    let member = |(id, _): (&u64, _)| Member { id: NodeId(*id), voter: voters.contains(id) };
    membership.nodes().map(member).collect()
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
