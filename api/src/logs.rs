//! Log lines: those that builds write, and those that containers write.

mod far;

use std::borrow::Cow;

use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_builder::LogLine;
use temps_scheduler::{LogQuery, ReplicaLine};
use temps_state::{DeploymentId, EnvironmentId, Replica, ReplicaId};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::logs::far::Lines;
use crate::relay::{Relayed, is_elsewhere};
use crate::{ApiError, ids, streams};

/// The last lines shown when the client does not say how many.
pub const TAIL_DEFAULT: u32 = 100;
/// The most lines shown from the past.
pub const TAIL_MAX: u32 = 10_000;

/// A line of a build log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildLine {
    /// When it was written.
    pub at: Timestamp,
    /// The step of the build it belongs to.
    pub step: String,
    /// The text.
    pub text: String,
}

impl From<LogLine> for BuildLine {
    fn from(LogLine { at, step, text }: LogLine) -> Self {
        Self { at, step, text }
    }
}

/// What this node has of a build log; with `follow` also the lines to come, until the deployment is over.
pub(crate) fn own_log(
    context: &Context,
    id: DeploymentId,
    follow: bool,
) -> BoxStream<'static, BuildLine> {
    match follow {
        true => followed(context, id).boxed(),
        false => context.builder.logs().tail(id, false).map(BuildLine::from).boxed(),
    }
}

fn followed(
    context: &Context,
    id: DeploymentId,
) -> impl Stream<Item = BuildLine> + Send + 'static + use<> {
    let over = CancellationToken::new();
    let lines = context.builder.logs().tail_until(id, over.clone()).map(BuildLine::from);
    let mut applied = context.cluster.watch();
    let me = context.cluster.node_id();
    // Gives no line, but ends the log once nothing more can become of the deployment, on this node at least.
    let end = stream::once(async move {
        let is_over = applied.wait_for(|state| {
            state.deployments.get(&id).is_none_or(|deployment| {
                !deployment.phase.is_under_way() || deployment.was_returned_by(me)
            })
        });
        let _ = is_over.await;
        over.cancel();
    });
    stream::select(lines, end.filter_map(|()| std::future::ready(None)))
}

/// A line that a container wrote.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ContainerLine {
    /// When it was written.
    pub at: Timestamp,
    /// The replica that wrote it.
    #[schema(value_type = String)]
    pub replica: ReplicaId,
    /// `stdout` or `stderr`; `temps` where a line says that lines are missing.
    pub stream: Cow<'static, str>,
    /// The text.
    pub text: String,
}

impl From<ReplicaLine> for ContainerLine {
    fn from(ReplicaLine { at, replica, stream, text }: ReplicaLine) -> Self {
        Self { at, replica, stream: stream.into(), text }
    }
}

/// Which lines to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ContainerLogQuery {
    /// Whether to wait for lines to come.
    #[serde(default)]
    pub follow: bool,
    /// How many of the last lines of each replica; 100 when missing.
    pub tail: Option<u32>,
    /// Only lines written since.
    pub since: Option<Timestamp>,
    /// Only those of one replica.
    pub replica: Option<String>,
}

/// Streams what an environment's containers write.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/logs", tag = "replicas", params(ContainerLogQuery),
    responses((status = 200, body = ContainerLine, content_type = "application/x-ndjson"))
)]
pub(crate) async fn containers(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    Path(path): Path<(String, String)>,
    Query(query): Query<ContainerLogQuery>,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let (_, environment) = ids::place(&state, &path)?;
    let tail = query.tail.unwrap_or(TAIL_DEFAULT).min(TAIL_MAX);
    let follower = context.follow(Some(caller))?;
    let asked = LogQuery { follow: query.follow, tail, since: query.since };
    let lines = match &query.replica {
        Some(replica) => {
            let replica = ids::replica(&state, environment, replica)?;
            of_replica(&context, &parts, environment.id, replica, asked).await?
        }
        None => {
            let near = context.scheduler.environment_logs(environment.id, asked).await?;
            let near = near.map(ContainerLine::from).boxed();
            let lines = Lines { environment: environment.id, replica: None, asked };
            match parts.extensions.get::<Relayed>() {
                Some(Relayed) => near,
                None => stream::select(near, crate::far::all(&context, &parts, lines)).boxed(),
            }
        }
    };
    Ok(streams::answer(&parts, follower, lines))
}

/// What one replica writes, wherever it is.
async fn of_replica(
    context: &Shared,
    parts: &Parts,
    environment: EnvironmentId,
    replica: &Replica,
    asked: LogQuery,
) -> Result<BoxStream<'static, ContainerLine>, ApiError> {
    if is_elsewhere(context, parts, replica.node) {
        let lines = Lines { environment, replica: Some((replica.id, replica.node)), asked };
        return Ok(crate::far::of_node(context, parts, replica.node, lines).boxed());
    }
    let lines = context.scheduler.logs(vec![replica.id], asked).await?;
    Ok(lines.map(ContainerLine::from).boxed())
}
