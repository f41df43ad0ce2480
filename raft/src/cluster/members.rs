//! The other members, as people and the API ask about them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use temps_proto::peer::{StatusRequest, WaitEdgeRequest};
use temps_state::{NodeId, Standing};
use tokio::time::{Instant, sleep};

use super::group::Group;
use super::quorum::{MayLose, WouldLoseQuorum, may_lose, may_remove};
use crate::peer::{PeerError, Target};
use crate::types::RaftMetrics;
use crate::{HandOverError, Member, PeerStatus};

/// How long another node may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// How many edges are asked at once.
const EDGES_AT_ONCE: usize = 64;
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
        })
    }

    /// Waits until every reachable node's edge has applied `index`; else tells which have not.
    pub async fn wait_edges(&self, index: u64, within: Duration) -> Result<(), Vec<NodeId>> {
        let asked: Vec<NodeId> = self.reachable().into_iter().collect();
        let waits = asked.into_iter().map(|node| async move {
            let applied = self.wait_edge(node, index, within).await;
            applied.is_none_or(|applied| applied < index).then_some(node)
        });
        let behind = stream::iter(waits).buffer_unordered(EDGES_AT_ONCE);
        let behind: Vec<NodeId> = behind.filter_map(|node| async move { node }).collect().await;
        // Whoever was lost meanwhile serves nobody.
        let reachable = self.reachable();
        let mut behind: Vec<_> = behind.into_iter().filter(|id| reachable.contains(id)).collect();
        behind.sort();
        if behind.is_empty() { Ok(()) } else { Err(behind) }
    }

    async fn wait_edge(&self, node: NodeId, index: u64, within: Duration) -> Option<u64> {
        if node == self.node {
            return Some(self.edge.wait(index, within).await);
        }
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let request = WaitEdgeRequest { index, within_ms };
        let to = Target::calls(node);
        let asked = self.peers.as_ref()?.call(&to, within + CALL_SLACK, |mut client| async move {
            client.wait_edge(request).await
        });
        asked.await.ok().map(|reply| reply.edge_applied)
    }

    /// The nodes that the leader hears of, and this one. Without a quorum nobody can say so, and only this one counts.
    fn reachable(&self) -> BTreeSet<NodeId> {
        let applied = self.applied();
        let sees = self.saw_quorum();
        let nodes = applied.nodes.values().filter(|node| sees && node.is_reachable());
        nodes.map(|node| node.id).chain([self.node]).collect()
    }

    /// Whether the cluster could still agree without a node.
    pub fn may_remove(&self, node: NodeId) -> Result<(), WouldLoseQuorum> {
        may_remove(node, &self.voter_groups(), &self.reachable())
    }

    /// How many more nodes may be lost.
    pub fn may_lose(&self) -> MayLose {
        let nodes = self.applied().nodes.len();
        may_lose(nodes, &self.voter_groups(), &self.reachable())
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
        let (applied, reachable) = (self.applied(), self.reachable());
        let stays = |id: &NodeId| {
            applied.nodes.get(id).is_some_and(|node| node.standing != Standing::Draining)
        };
        let others = voters(metrics).into_iter();
        let others = others.filter(|id| *id != self.node && reachable.contains(id));
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
