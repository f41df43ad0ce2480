//! `/api/projects/{p}/environments/{e}/stats`: what the replicas of an environment use, again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::response::Response;
use futures::{Stream, StreamExt, future, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_state::{EnvironmentId, Intent, NodeId, Observed, Replica, ReplicaId, State as Agreed};
use tokio::time::sleep;
use utoipa::ToSchema;

use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::far::Wish;
use crate::relay::Relayed;
use crate::replicas::StatsOut;
use crate::{ApiError, far, ids, streams};

/// Between two rounds. The engine takes a second for a look.
const PAUSE: Duration = Duration::from_secs(2);
/// How many replicas are looked at together.
const TOGETHER: usize = 8;

/// What a replica uses.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageOut {
    /// When.
    pub at: Timestamp,
    /// Which one.
    #[schema(value_type = String)]
    pub replica: ReplicaId,
    /// What.
    #[serde(flatten)]
    pub stats: StatsOut,
}

/// Streams what the replicas of an environment use, of all nodes, every few seconds.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/stats", tag = "replicas",
    responses((status = 200, body = UsageOut, content_type = "application/x-ndjson"))
)]
pub(crate) async fn follow(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    Path(path): Path<(String, String)>,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let (_, environment) = ids::place(&state, &path)?;
    let follower = context.follow(Some(caller))?;
    let near = own(context.clone(), environment.id);
    let lines = match parts.extensions.get::<Relayed>() {
        Some(Relayed) => near.boxed(),
        None => {
            let others = far::all(&context, &parts, FromOthers { environment: environment.id });
            stream::select(near, others).boxed()
        }
    };
    Ok(streams::answer(&parts, follower, lines))
}

/// What those of this node use, until the environment is gone.
fn own(
    context: Shared,
    environment: EnvironmentId,
) -> impl Stream<Item = UsageOut> + Send + 'static {
    let rounds = stream::unfold((context, false), move |(context, again)| async move {
        if again {
            sleep(PAUSE).await;
        }
        let state = context.cluster.state();
        state.environments.get(&environment)?;
        let here = state.replicas_on(context.cluster.node_id());
        let mine = here.filter(|replica| replica.environment == environment && runs(replica));
        let mine: Vec<ReplicaId> = mine.map(|replica| replica.id).collect();
        let looks = stream::iter(mine).map(|replica| look(&context, replica));
        let seen: Vec<_> =
            looks.buffer_unordered(TOGETHER).filter_map(future::ready).collect().await;
        Some((stream::iter(seen), (context, true)))
    });
    rounds.flatten()
}

fn runs(replica: &Replica) -> bool {
    let is_up = matches!(replica.observed, Observed::Healthy { .. } | Observed::Unhealthy { .. });
    is_up && replica.intent != Intent::Keep
}

/// Nothing of one that has just ended.
async fn look(context: &Context, replica: ReplicaId) -> Option<UsageOut> {
    let stats = context.scheduler.stats(replica).await.ok()?;
    Some(UsageOut { at: Timestamp::now(), replica, stats: stats.into() })
}

/// What is asked of the others.
#[derive(Debug, Clone, Copy)]
struct FromOthers {
    environment: EnvironmentId,
}

impl Wish for FromOthers {
    type Line = UsageOut;

    fn follows(&self) -> bool {
        true
    }

    fn nodes(&self, state: &Agreed) -> Option<BTreeSet<NodeId>> {
        state.environments.get(&self.environment)?;
        let of = state.replicas.values().filter(|one| one.environment == self.environment);
        Some(of.map(|replica| replica.node).collect())
    }

    fn saw(&mut self, _: &UsageOut) {}

    fn again(&self, path: &PathAndQuery) -> Option<PathAndQuery> {
        Some(path.clone())
    }

    /// Whoever watches sees that nothing comes.
    fn missing(&mut self, _: &Agreed, _: NodeId, _: &str) -> Vec<UsageOut> {
        vec![]
    }
}
