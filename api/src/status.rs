//! `/api/status`: how the cluster is.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json as Out;
use axum::extract;
use axum::http::request::Parts;
use axum::response::Response;
use futures::stream;
use jiff::Timestamp;
use serde::Serialize;
use temps_raft::{Applied, MayLose};
use temps_state::{Artifact, Node, NodeId, State};
use tokio::time::sleep;
use utoipa::ToSchema;

use crate::auth::MayRead;
use crate::context::{Context, Shared};
use crate::dns_providers::FailingDnsProviderOut;
use crate::dns_zones::ZoneOut;
use crate::failing::{self, FailingOut};
use crate::nodes::{NodeOut, Sight};
use crate::{ApiError, streams};

/// Between two looks for those who follow.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

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
    /// Names whose certificate cannot be had or renewed, or was brought and ends without another one; the most urgent of
    /// them.
    pub failing_certificates: Vec<FailingOut>,
    /// Accounts with DNS providers whose records are not as they should be.
    pub failing_dns_providers: Vec<FailingDnsProviderOut>,
    /// The zones that the nodes answer for, as the answering node saw them last.
    pub dns_zones: Vec<ZoneOut>,
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
    extract::State(context): extract::State<Shared>,
    MayRead(_): MayRead,
) -> Result<Out<StatusOut>, ApiError> {
    let state = context.cluster.state();
    let sight = Sight::of(&context, &state).await;
    Ok(Out(shown(&context, &state, sight)))
}

/// Streams how the cluster is, every few seconds: how far behind nodes are is in no state that could tell of it.
#[utoipa::path(
    get, path = "/api/status/stream", tag = "cluster",
    responses((status = 200, body = StatusOut, content_type = "application/x-ndjson"))
)]
pub(crate) async fn follow(
    extract::State(context): extract::State<Shared>,
    MayRead(caller): MayRead,
    parts: Parts,
) -> Result<Response, ApiError> {
    let follower = context.follow(Some(caller))?;
    let looks = stream::unfold((context, false), |(context, again)| async move {
        if again {
            sleep(LOOK_PAUSE).await;
        }
        let state = context.cluster.state();
        let sight = Sight::of(&context, &state).await;
        let status = shown(&context, &state, sight);
        Some((status, (context, true)))
    });
    Ok(streams::answer(&parts, follower, looks))
}

fn shown(context: &Context, state: &Applied, sight: Sight) -> StatusOut {
    let nodes = state.nodes.values().map(|node| NodeOut::of(&sight, state, node));
    let nodes: Vec<NodeOut> = nodes.collect();
    let silent = silent(&nodes);
    let lose = context.cluster.may_lose(&silent);
    let raft = sight.raft;
    StatusOut {
        projects: state.projects.len(),
        replicas: replicas(state, &nodes),
        nodes,
        failing_certificates: failing::told(state, Timestamp::now()),
        failing_dns_providers: FailingDnsProviderOut::all(state).collect(),
        dns_zones: ZoneOut::all(context, state),
        edge: EdgeOut {
            http_port: context.config.http_port,
            https_port: context.config.https_port,
            applied_index: *context.edge_applied.borrow(),
        },
        may_lose: lose.count,
        may_lose_text: may_lose_text(state, lose) + &silence_text(state, &silent),
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

/// Those that the leader has not missed yet and that do not answer here.
fn silent(nodes: &[NodeOut]) -> BTreeSet<NodeId> {
    let silent = |node: &&NodeOut| node.lost_since.is_none() && node.applied_index.is_none();
    nodes.iter().filter(silent).map(|node| node.id).collect()
}

fn silence_text(state: &State, silent: &BTreeSet<NodeId>) -> String {
    let names = silent.iter().filter_map(|id| Some(state.nodes.get(id)?.name.as_str()));
    match names.collect::<Vec<_>>()[..] {
        [] => String::new(),
        [one] => format!(" {one} does not answer here now, and counts as lost in that."),
        ref some => {
            format!(" {} do not answer here now, and count as lost in that.", some.join(", "))
        }
    }
}

/// The nodes that may be lost are told by the quorum; an image may be on no more nodes than those.
fn may_lose_text(state: &State, MayLose { count, text }: MayLose) -> String {
    let there = |id: &&NodeId| state.nodes.get(*id).is_some_and(Node::is_reachable);
    let current = state.environments.values().filter_map(|environment| environment.current);
    let current = current.filter_map(|id| state.deployments.get(&id));
    let images = current.filter(|one| matches!(one.artifact, Some(Artifact::Image { .. })));
    let scarce = images.filter(|one| one.holders.iter().filter(there).count() <= count).count();
    match (count, scarce) {
        (0, _) | (_, 0) => text,
        (_, 1) => format!(
            "{text} The image of one app is on no more nodes than that: if exactly those go, \
             deploy it again."
        ),
        _ => format!(
            "{text} The images of {scarce} apps are on no more nodes than that: if exactly those \
             go, deploy these again."
        ),
    }
}

/// What was healthy on a node that does not answer may be gone.
fn replicas(state: &Applied, nodes: &[NodeOut]) -> ReplicaCount {
    let answers = |id| nodes.iter().any(|node| node.id == id && node.reachable);
    let live = state.environments.values().filter(|environment| environment.current.is_some());
    let serving = state.replicas.values().filter(|replica| replica.serving_endpoint().is_some());
    let healthy = serving.filter(|replica| answers(replica.node));
    ReplicaCount {
        wanted: live.map(|environment| u64::from(state.replicas_wanted(environment))).sum(),
        healthy: healthy.count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_named_where_it_counts_as_lost() {
        let node = |id| Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH);
        let nodes = [1, 2, 3].map(|id| (NodeId(id), node(id))).into_iter().collect();
        let state = State { nodes, ..State::default() };
        let text =
            |silent: &[u64]| silence_text(&state, &silent.iter().copied().map(NodeId).collect());
        assert_eq!(text(&[]), "");
        assert!(text(&[2]).starts_with(" n2 does not answer"), "{}", text(&[2]));
        assert!(text(&[3, 2]).starts_with(" n2, n3 do not answer"), "{}", text(&[3, 2]));
    }
}
