//! `/api/status`: how the cluster is.

use axum::Json as Out;
use axum::extract::State;
use serde::Serialize;
use temps_raft::{Applied, MayLose};
use temps_state::NodeId;
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::MayRead;
use crate::context::{Context, Shared};
use crate::nodes::{NodeOut, Sight};

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
    /// Whether the answering node knows of a quorum, without which nothing can be changed.
    pub quorum: bool,
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
    /// How many more nodes may fail and leave the rest able to agree.
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

/// How the cluster is. Answers also without quorum, from what the node knows.
#[utoipa::path(get, path = "/api/status", tag = "cluster", responses((status = 200, body = StatusOut)))]
pub(crate) async fn status(
    State(context): State<Shared>,
    MayRead(_): MayRead,
) -> Result<Out<StatusOut>, ApiError> {
    let state = context.cluster.state();
    let sight = Sight::of(&context, &state).await;
    Ok(Out(shown(&context, &state, sight)))
}

fn shown(context: &Context, state: &Applied, sight: Sight) -> StatusOut {
    let nodes = state.nodes.values().map(|node| NodeOut::of(&sight, state, node));
    let nodes = nodes.collect();
    let MayLose { count, text } = context.cluster.may_lose();
    let raft = sight.raft;
    StatusOut {
        nodes,
        projects: state.projects.len(),
        replicas: replicas(state),
        edge: EdgeOut {
            http_port: context.config.http_port,
            https_port: context.config.https_port,
            applied_index: *context.edge_applied.borrow(),
        },
        may_lose: count,
        may_lose_text: text,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: context.started.elapsed().as_secs(),
        cluster_id: raft.cluster_id,
        node: raft.node,
        leader: raft.leader,
        quorum: raft.quorum,
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
