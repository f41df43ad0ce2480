//! The other members, as people and the API ask about them.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use temps_proto::peer::{StatusRequest, WaitEdgeRequest};
use temps_state::{NodeId, Standing};
use tokio::time::{Instant, sleep};

use super::group::Group;
use super::quorum::{MayLose, WouldLoseQuorum, may_lose, may_remove};
use crate::peer::{PeerError, Target};
use crate::types::RaftMetrics;
use crate::{Applied, HandOverError, Member, PeerStatus};

/// How long another node may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// How many edges are asked at once.
const EDGES_AT_ONCE: usize = 64;
/// The pause before an edge that did not answer is asked again.
const EDGE_RETRY: Duration = Duration::from_millis(100);
/// What a call takes beyond the time that the other node may wait.
const CALL_SLACK: Duration = Duration::from_secs(1);
/// How long handing over may take.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the next try begins, and how often the outcome is looked at.
const HAND_OVER_RETRY: Duration = Duration::from_secs(1);
const HAND_OVER_LOOK: Duration = Duration::from_millis(20);

impl Group {
    /// How another node is, by its own word.
    pub async fn peer_status(&self, node: NodeId) -> Result<PeerStatus, PeerError> {
        if node == self.node {
            return Ok(self.own_status());
        }
        let peers = self.peers.as_ref().ok_or(PeerError::Alone)?;
        let to = Target::calls(node);
        let asked = peers.call(&to, STATUS_TIMEOUT, |mut client| async move {
            client.status(StatusRequest {}).await
        });
        let status = asked.await?;
        Ok(PeerStatus {
            applied: status.applied,
            last_log: status.last_log,
            edge_applied: status.edge_applied,
            version: status.version,
            lacks_room: status.lacks_room,
        })
    }

    /// Waits until the edge of every node that is not lost has applied `index`; else tells which have not.
    pub async fn wait_edges(&self, index: u64, within: Duration) -> Result<(), Vec<NodeId>> {
        let asked: Vec<NodeId> = self.reachable().into_iter().collect();
        let waits = asked.into_iter().map(|node| async move {
            (!self.wait_edge(node, index, within).await).then_some(node)
        });
        let behind = stream::iter(waits).buffer_unordered(EDGES_AT_ONCE);
        let behind: Vec<NodeId> = behind.filter_map(|node| async move { node }).collect().await;
        // Whoever was lost meanwhile serves nobody.
        let reachable = self.reachable();
        let mut behind: Vec<_> = behind.into_iter().filter(|id| reachable.contains(id)).collect();
        behind.sort();
        if behind.is_empty() { Ok(()) } else { Err(behind) }
    }

    /// Whether the edge of a node applies `index` in time. A node that does not answer is asked again until it is lost.
    async fn wait_edge(&self, node: NodeId, index: u64, within: Duration) -> bool {
        if node == self.node {
            return self.edge.wait(index, within).await >= index;
        }
        let end = Instant::now() + within;
        let asked = async {
            while self.ask_edge(node, index, end).await.is_none_or(|applied| applied < index) {
                if Instant::now() + EDGE_RETRY >= end {
                    return false;
                }
                sleep(EDGE_RETRY).await;
            }
            true
        };
        tokio::select! {
            applied = asked => applied,
            () = self.lost(node) => false,
        }
    }

    /// How far the edge of another node is, once it has applied `index` or the time is over; `None` when it does not say.
    async fn ask_edge(&self, node: NodeId, index: u64, end: Instant) -> Option<u64> {
        let within = end.saturating_duration_since(Instant::now());
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let request = WaitEdgeRequest { index, within_ms };
        let to = Target::calls(node);
        let asked = self.peers.as_ref()?.call(&to, within + CALL_SLACK, |mut client| async move {
            client.wait_edge(request).await
        });
        asked.await.ok().map(|reply| reply.edge_applied)
    }

    /// Returns once a node is lost, or no node of the cluster any more.
    async fn lost(&self, node: NodeId) {
        let is_lost = |applied: &Arc<Applied>| {
            applied.nodes.get(&node).is_none_or(|node| !node.is_reachable())
        };
        if self.watch().wait_for(is_lost).await.is_err() {
            // Nothing is applied any more, so nobody is said to be lost.
            pending().await
        }
    }

