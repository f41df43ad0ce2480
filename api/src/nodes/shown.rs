//! A node, as REST shows it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use temps_raft::{Applied, Member, PeerStatus, Status};
use temps_scheduler::faults::Avoided;
use temps_state::{DeploymentId, FailureCode, Node, NodeId, Standing};
use utoipa::ToSchema;

use super::drain::{blocked_by, busy_replicas};
use crate::context::Context;
use crate::engine::problem_on;

/// How many nodes are asked at once how they are.
const ASKED_AT_ONCE: usize = 64;

/// A node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub struct NodeOut {
    /// The node's id.
    #[schema(value_type = u64)]
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// `joining`, `ready` or `draining`.
    #[schema(value_type = String)]
    pub standing: Standing,
    /// Whether the leader hears of it. Without a quorum nobody can say so: whether it answers the node that was asked.
    pub reachable: bool,
    /// Since when the leader has not heard of it.
    pub lost_since: Option<Timestamp>,
    /// Whether it leads, with a quorum.
    pub leader: bool,
    /// Whether it votes; the others follow.
    pub voter: bool,
    /// The last log entry it has applied; null when it does not answer.
    pub applied_index: Option<u64>,
    /// How many log entries it is behind; null when it does not answer.
    pub lag: Option<u64>,
    /// The log entry its edge serves from; null when it does not answer.
    pub edge_applied_index: Option<u64>,
    /// Why its container engine cannot be used; null when it answers, and when the node does not.
    pub engine_problem: Option<String>,
    /// Since when its container engine does not answer, by its own word to the cluster; null while it does.
    pub engine_away_since: Option<Timestamp>,
    /// What it is not given for now because it could not run it, as far as the answering node saw.
    pub avoided: Vec<AvoidedOut>,
    /// How many replicas it runs for requests; versions kept for a rollback do not count.
    pub replicas: usize,
    /// Whether it drains, and nothing is left to wait for: it may be stopped or removed.
    pub drained: bool,
    /// What it waits for while it drains, in words.
    pub blocked_by: Vec<String>,
    /// What people say about it.
    pub labels: BTreeMap<String, String>,
    /// Where other nodes reach it.
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// The port of its edge for plain HTTP.
    pub http_port: Option<u16>,
    /// The port of its edge for HTTPS.
    pub https_port: Option<u16>,
    /// Whether it builds images.
    pub builds: bool,
    /// What its containers may use.
    pub capacity: CapacityOut,
    /// Its processor architecture.
    pub architecture: String,
    /// The version of Temps that it runs.
    pub version: String,
    /// When it was admitted.
    pub joined_at: Timestamp,
}

/// What a node has for containers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Capacity)]
pub struct CapacityOut {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Mebibytes of memory.
    pub memory_mib: u64,
}

/// What a node is not given for a while.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Avoided)]
pub struct AvoidedOut {
    /// The only deployment that it is not given; null for anything.
    #[schema(value_type = Option<String>)]
    pub deployment: Option<DeploymentId>,
    /// What was the matter the last time.
    #[schema(value_type = String)]
    pub why: FailureCode,
    /// Until when, unless it does better before.
    pub until: Timestamp,
}

impl From<Avoided> for AvoidedOut {
    fn from(Avoided { deployment, why, until }: Avoided) -> Self {
        Self { deployment, why, until }
    }
}

/// How the answering node sees the others.
pub(crate) struct Sight {
    /// The group.
    pub raft: Status,
    told: BTreeMap<NodeId, Told>,
    avoided: BTreeMap<NodeId, Vec<Avoided>>,
}

/// What a node says of itself.
struct Told {
    status: PeerStatus,
    engine_problem: Option<String>,
}

impl Sight {
    /// Asks every node that can be reached. One that was just lost takes a second.
    pub async fn of(context: &Context, state: &Applied) -> Self {
        let raft = context.cluster.status();
        let asked = state.nodes.values().filter(|node| node.is_reachable()).map(|node| node.id);
        let asked: Vec<_> = asked.collect();
        let told = stream::iter(asked).map(|id| async move {
            let status = context.cluster.peer_status(id).await.ok()?;
            Some((id, Told { status, engine_problem: problem_on(context, id).await }))
        });
        let told = told.buffer_unordered(ASKED_AT_ONCE).filter_map(std::future::ready);
        let avoided = state.nodes.keys().map(|id| (*id, context.scheduler.avoided(*id)));
        Self { raft, told: told.collect().await, avoided: avoided.collect() }
    }

    fn lag(&self, told: &PeerStatus) -> u64 {
        let newest = self.told.values().map(|told| told.status.applied).max().unwrap_or_default();
        newest.saturating_sub(told.applied)
    }

    fn avoided(&self, id: NodeId) -> Vec<AvoidedOut> {
        let known = self.avoided.get(&id).into_iter().flatten();
        known.map(|avoided| AvoidedOut::from(*avoided)).collect()
    }

    fn member(&self, id: NodeId) -> Option<&Member> {
        self.raft.members.iter().find(|member| member.id == id)
    }
}

/// A state that cannot change any more says nothing of who was lost since.
fn is_reachable(node: &Node, quorum: bool, answers: bool) -> bool {
    if quorum { node.is_reachable() } else { answers }
}

impl NodeOut {
    pub(crate) fn of(sight: &Sight, state: &Applied, node: &Node) -> Self {
        let said = sight.told.get(&node.id);
        let told = said.map(|said| &said.status);
        let blocked_by = blocked_by(state, node, sight.raft.leader);
        let Node { id, standing, lost_since, address, http_port, https_port, .. } = *node;
        Self {
            id,
            name: node.name.clone(),
            standing,
            reachable: is_reachable(node, sight.raft.quorum, told.is_some()),
            lost_since,
            leader: sight.raft.quorum && sight.raft.leader == Some(id),
            voter: sight.member(id).is_some_and(|member| member.voter),
            applied_index: told.map(|told| told.applied),
            lag: told.map(|told| sight.lag(told)),
            edge_applied_index: told.map(|told| told.edge_applied),
            engine_away_since: node.engine_away_since,
            engine_problem: said.and_then(|said| said.engine_problem.clone()),
            avoided: sight.avoided(id),
            replicas: busy_replicas(state, id),
            drained: standing == Standing::Draining && blocked_by.is_empty(),
            blocked_by,
            labels: node.labels.clone(),
            address,
            http_port,
            https_port,
            builds: node.builds,
            capacity: CapacityOut {
                cpu_millis: node.capacity.cpu_millis,
                memory_mib: node.capacity.memory_mib,
            },
            architecture: node.architecture.clone(),
            version: node.version.clone(),
            joined_at: node.joined_at,
        }
    }
}
