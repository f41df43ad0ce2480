//! `/api/status` and `/api/nodes`: how the cluster is.

use axum::Json as Out;
use axum::extract::State;
use serde::Serialize;
use temps_raft::Applied;
use temps_state::{Node, NodeId};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::pages::{Order, Page, Paging};

/// How the cluster is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusOut {
    /// The cluster's id.
    pub cluster_id: String,
    /// The node that answers.
    #[schema(value_type = u64)]
    pub node: NodeId,
    /// The node that leads; null without quorum.
    #[schema(value_type = Option<u64>)]
    pub leader: Option<NodeId>,
    /// The current term.
    pub term: u64,
    /// The last log entry that the answering node has applied.
    pub applied_index: u64,
    /// Every node.
    pub nodes: Vec<NodeOut>,
    /// How many projects there are.
    pub projects: usize,
    /// How many replicas there are.
    pub replicas: ReplicaCount,
    /// The edge of the answering node.
    pub edge: EdgeOut,
    /// How many nodes may fail without anything being lost.
    pub may_lose: usize,
    /// The same, in a sentence.
    pub may_lose_text: String,
    /// The version of the answering node.
    pub version: &'static str,
    /// Seconds since the answering node started.
    pub uptime_seconds: u64,
}

/// How many replicas there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplicaCount {
    /// As many as environments with a live deployment ask for.
    pub wanted: u64,
    /// As many as take traffic.
    pub healthy: u64,
}

/// A node's edge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Edge)]
pub struct EdgeOut {
    /// The port of plain HTTP.
    pub http_port: u16,
    /// The port of TLS.
    pub https_port: Option<u16>,
    /// The log entry its routes are made from.
    pub applied_index: u64,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub struct NodeOut {
    /// The node's id.
    #[schema(value_type = u64)]
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// The last log entry it has applied, as far as the answering node knows.
    pub applied_index: Option<u64>,
    /// Whether it builds images.
    pub builds: bool,
    /// What its containers may use.
    pub capacity: CapacityOut,
    /// Its processor architecture.
    pub architecture: String,
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

impl NodeOut {
    fn of(here: NodeId, applied: u64, node: &Node) -> Self {
        Self {
            id: node.id,
            name: node.name.clone(),
            applied_index: (node.id == here).then_some(applied),
            builds: node.builds,
            capacity: CapacityOut {
                cpu_millis: node.capacity.cpu_millis,
                memory_mib: node.capacity.memory_mib,
            },
            architecture: node.architecture.clone(),
        }
    }
}

/// How the cluster is. Answers also without quorum, from what the node knows.
#[utoipa::path(get, path = "/api/status", tag = "cluster", responses((status = 200, body = StatusOut)))]
pub(crate) async fn status(
    State(context): State<Shared>,
    MayRead(_): MayRead,
) -> Result<Out<StatusOut>, ApiError> {
    Ok(Out(shown(&context, &context.cluster.state())))
}

fn shown(context: &Context, state: &Applied) -> StatusOut {
    let raft = context.cluster.status();
    let voters = raft.members.iter().filter(|member| member.voter).count().max(1);
    let nodes = state.nodes.values().map(|node| NodeOut::of(raft.node, state.index, node));
    StatusOut {
        nodes: nodes.collect(),
        projects: state.projects.len(),
        replicas: replicas(state),
        edge: EdgeOut {
            http_port: context.config.http_port,
            https_port: context.config.https_port,
            applied_index: *context.edge_applied.borrow(),
        },
        may_lose: may_lose(voters),
        may_lose_text: may_lose_text(voters),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: context.started.elapsed().as_secs(),
        cluster_id: raft.cluster_id,
        node: raft.node,
        leader: raft.leader,
        term: raft.term,
        applied_index: state.index,
    }
}

fn replicas(state: &Applied) -> ReplicaCount {
    let live = state.environments.values().filter(|environment| environment.current.is_some());
    let healthy = state.replicas.values().filter(|replica| replica.serving_endpoint().is_some());
    ReplicaCount {
        wanted: live.map(|environment| u64::from(state.replicas_wanted(environment))).sum(),
        healthy: healthy.count() as u64,
    }
}

/// How many of so many voters may fail: the rest must be more than half.
fn may_lose(voters: usize) -> usize {
    voters.saturating_sub(1) / 2
}

fn may_lose_text(voters: usize) -> String {
    match (voters, may_lose(voters)) {
        (1, _) => "This cluster has one node: it survives the loss of none.".into(),
        (2, _) => {
            "This cluster has two voting nodes: it survives the loss of none; a third changes that."
                .into()
        }
        (_, 1) => {
            format!("This cluster has {voters} voting nodes: it survives the loss of any one.")
        }
        (_, lose) => {
            format!("This cluster has {voters} voting nodes: it survives the loss of any {lose}.")
        }
    }
}

/// Lists the nodes.
#[utoipa::path(get, path = "/api/nodes", tag = "cluster", responses((status = 200, body = Page<NodeOut>)))]
pub(crate) async fn nodes(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<NodeOut>> {
    let here = context.cluster.node_id();
    let show = |node: &Node| NodeOut::of(here, state.index, node);
    Out(paging.page(state.nodes.values(), Order::Rising, |n| format!("{:020}", n.id.0), show))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_may_be_lost() {
        let lose = [1, 2, 3, 4, 5].map(may_lose);
        assert_eq!(lose, [0, 0, 1, 1, 2]);
        assert!(may_lose_text(1).contains("survives the loss of none"));
        assert!(may_lose_text(5).contains("any 2"));
    }
}
