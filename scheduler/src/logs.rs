//! The logs of replicas, merged: first what there is, in order of time, then what comes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::LogsOptionsBuilder;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use temps_raft::{Applied, Cluster};
use temps_state::{EnvironmentId, NodeId, ReplicaId, State};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::log_line::ReplicaLine;
use crate::runtime::Runtime;

/// The most lines of the past that one request gets.
pub const LOG_LINES_MAX: u32 = 10_000;
/// Between two tries to follow a container whose log stream ended, as when it is restarted.
const RESUME_PAUSE: Duration = Duration::from_millis(500);

/// Which lines to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Whether to go on with lines that are written later.
    pub follow: bool,
    /// How many of the last lines to begin with, at most [`LOG_LINES_MAX`].
    pub tail: u32,
    /// Only lines written later than this.
    pub since: Option<Timestamp>,
}

/// The lines of some replicas. A follower ends when every replica is gone.
pub async fn lines(
    runtime: Runtime,
    cluster: Cluster,
    replicas: Vec<ReplicaId>,
    query: LogQuery,
) -> impl Stream<Item = ReplicaLine> + Send + 'static {
    let began = Timestamp::now();
    let past = join_all(replicas.iter().map(|id| past(&runtime, *id, query))).await;
    let followers: Vec<BoxStream<'static, ReplicaLine>> = replicas
        .iter()
        .zip(&past)
        .filter(|_| query.follow)
        .map(|(id, past)| {
            let seen = past.last().map(|line| line.at).or(query.since).unwrap_or(began);
            follow(Follower {
                runtime: runtime.clone(),
                cluster: cluster.clone(),
                replica: *id,
                seen,
            })
        })
        .collect();
    stream::iter(last(past.concat(), query.tail)).chain(stream::select_all(followers))
}

/// The lines of this node's replicas of what is live in an environment. A follower goes on with those that are placed
/// here later, and ends when the environment is gone.
pub async fn environment_lines(
    runtime: Runtime,
    cluster: Cluster,
    environment: EnvironmentId,
    query: LogQuery,
) -> impl Stream<Item = ReplicaLine> + Send + 'static {
    let began = Timestamp::now();
    let me = cluster.node_id();
    let changes = cluster.watch();
    let here = here(&cluster.state(), me, environment).unwrap_or_default();
    let lines = lines(runtime.clone(), cluster.clone(), here.clone(), query).await;
    let come = arrivals(changes, me, environment, here.into_iter().collect());
    let come = come.map(move |replica| {
        follow(Follower {
            runtime: runtime.clone(),
            cluster: cluster.clone(),
            replica,
            seen: began,
        })
    });
    // Only a follower waits for arrivals.
    let come = stream::iter(query.follow.then_some(come)).flatten();
    let lines = stream::once(std::future::ready(lines.boxed()));
    stream::select(lines, come).flatten_unordered(None)
}

/// A node's replicas of what is live in an environment; `None` when that is gone.
fn here(state: &State, me: NodeId, environment: EnvironmentId) -> Option<Vec<ReplicaId>> {
    let current = state.environments.get(&environment)?.current;
    let replicas = current.into_iter().flat_map(|current| state.replicas_of(current));
    Some(replicas.filter(|replica| replica.node == me).map(|replica| replica.id).collect())
}

/// Whether other nodes have replicas of what is live in an environment, and this one has none.
pub fn is_elsewhere_only(state: &State, me: NodeId, environment: EnvironmentId) -> bool {
    let current = state.environments.get(&environment).and_then(|environment| environment.current);
    let mut nodes = current.into_iter().flat_map(|current| state.replicas_of(current));
    let first = nodes.next().map(|replica| replica.node);
    first.is_some_and(|first| first != me) && nodes.all(|replica| replica.node != me)
}

/// The replicas that come to be here and live, each once; ends when the environment is gone.
fn arrivals(
    changes: watch::Receiver<Arc<Applied>>,
    me: NodeId,
    environment: EnvironmentId,
    known: BTreeSet<ReplicaId>,
) -> impl Stream<Item = ReplicaId> + Send + 'static {
    let start = (changes, known);
    let arrivals = stream::unfold(start, move |(mut changes, mut known)| async move {
        loop {
            let state = changes.borrow_and_update().clone();
            let mut new = here(&state, me, environment)?;
            new.retain(|id| known.insert(*id));
            if !new.is_empty() {
                known.retain(|id| state.replicas.contains_key(id));
                return Some((stream::iter(new), (changes, known)));
            }
            changes.changed().await.ok()?;
        }
    });
    arrivals.flatten()
}

/// The newest lines of all, oldest first.
fn last(mut lines: Vec<ReplicaLine>, tail: u32) -> Vec<ReplicaLine> {
    lines.sort_by_key(|line| line.at);
    let surplus = lines.len().saturating_sub(tail.min(LOG_LINES_MAX) as usize);
    lines.split_off(surplus)
}

async fn past(runtime: &Runtime, replica: ReplicaId, query: LogQuery) -> Vec<ReplicaLine> {
    let tail = query.tail.min(LOG_LINES_MAX);
    let lines = read(runtime, replica, query.since, Some(tail)).await;
    lines.take(tail as usize).collect().await
}

/// A container's log from a moment on; with a `tail` only what is there, without one also what comes.
async fn read(
    runtime: &Runtime,
    replica: ReplicaId,
    since: Option<Timestamp>,
    tail: Option<u32>,
) -> BoxStream<'static, ReplicaLine> {
    let (Ok(container), Ok(docker)) = (runtime.container_of(replica).await, runtime.docker().await)
    else {
        return stream::empty().boxed();
    };
    // The engine counts `since` in whole seconds.
    let seconds = since.map_or(0, |since| i32::try_from(since.as_second()).unwrap_or(i32::MAX));
    let tail_text = tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string());
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .follow(tail.is_none())
        .since(seconds)
        .tail(&tail_text)
        .build();
    docker
        .logs(&container.id, Some(options))
        .take_while(|line| std::future::ready(line.is_ok()))
        .filter_map(move |line| {
            let line = line.ok().and_then(|line| ReplicaLine::read(replica, &line));
            std::future::ready(line.filter(|line| since.is_none_or(|since| line.at > since)))
        })
        .boxed()
}

struct Follower {
    runtime: Runtime,
    cluster: Cluster,
    replica: ReplicaId,
    seen: Timestamp,
}

/// Follows a replica through restarts of its container and of the engine, until its row is gone.
fn follow(follower: Follower) -> BoxStream<'static, ReplicaLine> {
    let start = (follower, stream::empty().boxed());
    stream::unfold(start, |(mut follower, mut lines): (Follower, BoxStream<ReplicaLine>)| async {
        loop {
            if let Some(line) = lines.next().await {
                follower.seen = follower.seen.max(line.at);
                return Some((line, (follower, lines)));
            }
            if !follower.cluster.state().replicas.contains_key(&follower.replica) {
                return None;
            }
            sleep(RESUME_PAUSE).await;
            lines = read(&follower.runtime, follower.replica, Some(follower.seen), None).await;
        }
    })
    .boxed()
}
