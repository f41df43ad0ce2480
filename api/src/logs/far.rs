//! What replicas of other nodes write: asked for there, and asked for again while a follower is left.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use temps_scheduler::LogQuery;
use temps_state::{EnvironmentId, NodeId, ReplicaId, State};
use tokio::time::sleep;

use super::{ContainerLine, TAIL_MAX};
use crate::context::Shared;
use crate::relay;

/// Between two tries to follow a node that could not be reached, or whose stream broke off.
const RESUME_PAUSE: Duration = Duration::from_secs(2);

/// Whose lines are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose {
    pub(super) environment: EnvironmentId,
    /// All of what is live there when `None`.
    pub(super) replica: Option<ReplicaId>,
}

impl Whose {
    /// Those that are on a node; `None` when there can be none any more.
    fn on(self, state: &State, node: NodeId) -> Option<Vec<ReplicaId>> {
        let environment = state.environments.get(&self.environment)?;
        if let Some(replica) = self.replica {
            let there = state.replicas.get(&replica)?.node == node;
            return there.then(|| vec![replica]);
        }
        let replicas = environment.current.into_iter().flat_map(|id| state.replicas_of(id));
        Some(replicas.filter(|replica| replica.node == node).map(|replica| replica.id).collect())
    }

    fn nodes(self, state: &State) -> Option<BTreeSet<NodeId>> {
        let current = state.environments.get(&self.environment)?.current;
        let replicas = current.into_iter().flat_map(|id| state.replicas_of(id));
        Some(replicas.map(|replica| replica.node).collect())
    }
}

/// What an environment's replicas on all other nodes write. A follower takes up nodes that such a replica comes to.
pub(super) fn all(
    context: &Shared,
    parts: &Parts,
    whose: Whose,
    asked: LogQuery,
) -> impl Stream<Item = ContainerLine> + Send + 'static {
    let (context, parts) = (context.clone(), parts.clone());
    let known = BTreeSet::from([context.cluster.node_id()]);
    let start = (context.cluster.watch(), known, true);
    let nodes = stream::unfold(start, move |(mut changes, mut known, first)| async move {
        loop {
            if !first && !asked.follow {
                return None;
            }
            let state = changes.borrow_and_update().clone();
            let mut new = whose.nodes(&state)?;
            new.retain(|node| known.insert(*node));
            if first || !new.is_empty() {
                return Some((stream::iter(new), (changes, known, false)));
            }
            changes.changed().await.ok()?;
        }
    });
    nodes
        .flatten()
        .map(move |node| of_node(&context, &parts, node, whose, asked).boxed())
        .flatten_unordered(None)
}

/// What replicas of one other node write, and where something of that is missing.
pub(super) fn of_node(
    context: &Shared,
    parts: &Parts,
    node: NodeId,
    whose: Whose,
    asked: LogQuery,
) -> impl Stream<Item = ContainerLine> + Send + 'static {
    let (context, parts) = (context.clone(), parts.clone());
    let far = Far { context, parts, node, whose, asked, lines: None, tried: false, told: false };
    stream::unfold(far, |mut far| async { Some((far.next().await?, far)) }).flat_map(stream::iter)
}

/// A node that is asked.
struct Far {
    context: Shared,
    parts: Parts,
    node: NodeId,
    whose: Whose,
    asked: LogQuery,
    lines: Option<BoxStream<'static, std::io::Result<ContainerLine>>>,
    tried: bool,
    /// Whether it was said that lines are missing, and none has come since.
    told: bool,
}

impl Far {
    async fn next(&mut self) -> Option<Vec<ContainerLine>> {
        loop {
            let Some(lines) = &mut self.lines else {
                if self.tried && !self.asked.follow {
                    return None;
                }
                if let Err(why) = self.ask().await?
                    && let Some(missing) = self.missing(&why)
                {
                    return Some(missing);
                }
                continue;
            };
            match lines.next().await {
                Some(Ok(line)) => {
                    self.told = false;
                    self.asked.since = self.asked.since.max(Some(line.at));
                    return Some(vec![line]);
                }
                Some(Err(_)) => {
                    self.lines = None;
                    let broke = format!("the connection to node {} broke", self.node);
                    if let Some(missing) = self.missing(&broke) {
                        return Some(missing);
                    }
                }
                None => self.lines = None,
            }
        }
    }

    /// Asks as soon as there is something to ask for; `None` when there never will be again.
    async fn ask(&mut self) -> Option<Result<(), String>> {
        if self.tried {
            sleep(RESUME_PAUSE).await;
        }
        let mut changes = self.context.cluster.watch();
        while self.whose.on(&changes.borrow_and_update(), self.node)?.is_empty() {
            changes.changed().await.ok()?;
        }
        let mut parts = self.parts.clone();
        if self.tried {
            // What was seen is not asked for again, and nothing of what was missed is left out.
            self.asked.tail = TAIL_MAX;
            parts.uri = query(parts.uri.path(), self.whose, self.asked)?.into();
        }
        self.tried = true;
        match relay::lines(&self.context, self.node, parts).await {
            Ok(lines) => self.lines = Some(lines.boxed()),
            Err(error) => return Some(Err(error.to_string())),
        }
        Some(Ok(()))
    }

    /// Says that lines are missing, once for each time that they are.
    fn missing(&mut self, why: &str) -> Option<Vec<ContainerLine>> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let at = Timestamp::now();
        self.asked.since = self.asked.since.or(Some(at));
        let line = |replica| ContainerLine {
            at,
            replica,
            stream: "temps".into(),
            text: format!("lines are missing here: {why}"),
        };
        let state = self.context.cluster.state();
        Some(self.whose.on(&state, self.node)?.into_iter().map(line).collect())
    }
}

fn query(path: &str, whose: Whose, asked: LogQuery) -> Option<PathAndQuery> {
    let LogQuery { follow, tail, since } = asked;
    let since = since.map(|at| format!("&since={at}")).unwrap_or_default();
    let replica = whose.replica.map(|id| format!("&replica={id}")).unwrap_or_default();
    format!("{path}?follow={follow}&tail={tail}{since}{replica}").parse().ok()
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    #[test]
    fn what_is_asked_for_again_begins_where_it_broke_off() {
        let whose = Whose {
            environment: EnvironmentId::from_parts(1, 1),
            replica: Some(ReplicaId::from_parts(1, 2)),
        };
        let since = Some("2026-01-02T03:04:05.5Z".parse().expect("a time"));
        let asked = LogQuery { follow: true, tail: 7, since };
        let replica = ReplicaId::from_parts(1, 2);
        let path = query("/api/x", whose, asked).expect("it is one");
        let expected =
            format!("/api/x?follow=true&tail=7&since=2026-01-02T03:04:05.5Z&replica={replica}");
        assert_eq!(path.as_str(), expected);
    }
}
