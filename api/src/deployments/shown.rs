//! A deployment, as REST shows it.

use jiff::Timestamp;
use serde::Serialize;
use temps_state::{
    Artifact, Deployment, DeploymentId, EnvironmentId, Failure, FailureCode, NodeId, Phase,
    ProjectId, RunConfig, Source, State,
};
use utoipa::ToSchema;

use super::source::{RevisionBody, SourceOut};
use crate::audit::ActorOut;
use crate::links::Links;
use crate::replicas::ReplicaOut;

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Deployment)]
pub struct DeploymentOut {
    /// The deployment's id.
    #[schema(value_type = String)]
    pub id: DeploymentId,
    /// Its number in the project.
    pub number: u64,
    /// The project's id.
    #[schema(value_type = String)]
    pub project: ProjectId,
    /// The project's name.
    pub project_name: String,
    /// The environment's id.
    #[schema(value_type = String)]
    pub environment: EnvironmentId,
    /// The environment's name.
    pub environment_name: String,
    /// What it is made of.
    pub source: SourceOut,
    /// The commit it is made from.
    pub revision: Option<RevisionBody>,
    /// Who asked for it.
    pub created_by: ActorOut,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// `queued`, `building`, `preparing`, `starting`, `live`, `kept`, `retired`, `failed` or `cancelled`.
    pub phase: &'static str,
    /// What it waits for; only while it waits for its build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueOut>,
    /// The node that builds or prepares it.
    #[schema(value_type = Option<u64>)]
    pub on: Option<NodeId>,
    /// The node that built it, and has the log of that; null until one began to.
    #[schema(value_type = Option<u64>)]
    pub built_on: Option<NodeId>,
    /// Why it failed.
    pub failure: Option<FailureOut>,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// When it entered each phase.
    pub history: Vec<MomentOut>,
    /// How it runs; null until it is built.
    pub config: Option<ConfigOut>,
    /// What was built; null until then.
    pub artifact: Option<ArtifactOut>,
    /// Where its environment is served.
    pub url: String,
    /// Its containers.
    pub replicas: Vec<ReplicaOut>,
}

/// What a queued deployment waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Queue)]
pub struct QueueOut {
    /// How many builds are ahead of it: those under way, and those that have waited longer.
    pub ahead: usize,
}

/// When a deployment entered a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Moment)]
pub struct MomentOut {
    /// The phase.
    pub phase: String,
    /// When.
    pub at: Timestamp,
}

/// Why a deployment or a replica failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Failure)]
pub struct FailureOut {
    /// The kind of failure; stable.
    #[schema(value_type = String)]
    pub code: FailureCode,
    /// What failed, and why.
    pub message: String,
    /// What to try next.
    pub hint: String,
    /// The last lines of the log.
    pub log_tail: Vec<String>,
}

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Artifact)]
pub enum ArtifactOut {
    /// A container image.
    Image {
        /// Its id in the engine.
        id: String,
    },
    /// A folder that the edge serves.
    Static {
        /// SHA-256 of its archive.
        digest: String,
        /// Whether unknown paths get `index.html`.
        single_page: bool,
    },
}

/// How a deployment's replicas run and are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RunConfig)]
pub struct ConfigOut {
    /// The preset that built it.
    pub preset: String,
    /// The port its replicas listen on.
    pub port: u16,
    /// The command run instead of the image's own.
    pub command: Option<Vec<String>>,
    /// When a replica counts as healthy.
    pub health: HealthOut,
    /// What a replica may use.
    pub resources: ResourcesOut,
    /// Labels that a node must have to run its replicas.
    pub node_labels: std::collections::BTreeMap<String, String>,
    /// Commands run once before the first replica starts.
    pub before_deploy: Vec<String>,
    /// Requests made on a schedule.
    pub cron: Vec<CronOut>,
    /// Seconds that requests on an old replica may take to end.
    pub drain_seconds: u32,
}

/// When a replica counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HealthCheck)]
pub struct HealthOut {
    /// The path asked for; a TCP connection suffices when null.
    pub path: Option<String>,
    /// The status expected; any from 200 to 399 when null.
    pub status: Option<u16>,
    /// Milliseconds between checks.
    pub interval_ms: u32,
    /// Milliseconds a check may take.
    pub timeout_ms: u32,
    /// How many checks in a row change the verdict.
    pub threshold: u32,
    /// Seconds a new replica has to become healthy.
    pub deadline_seconds: u32,
}

