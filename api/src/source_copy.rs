//! A second copy of what a deployment is built from, so that no node whose death comes between the asking and the build
//! takes it along.

use std::time::{Duration, Instant};

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::http::uri::PathAndQuery;
use serde::{Deserialize, Serialize};
use temps_builder::BuildError;
use temps_state::{NodeId, State as Agreed};
use tracing::warn;

use crate::ApiError;
use crate::context::{Context, Shared};
use crate::error::chain;
use crate::relay;

/// How long other nodes may take to get a copy, in all. A deployment goes on without one.
const COPIED_WITHIN: Duration = Duration::from_secs(20);
/// How many nodes are asked for it, one after the other.
const ASKED_MAX: usize = 2;
/// Where nodes ask each other.
pub(crate) const PATH: &str = "/internal/uploads/{digest}/copy";

/// That a node has a copy.
#[derive(Serialize, Deserialize)]
pub(crate) struct Copied {}

/// Has another node get what was uploaded here, where there is one.
pub(crate) async fn keep(context: &Context, state: &Agreed, digest: &str) {
    let Ok(path) = PATH.replace("{digest}", digest).parse::<PathAndQuery>() else { return };
    let until = Instant::now() + COPIED_WITHIN;
    for node in others(state, context.cluster.node_id()).take(ASKED_MAX) {
        let mut parts = relay::internal(path.clone());
        parts.method = Method::POST;
        let within = until.saturating_duration_since(Instant::now());
        match relay::value::<Copied>(context, node, parts, within).await {
            Ok(Copied {}) => return,
            Err(error) => warn!(%node, error = chain(&error), "a source has no second copy there"),
        }
    }
}

/// The nodes that may have a copy: those first that may build it.
fn others(state: &Agreed, here: NodeId) -> impl Iterator<Item = NodeId> {
    let mut nodes: Vec<_> = state.ready_nodes().filter(|node| node.id != here).collect();
    nodes.sort_by_key(|node| (!node.builds, node.id));
    nodes.into_iter().map(|node| node.id)
}

/// Gets what another node asks this one to have too.
pub(crate) async fn take(
    State(context): State<Shared>,
    Path(digest): Path<String>,
) -> Result<Out<Copied>, ApiError> {
    obtain(&context, &context.cluster.state(), &digest).await?;
    Ok(Out(Copied {}))
}

/// Gets what was uploaded to another node, unless it is here.
pub(crate) async fn obtain(
    context: &Context,
    state: &Agreed,
    digest: &str,
) -> Result<(), BuildError> {
    let here = context.cluster.node_id();
    let others = state.nodes.values().filter(|node| node.is_reachable() && node.id != here);
    let others: Vec<NodeId> = others.map(|node| node.id).collect();
    context.builder.obtain_upload(digest, &others).await
}