    /// The nodes that the leader hears of, and this one. Without a quorum nobody can say so, and only this one counts.
    fn reachable(&self) -> BTreeSet<NodeId> {
        let applied = self.applied();
        let sees = self.saw_quorum();
        let nodes = applied.nodes.values().filter(|node| sees && node.is_reachable());
        nodes.map(|node| node.id).chain([self.node]).collect()
    }

    /// The reachable nodes that vote now: whoever hands over to another process does so again later.
    fn voting(&self) -> BTreeSet<NodeId> {
        let applied = self.applied();
        let silent =
            |id: &NodeId| applied.nodes.get(id).is_some_and(|node| node.hands_over_since.is_some());
        self.reachable().into_iter().filter(|id| *id == self.node || !silent(id)).collect()
    }

    /// Whether the cluster could still agree without a node.
    pub fn may_remove(&self, node: NodeId) -> Result<(), WouldLoseQuorum> {
        may_remove(node, &self.voter_groups(), &self.voting())
    }

    /// How many more nodes may be lost where some are silent, whoever has missed them.
    pub fn may_lose(&self, silent: &BTreeSet<NodeId>) -> MayLose {
        let nodes = self.applied().nodes.len();
        may_lose(nodes, &self.voter_groups(), &(&self.voting() - silent))
    }

    /// Who votes; two groups while that changes, and each must agree.
    fn voter_groups(&self) -> Vec<BTreeSet<u64>> {
        self.metrics().membership_config.membership().get_joint_config().clone()
    }

    /// Gives the lead to another voter, if this node has it.
    pub async fn hand_over(&self) -> Result<(), HandOverError> {
        let end = Instant::now() + HAND_OVER_TIMEOUT;
        while Instant::now() < end {
            let metrics = self.metrics();
            match metrics.current_leader {
                Some(leader) if leader == self.node.0 => {}
                Some(_) => return Ok(()),
                None => {
                    sleep(HAND_OVER_LOOK).await;
                    continue;
                }
            }
            let to = self.successor(&metrics).ok_or(HandOverError::NobodyElse)?;
            let asked = self.raft.trigger().transfer_leader(to.0).await;
            asked.map_err(|fatal| HandOverError::Stopped { reason: fatal.to_string() })?;
            let again = Instant::now() + HAND_OVER_RETRY;
            while Instant::now() < again && self.metrics().current_leader == Some(self.node.0) {
                sleep(HAND_OVER_LOOK).await;
            }
        }
        Err(HandOverError::Timeout)
    }

    /// The reachable voter that should lead next: one that stays, and is least behind.
    fn successor(&self, metrics: &RaftMetrics) -> Option<NodeId> {
        let (applied, voting) = (self.applied(), self.voting());
        let stays = |id: &NodeId| {
            applied.nodes.get(id).is_some_and(|node| node.standing != Standing::Draining)
        };
        let others = voters(metrics).into_iter();
        let others = others.filter(|id| *id != self.node && voting.contains(id));
        others.max_by_key(|id| (stays(id), matched(*id, metrics)))
    }

    /// The members, with what is known of them here.
    pub fn members(&self) -> Vec<Member> {
        let (metrics, applied) = (self.metrics(), self.applied());
        let (voters, reachable) = (voters(&metrics), self.reachable());
        let last = metrics.last_log_index.unwrap_or_default();
        let members = metrics.membership_config.nodes().map(|(id, known)| {
            let id = NodeId(*id);
            let matched = matched(id, &metrics);
            Member {
                id,
                voter: voters.contains(&id),
                address: applied
                    .nodes
                    .get(&id)
                    .and_then(|node| node.address)
                    .or_else(|| known.addr.parse().ok()),
                matched,
                lag: matched.map(|matched| last.saturating_sub(matched)),
                reachable: reachable.contains(&id),
            }
        });
        members.collect()
    }
}

fn voters(metrics: &RaftMetrics) -> BTreeSet<NodeId> {
    metrics.membership_config.voter_ids().map(NodeId).collect()
}

fn matched(node: NodeId, metrics: &RaftMetrics) -> Option<u64> {
    let at = metrics.replication.as_ref()?.get(&node.0)?.as_ref()?;
    Some(at.index)
}
