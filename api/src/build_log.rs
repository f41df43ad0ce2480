//! The log of a build, wherever it ran.

use axum::http::request::Parts;
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use temps_state::{Deployment, DeploymentId, NodeId, Phase, Source, State};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::context::{Context, Shared};
use crate::error::chain;
use crate::internal::build_log_path;
use crate::logs::{BuildLine, own_log};
use crate::relay;

/// How many lines may wait for whoever reads.
const LINES_WAITING_MAX: usize = 64;

/// How a node's part of a log ended.
enum Ended {
    /// There is no more.
    Whole,
    /// Nobody listens any more.
    Unheard,
    /// The node could not be reached, or was lost.
    Lost,
}

/// Every line of a build log; with `follow` also those to come, until the deployment is over.
pub(crate) fn build_log(
    context: &Shared,
    id: DeploymentId,
    follow: bool,
) -> impl Stream<Item = BuildLine> + Send + 'static + use<> {
    let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
    // It ends when nobody listens any more.
    tokio::spawn(send_log(context.clone(), id, follow, sender));
    ReceiverStream::new(lines)
}

async fn send_log(context: Shared, id: DeploymentId, follow: bool, to: mpsc::Sender<BuildLine>) {
    let mut lost = None;
    while let Some(node) = builder_of(&context, id, follow, lost, &to).await {
        match send_part(&context, id, follow, node, &to).await {
            Ended::Lost if follow => lost = Some(node),
            Ended::Whole if follow && goes_on(&context, id, node).await => lost = Some(node),
            _ => return,
        }
    }
}

/// Whether the log goes on at another node than this one, which could not build.
async fn goes_on(context: &Context, id: DeploymentId, after: NodeId) -> bool {
    let state = context.cluster.read_latest().await.unwrap_or_else(|_| context.cluster.state());
    let returned = |deployment: &Deployment| deployment.was_returned_by(after);
    state.deployments.get(&id).is_some_and(returned)
        || log_of(&state, id, context.cluster.node_id()) != after
}

/// The node whose log is the deployment's. What never was built has an empty log, on every node.
fn log_of(state: &State, id: DeploymentId, me: NodeId) -> NodeId {
    built_on(state, id).unwrap_or(me)
}

/// The node that has the log, or will have it; `None` when there is none but `lost`, or nobody wants to know.
async fn builder_of(
    context: &Context,
    id: DeploymentId,
    follow: bool,
    lost: Option<NodeId>,
    to: &mpsc::Sender<BuildLine>,
) -> Option<NodeId> {
    let mut applied = context.cluster.watch();
    let known = applied.wait_for(|state| !follow || has_log(state, id, lost) || is_over(state, id));
    let state = tokio::select! {
        state = known => state.ok()?.clone(),
        () = to.closed() => return None,
    };
    let node = log_of(&state, id, context.cluster.node_id());
    (Some(node) != lost).then_some(node)
}

/// The node that builds, or built, a deployment.
fn built_on(state: &State, id: DeploymentId) -> Option<NodeId> {
    let deployment = state.deployments.get(&id)?;
    match (&deployment.source, &deployment.phase) {
        // What an earlier deployment built has no log of its own.
        (Source::Artifact { .. }, _) => None,
        (_, Phase::Building { on }) => Some(*on),
        _ => deployment.built_on,
    }
}

fn has_log(state: &State, id: DeploymentId, lost: Option<NodeId>) -> bool {
    built_on(state, id).is_some_and(|node| Some(node) != lost)
}

fn is_over(state: &State, id: DeploymentId) -> bool {
    state.deployments.get(&id).is_none_or(|deployment| !deployment.phase.is_under_way())
}

async fn send_part(
    context: &Context,
    id: DeploymentId,
    follow: bool,
    node: NodeId,
    to: &mpsc::Sender<BuildLine>,
) -> Ended {
    if node == context.cluster.node_id() {
        return send_all(own_log(context, id, follow).map(Ok), to).await;
    }
    let parts: Parts = relay::internal(build_log_path(id, follow));
    let ended = match relay::lines::<BuildLine>(context, node, parts).await {
        Ok(lines) => send_all(lines, to).await,
        Err(error) => send_all(stream::iter([Err(std::io::Error::other(chain(&error)))]), to).await,
    };
    if let Ended::Lost = ended {
        let text = format!("node {node}, which has this log, cannot be reached: lines are missing");
        let _ = to.send(BuildLine { at: Timestamp::now(), step: String::new(), text }).await;
    }
    ended
}

async fn send_all(
    lines: impl Stream<Item = std::io::Result<BuildLine>>,
    to: &mpsc::Sender<BuildLine>,
) -> Ended {
    let mut lines = std::pin::pin!(lines);
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = to.closed() => return Ended::Unheard,
        };
        match line {
            None => return Ended::Whole,
            Some(Err(_)) => return Ended::Lost,
            Some(Ok(line)) => {
                if to.send(line).await.is_err() {
                    return Ended::Unheard;
                }
            }
        }
    }
}