/// What a replica may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Resources)]
pub struct ResourcesOut {
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Mebibytes of memory.
    pub memory_mib: u32,
    /// Processes and threads.
    pub pids: u32,
}

/// A request on a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CronJob)]
pub struct CronOut {
    /// What people call it.
    pub name: String,
    /// Five fields of a crontab line, in UTC.
    pub schedule: String,
    /// The path asked for.
    pub path: String,
}

impl DeploymentOut {
    pub(crate) fn of(state: &State, links: &Links, deployment: &Deployment) -> Self {
        let environment = state.environments.get(&deployment.environment);
        let project = state.projects.get(&deployment.project);
        let on = match deployment.phase {
            Phase::Building { on } | Phase::Preparing { on } => Some(on),
            _ => None,
        };
        let (failure, reason) = match &deployment.phase {
            Phase::Failed { failure } => (Some(failure.into()), None),
            Phase::Cancelled { reason } => (None, Some(reason.clone())),
            _ => (None, None),
        };
        let moments = deployment.history.iter();
        Self {
            id: deployment.id,
            number: deployment.number,
            project: deployment.project,
            project_name: project.map(|p| p.name.to_string()).unwrap_or_default(),
            environment: deployment.environment,
            environment_name: environment.map(|e| e.name.to_string()).unwrap_or_default(),
            source: (&deployment.source).into(),
            revision: deployment.revision.as_ref().map(Into::into),
            created_by: ActorOut::of(state, &deployment.created_by),
            created_at: deployment.created_at,
            phase: deployment.phase.name(),
            queue: QueueOut::of(state, deployment),
            on,
            built_on: deployment.built_on,
            failure,
            reason,
            history: moments.map(|m| MomentOut { phase: m.phase.clone(), at: m.at }).collect(),
            config: deployment.config.clone().map(Into::into),
            artifact: deployment.artifact.clone().map(Into::into),
            url: environment.map(|e| links.app(state, e)).unwrap_or_default(),
            replicas: state
                .replicas_of(deployment.id)
                .map(|replica| ReplicaOut::of(state, replica))
                .collect(),
        }
    }
}

impl QueueOut {
    /// `None` unless the deployment waits for its build; what reuses an earlier build has none to wait for.
    fn of(state: &State, deployment: &Deployment) -> Option<Self> {
        let waits = |d: &Deployment| {
            d.phase == Phase::Queued && !matches!(d.source, Source::Artifact { .. })
        };
        let is_ahead = |d: &&Deployment| match d.phase {
            Phase::Building { .. } => true,
            _ => waits(d) && d.id < deployment.id,
        };
        let ahead = || state.deployments.values().filter(is_ahead).count();
        waits(deployment).then(|| Self { ahead: ahead() })
    }
}

impl From<&Failure> for FailureOut {
    fn from(failure: &Failure) -> Self {
        let Failure { code, message, hint, log_tail } = failure.clone();
        Self { code, message, hint, log_tail }
    }
}

impl From<Artifact> for ArtifactOut {
    fn from(artifact: Artifact) -> Self {
        match artifact {
            Artifact::Image { id } => Self::Image { id },
            Artifact::Static { digest, single_page } => Self::Static { digest, single_page },
        }
    }
}

impl From<RunConfig> for ConfigOut {
    fn from(config: RunConfig) -> Self {
        let RunConfig {
            preset,
            port,
            port_assumed: _,
            command,
            health,
            resources,
            node_labels,
            before_deploy,
            cron,
            drain_seconds,
        } = config;
        let temps_state::HealthCheck {
            path,
            status,
            interval_ms,
            timeout_ms,
            threshold,
            deadline_seconds,
        } = health;
        let temps_state::Resources { cpu_millis, memory_mib, pids } = resources;
        let health =
            HealthOut { path, status, interval_ms, timeout_ms, threshold, deadline_seconds };
        let resources = ResourcesOut { cpu_millis, memory_mib, pids };
        let cron = cron.into_iter().map(CronOut::from).collect();
        Self {
            preset,
            port,
            command,
            health,
            resources,
            node_labels,
            before_deploy,
            cron,
            drain_seconds,
        }
    }
}

impl From<temps_state::CronJob> for CronOut {
    fn from(job: temps_state::CronJob) -> Self {
        let temps_state::CronJob { name, schedule, path } = job;
        Self { name, schedule, path }
    }
}
