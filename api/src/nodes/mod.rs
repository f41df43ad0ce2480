//! `/api/nodes`: the machines of the cluster, and what people do with them.

mod drain;
mod removal;
mod shown;
mod tokens;
mod upgrade;

use std::collections::BTreeMap;

use axum::Json as Out;
use axum::extract::{Path, State};
use serde::Deserialize;
use temps_raft::Applied;
use temps_state::{Command, Node, NodeId, State as Agreed};
use utoipa::ToSchema;

pub(crate) use removal::{__path_remove, remove};
pub use shown::NodeOut;
pub(crate) use shown::Sight;
pub(crate) use tokens::{
    __path_create_token, __path_delete_token, __path_list_tokens, create_token, delete_token,
    list_tokens,
};

pub(crate) use upgrade::{
    __path_receive_binary, __path_upgrade, __path_upgrade_status, receive_binary, upgrade,
    upgrade_status,
};
pub use upgrade::{
    BINARY_BYTES_MAX, UpgradeFailure, UpgradeOutcome, UpgradeStage, UpgradeStatus, Upgrades,
};

use crate::ApiError;
use crate::auth::{Caller, MayAdmin, MayRead};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::pages::{Order, Page, Paging};

/// The key of a node's row.
fn row(id: NodeId) -> String {
    format!("nodes/{:020}", id.0)
}

/// The node of that id, or the one of that name.
pub(crate) fn find<'a>(state: &'a Agreed, text: &str) -> Result<&'a Node, ApiError> {
    let by_id = text.parse().ok().and_then(|id: NodeId| state.nodes.get(&id));
    let mut named = state.nodes.values().filter(|node| node.name == text);
    match (by_id, named.next(), named.next()) {
        (Some(node), ..) | (None, Some(node), None) => Ok(node),
        (None, None, _) => Err(ApiError::not_found("node", text)),
        (None, Some(_), Some(_)) => Err(ApiError::Conflict {
            code: "ambiguous_name",
            why: format!("more than one node is called {text}"),
            hint: "name it by its id: `temps nodes list` shows them",
        }),
    }
}

/// Lists the nodes.
#[utoipa::path(get, path = "/api/nodes", tag = "cluster", responses((status = 200, body = Page<NodeOut>)))]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<NodeOut>> {
    let sight = Sight::of(&context, &state).await;
    let show = |node: &Node| NodeOut::of(&sight, &state, node);
    Out(paging.page(state.nodes.values(), Order::Rising, |n| format!("{:020}", n.id.0), show))
}

/// Shows a node.
#[utoipa::path(get, path = "/api/nodes/{n}", tag = "cluster", responses((status = 200, body = NodeOut)))]
pub(crate) async fn show(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path(n): Path<String>,
    Seen(state): Seen,
) -> Result<Tagged<NodeOut>, ApiError> {
    let id = find(&state, &n)?.id;
    shown(&context, &state, id).await
}

async fn shown(
    context: &Context,
    state: &Applied,
    id: NodeId,
) -> Result<Tagged<NodeOut>, ApiError> {
    let node = state.nodes.get(&id).ok_or_else(|| ApiError::not_found("node", id))?;
    let sight = Sight::of(context, state).await;
    Ok(Tagged::new(state, &row(id), NodeOut::of(&sight, state, node)))
}

/// Has a node's replicas moved elsewhere, and the lead handed over; it takes no more. `drained` says when that is done.
#[utoipa::path(
    post, path = "/api/nodes/{n}/drain", tag = "cluster", responses((status = 200, body = NodeOut))
)]
pub(crate) async fn drain(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(n): Path<String>,
    if_match: IfMatch,
) -> Result<Tagged<NodeOut>, ApiError> {
    let id = find(&*context.cluster.read_latest().await?, &n)?.id;
    let state = change(&context, &caller, id, Command::DrainNode { id }, if_match).await?;
    shown(&context, &state, id).await
}

/// Takes a node that drains, or is drained, back into service.
#[utoipa::path(
    post, path = "/api/nodes/{n}/undrain", tag = "cluster", responses((status = 200, body = NodeOut))
)]
pub(crate) async fn undrain(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(n): Path<String>,
    if_match: IfMatch,
) -> Result<Tagged<NodeOut>, ApiError> {
    let id = find(&*context.cluster.read_latest().await?, &n)?.id;
    let command = Command::UndrainNode { id };
    let state = change(&context, &caller, id, command, if_match).await?;
    shown(&context, &state, id).await
}

async fn change(
    context: &Context,
    caller: &Caller,
    id: NodeId,
    command: Command,
    if_match: IfMatch,
) -> Result<std::sync::Arc<Applied>, ApiError> {
    let mut proposal = caller.asks(command);
    proposal.condition = if_match.on(row(id));
    Ok(context.change(proposal).await?.1)
}

/// What to change about a node.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NodeChange)]
pub struct NodeChangeIn {
    /// What to change about its labels.
    pub labels: LabelsIn,
}

/// What to change about a node's labels.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = LabelsChange)]
pub struct LabelsIn {
    /// Labels to set.
    pub set: BTreeMap<String, String>,
    /// Names of labels to take away.
    pub unset: Vec<String>,
}

/// Changes a node's labels, which say where replicas may be placed.
#[utoipa::path(
    patch, path = "/api/nodes/{n}", tag = "cluster",
    request_body = NodeChangeIn, responses((status = 200, body = NodeOut))
)]
pub(crate) async fn label(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(n): Path<String>,
    if_match: IfMatch,
    Json(NodeChangeIn { labels: LabelsIn { set, unset } }): Json<NodeChangeIn>,
) -> Result<Tagged<NodeOut>, ApiError> {
    let id = find(&*context.cluster.read_latest().await?, &n)?.id;
    let command = Command::LabelNode { id, set, unset };
    let state = change(&context, &caller, id, command, if_match).await?;
    shown(&context, &state, id).await
}
