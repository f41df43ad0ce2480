//! Streams of what happens to a deployment: the object at every change, and the lines of its build log.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use futures::{Stream, stream};
use serde::Deserialize;
use temps_raft::Applied;
use temps_state::DeploymentId;
use tokio::sync::watch;
use utoipa::IntoParams;

use crate::ApiError;
use crate::auth::MayRead;
use crate::build_log;
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deployments::DeploymentOut;
use crate::links::Links;
use crate::logs::BuildLine;
use crate::{ids, streams};

/// Streams the deployment whenever it changes, until it is live, failed or cancelled.
#[utoipa::path(
    get, path = "/api/projects/{p}/deployments/{d}/events", tag = "deployments",
    responses((status = 200, body = DeploymentOut, content_type = "application/x-ndjson",
               description = "One object a line, and an empty line after 30 s of silence; server-sent events with `Accept: text/event-stream`"))
)]
pub(crate) async fn events(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    Path(path): Path<(String, String)>,
    links: Links,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let id = ids::deployment(&state, &path)?.id;
    let follower = context.follow(Some(caller))?;
    Ok(streams::answer(&parts, follower, changes(context.cluster.watch(), links, id)))
}

struct Changes {
    applied: watch::Receiver<Arc<Applied>>,
    links: Links,
    id: DeploymentId,
    last: Option<DeploymentOut>,
    over: bool,
}

/// The deployment as it is, and as it becomes, until nothing more can become of it or it is gone.
pub(crate) fn changes(
    applied: watch::Receiver<Arc<Applied>>,
    links: Links,
    id: DeploymentId,
) -> impl Stream<Item = DeploymentOut> + Send + 'static {
    let changes = Changes { applied, links, id, last: None, over: false };
    stream::unfold(changes, |mut changes| async {
        let next = changes.next().await?;
        Some((next, changes))
    })
}

impl Changes {
    async fn next(&mut self) -> Option<DeploymentOut> {
        while !self.over {
            let state = Arc::clone(&self.applied.borrow_and_update());
            let deployment = state.deployments.get(&self.id)?;
            self.over = !deployment.phase.is_under_way();
            let out = DeploymentOut::of(&state, &self.links, deployment);
            if self.last.as_ref() != Some(&out) {
                self.last = Some(out.clone());
                return Some(out);
            }
            if !self.over {
                self.applied.changed().await.ok()?;
            }
        }
        None
    }
}

/// How to read a build log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BuildLogQuery {
    /// Whether to wait for lines to come, until the deployment is over.
    #[serde(default)]
    pub follow: bool,
}

/// Streams the lines of a deployment's build log: `{at, step, text}`.
#[utoipa::path(
    get, path = "/api/projects/{p}/deployments/{d}/logs", tag = "deployments", params(BuildLogQuery),
    responses((status = 200, body = BuildLine, content_type = "application/x-ndjson"))
)]
pub(crate) async fn build_log(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    Path(path): Path<(String, String)>,
    Query(BuildLogQuery { follow }): Query<BuildLogQuery>,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let id = ids::deployment(&state, &path)?.id;
    let follower = context.follow(Some(caller))?;
    Ok(streams::answer(&parts, follower, build_log::build_log(&context, id, follow)))
}
