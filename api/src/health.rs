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
/// What anybody may know while static sites are on their way, and when they did not arrive in time.
const SITES_ON_THEIR_WAY: &str = "static sites are on their way to this node";
const SITES_MISSING: &str =
    "some static sites could not be fetched: this node cannot serve them until some node has them";

/// How a node is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `starting` before the edge serves all there is.
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

/// Whether the node should get traffic: its edge has made its routes, and has the static sites that they lead to. What
/// else is wrong stands among the warnings.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health))
)]
pub(crate) async fn readyz(State(context): State<Shared>) -> (StatusCode, Json<Health>) {
    let routes = *context.edge_applied.borrow() > 0;
    let sites = *context.sites.borrow();
    let quorum = context.cluster.status().quorum;
    let problem = context.engine.problem(&context.scheduler).await;
    let warnings = problem.map(|_| NO_ENGINE).into_iter().chain(sites.warning()).collect();
    let (code, status) = match routes && sites != Sites::Awaited {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
    };
    (code, Json(Health { status, quorum, warnings }))
}

/// Whether a node has had the static sites that its edge serves since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sites {
    /// Not yet.
    Awaited,
    /// All that there were.
    Here,
    /// Some could not be had in time. The node serves the others.
    Missing,
}

impl Sites {
    fn warning(self) -> Option<&'static str> {
        match self {
            Self::Awaited => Some(SITES_ON_THEIR_WAY),
            Self::Here => None,
            Self::Missing => Some(SITES_MISSING),
        }
    }
}
