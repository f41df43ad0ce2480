//! This node's part in the group: what the handle, the services and the leader's duties have in common.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, ServerState};
use temps_state::NodeId;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep};

use super::edge::Edge;
use super::quorum::is_quorum;
use super::read::Reads;
use crate::config::{HEARTBEAT_EVERY, PROPOSALS_MAX, QUORUM_SILENCE, RETRY_PAUSE};
use crate::peer::Peers;
use crate::room::{ROOM_FOR_CHANGES_BYTES, has_room};
use crate::snapshots::Snapshots;
use crate::types::{Raft, RaftMetrics};
use crate::{Applied, PeerStatus};

/// How often it is looked whether the quorum is still there.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a node that was stopped answers nothing.
pub const STOPPED: &str = "it was told to; another process may have taken its place";

/// This node's part in the group. Clones share it.
#[derive(Clone)]
pub struct Group {
    pub(crate) node: NodeId,
    pub(crate) raft: Raft,
    pub(crate) edge: Edge,
    pub(crate) snapshots: Snapshots,
    pub(super) data_dir: Arc<Path>,
    pub(super) applied: watch::Receiver<Arc<Applied>>,
    pub(super) peers: Option<Arc<Peers>>,
    pub(super) proposals: Arc<Semaphore>,
    pub(super) reads: Reads,
    /// Since when there is no quorum as far as this node can tell; `None` while there is.
    quorumless: Arc<watch::Sender<Option<Instant>>>,
    stopping: Arc<watch::Sender<bool>>,
}

impl Group {
    /// Takes part.
    pub fn new(
        node: NodeId,
        data_dir: PathBuf,
        snapshots: Snapshots,
        raft: Raft,
        applied: watch::Receiver<Arc<Applied>>,
        peers: Option<Arc<Peers>>,
    ) -> Self {
        Self {
            node,
            edge: Edge::new(applied.clone()),
            data_dir: data_dir.into(),
            snapshots,
            proposals: Arc::new(Semaphore::new(PROPOSALS_MAX)),
            reads: Reads::new(node, raft.clone(), peers.clone()),
            raft,
            applied,
            peers,
            quorumless: Arc::new(watch::Sender::new(Some(Instant::now()))),
            stopping: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Takes part no longer; whoever waits for an answer is told so.
    pub(super) fn leave_off(&self) {
        self.stopping.send_replace(true);
    }

    /// Does something unless, or until, this node takes part no longer: `None` then.
    pub(super) async fn while_running<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            done = work => Some(done),
        }
    }

    /// What this node has applied.
    pub fn applied(&self) -> Arc<Applied> {
        self.applied.borrow().clone()
    }

    /// Tells of every change of it.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Applied>> {
        self.applied.clone()
    }

    /// How Raft is, as of now.
    pub(crate) fn metrics(&self) -> RaftMetrics {
        self.raft.metrics().borrow_watched().clone()
    }

    /// What this node tells others of itself.
    pub(crate) fn own_status(&self) -> PeerStatus {
        PeerStatus {
            applied: self.applied.borrow().index,
            last_log: self.raft.metrics().borrow_watched().last_log_index.unwrap_or_default(),
            edge_applied: self.edge.applied(),
            version: env!("CARGO_PKG_VERSION").into(),
            lacks_room: self.lacks_room(),
        }
    }

    /// Whether this node's disk has no room for changes, so that another voter should lead.
    pub(super) fn lacks_room(&self) -> bool {
        !has_room(&self.data_dir, ROOM_FOR_CHANGES_BYTES)
    }

    /// Returns once this node has heard nothing of a quorum for so long that there is none.
    pub(super) async fn quorum_lost(&self) {
        while self.hears_quorum().await {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Follows whether there is a quorum. Runs until Raft ends.
    pub(super) async fn watch_quorum(self) {
        loop {
            let now = self.hears_quorum().await;
            self.quorumless.send_if_modified(|since| {
                let news = since.is_none() != now;
                if news {
                    *since = (!now).then(Instant::now);
                }
                news
            });
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether there was a quorum a moment ago, as far as this node can tell.
    pub fn saw_quorum(&self) -> bool {
        self.without_quorum_for().is_none()
    }

    /// For how long this node has known of no quorum, since it started at most; `None` while it does.
    pub fn without_quorum_for(&self) -> Option<Duration> {
        let since = *self.quorumless.borrow();
        since.filter(|_| !is_alone(self.node, &self.metrics())).map(|since| since.elapsed())
    }

    /// Whether this node leads and has heard of a quorum of late.
    pub(super) fn leads_quorum(&self, metrics: &RaftMetrics) -> bool {
        leads_quorum(self.node, self.peers.as_deref(), metrics)
    }

    /// How long ago another node answered this one as its leader.
    pub(super) fn heard(&self, node: NodeId) -> Option<Duration> {
        self.peers.as_ref()?.heard().ago(node)
    }

    /// Tells that this node leads, while it does. Runs until Raft ends.
    pub(super) async fn beat(self) {
        let mut beats = interval(HEARTBEAT_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            if leads(&self.metrics()) && self.raft.trigger().heartbeat().await.is_err() {
                return;
            }
        }
    }

    /// Whether a quorum answered this leader of late, or a leader called this follower.
    pub(super) async fn hears_quorum(&self) -> bool {
        let metrics = self.metrics();
        if leads(&metrics) {
            return self.leads_quorum(&metrics);
        }
        self.leader_heard().await.is_some_and(|ago| ago < QUORUM_SILENCE)
    }

    /// How long ago a leader called this node, or a vote changed here.
    pub(super) async fn leader_heard(&self) -> Option<Duration> {
        // Raft complains when nobody waits for its answer any more. Those who wait here may be cancelled, so a task does.
        let raft = self.raft.clone();
        let asked = async move { raft.with_raft_state(|state| state.vote_last_modified()).await };
        let heard = tokio::spawn(asked).await.ok()?;
        Some(heard.ok().flatten()?.elapsed())
    }
}

/// Whether these are the metrics of a leader.
pub fn leads(metrics: &RaftMetrics) -> bool {
    metrics.running_state.is_ok() && metrics.state == ServerState::Leader
}

/// Whether these are the metrics of a leader that has heard of a quorum of late. It is its own quorum when nobody else votes.
pub fn leads_quorum(node: NodeId, peers: Option<&Peers>, metrics: &RaftMetrics) -> bool {
    let heard = |id: NodeId| peers?.heard().ago(id);
    let is_heard = |id: NodeId| id == node || heard(id).is_some_and(|ago| ago < QUORUM_SILENCE);
    let groups = metrics.membership_config.membership().get_joint_config();
    leads(metrics) && is_quorum(groups, is_heard)
}

fn is_alone(node: NodeId, metrics: &RaftMetrics) -> bool {
    let mut voters = metrics.membership_config.voter_ids();
    voters.next() == Some(node.0) && voters.next().is_none()
}

/// Whether there is time for another try after a pause.
pub(super) fn may_retry(deadline: Instant) -> bool {
    Instant::now() + RETRY_PAUSE < deadline
}
