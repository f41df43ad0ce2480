//! What other nodes stream of something: asked for there, and asked for again while a follower is left.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use temps_state::{NodeId, State};
use tokio::time::sleep;

use crate::context::Shared;
use crate::relay;

/// Between two tries to follow a node that could not be reached, or whose stream broke off.
const RESUME_PAUSE: Duration = Duration::from_secs(2);

/// What is asked of the others.
pub(crate) trait Wish: Clone + Send + 'static {
    /// What they answer with, line by line.
    type Line: DeserializeOwned + Send + 'static;

    /// Whether what is to come is waited for, too.
    fn follows(&self) -> bool;

    /// The nodes that have some of it; `None` when there can be none any more.
    fn nodes(&self, state: &State) -> Option<BTreeSet<NodeId>>;

    /// Takes note of a line, so that it is not asked for again.
    fn saw(&mut self, line: &Self::Line);

    /// What is asked at this address after an interruption: nothing that was seen, and all that was missed.
    fn again(&self, path: &PathAndQuery) -> Option<PathAndQuery>;

    /// What says that lines of a node are missing, and why.
    fn missing(&mut self, state: &State, node: NodeId, why: &str) -> Vec<Self::Line>;
}

/// What all other nodes have. A follower takes up nodes that come to have some.
pub(crate) fn all<W: Wish>(
    context: &Shared,
    parts: &Parts,
    wish: W,
) -> impl Stream<Item = W::Line> + Send + 'static + use<W> {
    let (context, parts) = (context.clone(), parts.clone());
    let known = BTreeSet::from([context.cluster.node_id()]);
    let start = (context.cluster.watch(), wish.clone(), known, true);
    let nodes = stream::unfold(start, async |(mut changes, wish, mut known, first)| {
        loop {
            if !first && !wish.follows() {
                return None;
            }
            let state = changes.borrow_and_update().clone();
            let mut new = wish.nodes(&state)?;
            new.retain(|node| known.insert(*node));
            if first || !new.is_empty() {
                return Some((stream::iter(new), (changes, wish, known, false)));
            }
            changes.changed().await.ok()?;
        }
    });
    nodes
        .flatten()
        .map(move |node| of_node(&context, &parts, node, wish.clone()).boxed())
        .flatten_unordered(None)
}

/// What one other node has, and where something of that is missing.
pub(crate) fn of_node<W: Wish>(
    context: &Shared,
    parts: &Parts,
    node: NodeId,
    wish: W,
) -> impl Stream<Item = W::Line> + Send + 'static + use<W> {
    let (context, parts) = (context.clone(), parts.clone());
    let far = Far { context, parts, node, wish, lines: None, tried: false, told: false };
    stream::unfold(far, |mut far| async { Some((far.next().await?, far)) }).flat_map(stream::iter)
}

/// A node that is asked.
struct Far<W: Wish> {
    context: Shared,
    parts: Parts,
    node: NodeId,
    wish: W,
    lines: Option<BoxStream<'static, io::Result<W::Line>>>,
    tried: bool,
    /// Whether it was said that lines are missing, and none has come since.
    told: bool,
}

impl<W: Wish> Far<W> {
    async fn next(&mut self) -> Option<Vec<W::Line>> {
        loop {
            let Some(lines) = &mut self.lines else {
                if self.tried && !self.wish.follows() {
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
                    self.wish.saw(&line);
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
        while !self.wish.nodes(&changes.borrow_and_update())?.contains(&self.node) {
            changes.changed().await.ok()?;
        }
        let mut parts = self.parts.clone();
        if self.tried {
            parts.uri = self.wish.again(parts.uri.path_and_query()?)?.into();
        }
        self.tried = true;
        match relay::lines(&self.context, self.node, parts).await {
            Ok(lines) => self.lines = Some(lines.boxed()),
            Err(error) => return Some(Err(error.to_string())),
        }
        Some(Ok(()))
    }

    /// Says that lines are missing, once for each time that they are.
    fn missing(&mut self, why: &str) -> Option<Vec<W::Line>> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        Some(self.wish.missing(&self.context.cluster.state(), self.node, why))
    }
}
