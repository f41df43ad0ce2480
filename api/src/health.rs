//! `/healthz` and `/readyz`: for load balancers and service managers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Shared;

/// How a node is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `starting` before the edge serves.
    pub status: &'static str,
    /// Whether the node knows of a quorum, so that changes can be made. Apps are served without one too.
    pub quorum: bool,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Health)))]
pub(crate) async fn healthz(State(context): State<Shared>) -> Json<Health> {
    Json(Health { status: "ok", quorum: context.cluster.status().quorum })
}

/// Whether the node should get traffic: its edge has made its routes.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health))
)]
pub(crate) async fn readyz(State(context): State<Shared>) -> (StatusCode, Json<Health>) {
    let ready = *context.edge_applied.borrow() > 0;
    let quorum = context.cluster.status().quorum;
    match ready {
        true => (StatusCode::OK, Json(Health { status: "ok", quorum })),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "starting", quorum })),
    }
}
