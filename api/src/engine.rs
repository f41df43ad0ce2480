//! Whether this node's container engine answers. It is asked rarely, however many want to know.

use std::time::{Duration, Instant};

use axum::Json as Out;
use axum::extract::State;
use axum::http::uri::PathAndQuery;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use temps_scheduler::{LogQuery, Scheduler};
use temps_state::NodeId;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::context::{Context, Shared};
use crate::error::chain;
use crate::relay;

/// How long the engine may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long another node may take to say how its engine is.
const PEER_WITHIN: Duration = Duration::from_secs(3);
/// How long what the engine said is good.
const GOOD_FOR: Duration = Duration::from_secs(3);
/// Where nodes ask each other.
pub(crate) const PATH: &str = "/internal/engine";

/// What is known of the node's engine.
#[derive(Default)]
pub(crate) struct EngineSight(Mutex<Option<(Instant, Option<String>)>>);

impl EngineSight {
    /// Why the engine cannot be used; `None` when it answers. Who asks meanwhile waits for the same answer.
    pub async fn problem(&self, scheduler: &Scheduler) -> Option<String> {
        let mut seen = self.0.lock().await;
        if let Some((at, problem)) = &*seen
            && at.elapsed() < GOOD_FOR
        {
            return problem.clone();
        }
        let problem = ask(scheduler).await;
        *seen = Some((Instant::now(), problem.clone()));
        problem
    }
}

async fn ask(scheduler: &Scheduler) -> Option<String> {
    // The log of no replica takes an engine that answers, and nothing else.
    let nothing = LogQuery { follow: false, tail: 0, since: None };
    match timeout(ANSWER_WITHIN, scheduler.logs(Vec::new(), nothing)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => {
            let seconds = ANSWER_WITHIN.as_secs();
            Some(format!("the container engine does not answer within {seconds} seconds"))
        }
    }
}

/// What a node says of its engine.
#[derive(Serialize, Deserialize)]
pub(crate) struct EngineWord {
    problem: Option<String>,
}

/// Tells another node how this one's engine is.
pub(crate) async fn tell(State(context): State<Shared>) -> Out<EngineWord> {
    Out(EngineWord { problem: context.engine.problem(&context.scheduler).await })
}

/// Why the engine of a node cannot be used; `None` when it answers, or the node does not.
pub(crate) async fn problem_on(context: &Context, node: NodeId) -> Option<String> {
    if node == context.cluster.node_id() {
        return context.engine.problem(&context.scheduler).await;
    }
    let asked = async {
        let parts = relay::internal(PathAndQuery::from_static(PATH));
        let words = relay::lines::<EngineWord>(context, node, parts).await.ok()?;
        std::pin::pin!(words).next().await?.ok()?.problem
    };
    timeout(PEER_WITHIN, asked).await.ok().flatten()
}
