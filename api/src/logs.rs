//! Log lines: those that builds write, and those that containers write.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_builder::LogLine;
use temps_scheduler::{LogQuery, ReplicaLine};
use temps_state::{DeploymentId, NodeId, Replica, ReplicaId};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::relay::{self, is_elsewhere};
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
    // Gives no line, but ends the log once nothing more can become of the deployment.
    let end = stream::once(async move {
        let is_over = applied.wait_for(|state| {
            state.deployments.get(&id).is_none_or(|deployment| !deployment.phase.is_under_way())
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
    MayRead(_): MayRead,
    Path(path): Path<(String, String)>,
    Query(query): Query<ContainerLogQuery>,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let (_, environment) = ids::place(&state, &path)?;
    let replicas = match &query.replica {
        Some(replica) => vec![ids::replica(&state, environment, replica)?],
        None => {
            environment.current.iter().flat_map(|current| state.replicas_of(*current)).collect()
        }
    };
    let tail = query.tail.unwrap_or(TAIL_DEFAULT).min(TAIL_MAX);
    let slot = context.stream_slot()?;
    let asked = LogQuery { follow: query.follow, tail, since: query.since };
    let (far, near): (Vec<_>, Vec<_>) =
        replicas.into_iter().partition(|r| r.node != context.cluster.node_id());
    let near: Vec<ReplicaId> = near.into_iter().map(|replica| replica.id).collect();
    let mut sources = Vec::new();
    if !near.is_empty() || far.is_empty() {
        let lines = context.scheduler.logs(near, asked).await?;
        sources.push(lines.map(ContainerLine::from).boxed());
    }
    for (node, replicas) in by_node(far) {
        if is_elsewhere(&context, &parts, node) {
            sources.push(far_lines(context.clone(), node, replicas, parts.clone()).boxed());
        }
    }
    Ok(streams::answer(&parts.headers, slot, stream::select_all(sources)))
}

fn by_node(replicas: Vec<&Replica>) -> BTreeMap<NodeId, Vec<ReplicaId>> {
    let mut nodes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for replica in replicas {
        nodes.entry(replica.node).or_default().push(replica.id);
    }
    nodes
}

/// What replicas of another node write, and what is missing of that.
fn far_lines(
    context: Shared,
    node: NodeId,
    replicas: Vec<ReplicaId>,
    parts: Parts,
) -> impl Stream<Item = ContainerLine> + Send + 'static {
    let lines = async move {
        match relay::lines::<ContainerLine>(&context, node, parts).await {
            Err(error) => stream::iter(missing(&replicas, &error.to_string())).boxed(),
            Ok(lines) => {
                let broke = format!("the connection to node {node} broke");
                let lines = lines.map(move |line| match line {
                    Ok(line) => vec![line],
                    Err(_) => missing(&replicas, &broke),
                });
                lines.flat_map(stream::iter).boxed()
            }
        }
    };
    stream::once(lines).flatten()
}

fn missing(replicas: &[ReplicaId], why: &str) -> Vec<ContainerLine> {
    let line = |replica: &ReplicaId| ContainerLine {
        at: Timestamp::now(),
        replica: *replica,
        stream: "temps".into(),
        text: format!("lines are missing here: {why}"),
    };
    replicas.iter().map(line).collect()
}
