//! What nodes ask each other. Served to peers only, which have proven who they are; nobody logs in here.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use temps_state::DeploymentId;

use crate::context::Shared;
use crate::events::BuildLogQuery;
use crate::logs::own_log;
use crate::{ApiError, answer, domains, engine, registry, source_copy, streams};

/// The routes.
pub(crate) fn router(context: Shared) -> Router {
    Router::new()
        .route("/internal/deployments/{id}/log", get(build_log))
        .route(engine::PATH, get(engine::tell))
        .route(source_copy::PATH, post(source_copy::take))
        .route(domains::LOOK_PATH, get(domains::tell))
        .merge(registry::internal_routes())
        .layer(middleware::from_fn_with_state(context.clone(), answer::answer))
        .with_state(context)
}

/// Where another node gives the log of what it built.
pub(crate) fn build_log_path(id: DeploymentId, follow: bool) -> PathAndQuery {
    let path = format!("/internal/deployments/{id}/log?follow={follow}");
    path.parse().expect("ids are letters, digits and `_`")
}

/// The lines that this node has of a build.
async fn build_log(
    State(context): State<Shared>,
    Path(id): Path<String>,
    Query(BuildLogQuery { follow }): Query<BuildLogQuery>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let id: DeploymentId = id.parse().map_err(|_| ApiError::not_found("deployment", &id))?;
    let follower = context.follow(None)?;
    // Whoever asks may know of the deployment before this node does. Without a quorum it has what it has.
    let _ = context.cluster.read_latest().await;
    Ok(streams::answer(&parts, follower, own_log(&context, id, follow)))
}
