//! `/api/projects/{p}/environments/{e}/replicas`: the containers of an environment.

use std::net::SocketAddr;

use axum::Json as Out;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_scheduler::Stats;
use temps_state::{DeploymentId, Intent, NodeId, Observed, Replica, ReplicaId, State as Agreed};
use utoipa::ToSchema;

use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deployments::FailureOut;
use crate::relay::{is_elsewhere, send_on};
use crate::{ApiError, ids};

/// How many characters of a replica's id its container's name ends with.
const CONTAINER_ID_CHARS: usize = 8;

/// A replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Replica)]
pub struct ReplicaOut {
    /// The replica's id.
    #[schema(value_type = String)]
    pub id: ReplicaId,
    /// The node that runs it.
    #[schema(value_type = u64)]
    pub node: NodeId,
    /// What it runs.
    #[schema(value_type = String)]
    pub deployment: DeploymentId,
    /// What it is wanted for.
    pub intent: IntentOut,
    /// What its node last saw of it.
    pub observed: ObservedOut,
    /// When it was placed.
    pub created_at: Timestamp,
    /// The name of its container.
    pub container: Option<String>,
}

/// What a replica is wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Intent)]
pub enum IntentOut {
    /// Take traffic.
    Serve,
    /// End what is under way.
    Drain {
        /// When that is over.
        until: Timestamp,
    },
    /// Wait for a rollback.
    Keep,
}

/// What a node sees of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Observed)]
pub enum ObservedOut {
    /// Nothing yet.
    Pending,
    /// It runs and is not healthy yet.
    Starting,
    /// It answers its health check.
    Healthy {
        /// Where it listens.
        #[schema(value_type = String)]
        endpoint: SocketAddr,
    },
    /// It does not answer as it should.
    Unhealthy {
        /// Why.
        failure: FailureOut,
    },
    /// It could not be started, or it ended.
    Down {
        /// Why.
        failure: FailureOut,
    },
}

/// What a replica uses now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Stats)]
pub struct StatsOut {
    /// Hundredths of one processor.
    pub cpu_percent: f64,
    /// Octets of memory in use.
    pub memory_bytes: u64,
    /// Octets of memory it may use.
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl From<Stats> for StatsOut {
    fn from(stats: Stats) -> Self {
        let Stats { cpu_percent, memory_bytes, memory_limit_bytes, pids } = stats;
        Self { cpu_percent, memory_bytes, memory_limit_bytes, pids }
    }
}

impl ReplicaOut {
    pub(crate) fn of(state: &Agreed, replica: &Replica) -> Self {
        Self {
            id: replica.id,
            node: replica.node,
            deployment: replica.deployment,
            intent: match replica.intent {
                Intent::Serve => IntentOut::Serve,
                Intent::Drain { until } => IntentOut::Drain { until },
                Intent::Keep => IntentOut::Keep,
            },
            observed: match &replica.observed {
                Observed::Pending => ObservedOut::Pending,
                Observed::Starting => ObservedOut::Starting,
                Observed::Healthy { endpoint } => ObservedOut::Healthy { endpoint: *endpoint },
                Observed::Unhealthy { failure } => {
                    ObservedOut::Unhealthy { failure: failure.into() }
                }
                Observed::Down { failure } => ObservedOut::Down { failure: failure.into() },
            },
            created_at: replica.created_at,
            container: container(state, replica),
        }
    }
}

fn container(state: &Agreed, replica: &Replica) -> Option<String> {
    let environment = state.environments.get(&replica.environment)?;
    let project = state.projects.get(&environment.project)?;
    let id = replica.id.to_string();
    let tail = &id[id.len().saturating_sub(CONTAINER_ID_CHARS)..];
    Some(format!("temps-{}-{}-{tail}", project.name, environment.name))
}

/// Lists the replicas of an environment.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/replicas", tag = "replicas",
    responses((status = 200, body = Vec<ReplicaOut>))
)]
pub(crate) async fn list(
    MayRead(_): MayRead,
    Path(path): Path<(String, String)>,
    Seen(state): Seen,
) -> Result<Out<Vec<ReplicaOut>>, ApiError> {
    let (_, environment) = ids::place(&state, &path)?;
    let of = state.replicas.values().filter(|replica| replica.environment == environment.id);
    Ok(Out(of.map(|replica| ReplicaOut::of(&state, replica)).collect()))
}

/// What a replica uses now.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/replicas/{r}/stats", tag = "replicas",
    responses((status = 200, body = StatsOut))
)]
pub(crate) async fn stats(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path((p, e, r)): Path<(String, String, String)>,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let (_, environment) = ids::place(&state, &(p, e))?;
    let Replica { id, node, .. } = *ids::replica(&state, environment, &r)?;
    if is_elsewhere(&context, &parts, node) {
        return send_on(&context, node, Request::from_parts(parts, Body::empty())).await;
    }
    let stats = context.scheduler.stats(id).await?;
    Ok(Out(StatsOut::from(stats)).into_response())
}
