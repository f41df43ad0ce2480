//! Removing a node, where the rest can still agree without it.

use std::collections::BTreeSet;

use axum::Json as Out;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use temps_raft::ProposeError;
use temps_state::{Command, JUDGED_REMOVALS_SINCE, Node, NodeId, Rejected, State as Agreed};
use utoipa::{IntoParams, ToSchema};

use super::{change, drain, find};
use crate::ApiError;
use crate::auth::{Caller, MayAdmin};
use crate::conditions::IfMatch;
use crate::context::{Context, Shared};
use crate::relay::{is_elsewhere, send_on};

/// How often a removal is judged anew, as another node went meanwhile.
const JUDGED_MAX: u32 = 4;

/// How to remove a node.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RemovalQuery {
    /// Whether to remove it even if the rest could agree on nothing any more.
    #[serde(default)]
    pub force: bool,
}

/// A node that was removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeRemoval)]
pub struct RemovalOut {
    /// The node's id, which no node will have again.
    #[schema(value_type = u64)]
    pub id: NodeId,
    /// What people called it.
    pub name: String,
    /// What is worse now; null when nothing is.
    pub warning: Option<String>,
}

/// Removes a node for ever. Refused where the rest could agree on nothing any more, unless forced.
#[utoipa::path(
    delete, path = "/api/nodes/{n}", tag = "cluster", params(RemovalQuery),
    responses((status = 200, body = RemovalOut), (status = 204, description = "It was removed before, under the same key"))
)]
pub(crate) async fn remove(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(n): Path<String>,
    Query(RemovalQuery { force }): Query<RemovalQuery>,
    if_match: IfMatch,
    request: Request,
) -> Result<Response, ApiError> {
    let state = context.cluster.read_latest().await?;
    if caller.was_answered(&state) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let node = find(&state, &n)?;
    let parts = request.into_parts().0;
    // Whoever goes hears nothing of the cluster any more, so another node does it.
    if node.id == context.cluster.node_id()
        && let Some(other) = someone_else(&context, &state)
        && is_elsewhere(&context, &parts, other)
    {
        let request = Request::from_parts(parts, axum::body::Body::empty());
        let response = send_on(&context, other, request).await?;
        if response.status().is_success() {
            context.left.cancel();
        }
        return Ok(response);
    }
    let removed = remove_judged(&context, &caller, node.id, force, if_match).await?;
    Ok(Out(removed).into_response())
}

/// Judges and removes; once more when one of the nodes that were counted on went in between.
async fn remove_judged(
    context: &Context,
    caller: &Caller,
    id: NodeId,
    force: bool,
    if_match: IfMatch,
) -> Result<RemovalOut, ApiError> {
    let mut tries = 1;
    loop {
        let state = context.cluster.read_latest().await?;
        let node = state.nodes.get(&id).ok_or_else(|| ApiError::not_found("node", id))?;
        let command = Command::RemoveNode { id, beside: beside(&state, node) };
        let warning = drain::loss(&context.cluster.may_remove(id), force)?;
        let warning = warning.or_else(|| drain::warning(&state, node));
        match change(context, caller, id, command, if_match.clone()).await {
            Ok(_) => return Ok(RemovalOut { id, name: node.name.clone(), warning }),
            Err(ApiError::Propose(ProposeError::Rejected(Rejected::Changed { row })))
                if row != super::row(id) && tries < JUDGED_MAX =>
            {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Who is counted on to be there without a node; nobody while some node could not read that.
fn beside(state: &Agreed, node: &Node) -> BTreeSet<NodeId> {
    match state.format() >= JUDGED_REMOVALS_SINCE {
        true => state.nodes.keys().copied().filter(|other| *other != node.id).collect(),
        false => BTreeSet::new(),
    }
}

/// The leader, or any node that can be reached, but not this one.
fn someone_else(context: &Context, state: &Agreed) -> Option<NodeId> {
    let here = context.cluster.node_id();
    let reachable = state.nodes.values().filter(|node| node.is_reachable()).map(|node| node.id);
    let leader = context.cluster.status().leader;
    leader.into_iter().chain(reachable).find(|id| *id != here)
}
