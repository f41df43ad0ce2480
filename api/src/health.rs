//! `/healthz` and `/readyz`: for load balancers and service managers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Shared;

/// What anybody may know of an engine that is away; `/api/status` says why.
const NO_ENGINE: &str =
    "the container engine does not answer: nothing is built or started on this node";

/// How a node is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `starting` before the edge serves.
    pub status: &'static str,
    /// Whether the node knows of a quorum, so that changes can be made. Apps are served without one too.
    pub quorum: bool,
    /// What is wrong with the node, though it may get traffic; left out when nothing is known to be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<&'static str>,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Health)))]
pub(crate) async fn healthz(State(context): State<Shared>) -> Json<Health> {
    let quorum = context.cluster.status().quorum;
    Json(Health { status: "ok", quorum, warnings: Vec::new() })
}

/// Whether the node should get traffic: its edge has made its routes. What else is wrong stands among the warnings.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health))
)]
pub(crate) async fn readyz(State(context): State<Shared>) -> (StatusCode, Json<Health>) {
    let ready = *context.edge_applied.borrow() > 0;
    let quorum = context.cluster.status().quorum;
    let problem = context.engine.problem(&context.scheduler).await;
    let warnings = problem.map(|_| NO_ENGINE).into_iter().collect();
    let (code, status) = match ready {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
    };
    (code, Json(Health { status, quorum, warnings }))
}
