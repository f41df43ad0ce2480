//! Deployments: one attempt each to run one version of a project in one environment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::replica::Intent;
use crate::table::retain;
use crate::{
    Actor, DeploymentId, Environment, EnvironmentId, NodeId, ProjectId, Rejected, ReplicaId, Reply,
    RunConfig, Sealed, State, VariableName,
};

/// How many finished deployments an environment remembers.
pub const DEPLOYMENTS_KEPT_MAX: usize = 50;
/// How many moments a deployment's history holds.
pub const HISTORY_MAX: usize = 32;

/// One attempt to run one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The deployment's id.
    pub id: DeploymentId,
    /// Its number in the project, from 1.
    pub number: u64,
    /// The project it is a version of.
    pub project: ProjectId,
    /// Where it runs.
    pub environment: EnvironmentId,
    /// What it is made of.
    pub source: Source,
    /// The commit it was made from, when there is one.
    pub revision: Option<Revision>,
    /// Who asked for it.
    pub created_by: Actor,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// When it entered each phase so far.
    pub history: Vec<Moment>,
    /// How it runs; known once it is built.
    pub config: Option<RunConfig>,
    /// What the build made.
    pub artifact: Option<Artifact>,
    /// The variables it runs with, as they were when its build ended; sealed where the environment's are.
    pub variables: BTreeMap<VariableName, Sealed>,
}

/// When a deployment entered a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The phase's name, see [`Phase::name`].
    pub phase: String,
    /// When it began.
    pub at: Timestamp,
}

/// What a deployment is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source {
    /// A folder sent by a client or a `git push`, kept under its SHA-256 digest.
    Upload {
        /// SHA-256 of the archive, in hex.
        digest: String,
    },
    /// A commit of a Git repository; the branch's newest when none is named.
    Git {
        /// Where to clone from.
        url: String,
        /// The branch; the repository's default when `None`.
        branch: Option<String>,
        /// The commit; the branch's newest when `None`.
        commit: Option<String>,
        /// The folder of the app inside the repository; empty for its root.
        directory: String,
    },
    /// A ready image.
    Image {
        /// Its reference, such as `nginx:stable`.
        reference: String,
    },
    /// What an earlier deployment built.
    Artifact {
        /// That deployment.
        of: DeploymentId,
    },
}

/// The commit a deployment was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The branch.
    pub branch: Option<String>,
    /// The commit's full hash.
    pub commit: String,
    /// The first line of its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
}

/// What a build made, and what its replicas or the edge serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Artifact {
    /// A container image.
    Image {
        /// The image's id in the engine, `sha256:…`.
        id: String,
    },
    /// A folder of files that the edge serves itself.
    Static {
        /// SHA-256 of the folder's archive, in hex.
        digest: String,
        /// Whether unknown paths get `index.html`.
        single_page: bool,
    },
}

/// Where a deployment stands. Each variant holds what that moment knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Phase {
    /// Waits for a builder.
    Queued,
    /// A node fetches the source and builds it.
    Building {
        /// The node that builds.
        on: NodeId,
    },
    /// A node runs the `beforeDeploy` commands.
    Preparing {
        /// The node that runs them.
        on: NodeId,
    },
    /// Its replicas start and must become healthy.
    Starting,
    /// Its environment's route points at it.
    Live,
    /// It was live before the current one, and is ready for a rollback.
    Kept,
    /// It was live once.
    Retired,
    /// It never became live.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It was called off.
    Cancelled {
        /// Why, in a sentence.
        reason: String,
    },
}

impl Phase {
    /// The phase's name in REST, CLI and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Building { .. } => "building",
            Self::Preparing { .. } => "preparing",
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Kept => "kept",
            Self::Retired => "retired",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether the deployment is still on its way to `Live`.
    pub fn is_under_way(&self) -> bool {
        matches!(
            self,
            Self::Queued | Self::Building { .. } | Self::Preparing { .. } | Self::Starting
        )
    }

    /// Whether its artifact and replicas are needed.
    pub fn holds_replicas(&self) -> bool {
        matches!(self, Self::Starting | Self::Live | Self::Kept)
    }
}

/// Why a deployment did not become live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure; stable.
    pub code: FailureCode,
    /// What failed and why.
    pub message: String,
    /// What to try next.
    pub hint: String,
    /// The last lines of the build's or container's log.
    pub log_tail: Vec<String>,
}

/// The kinds of failure, stable in REST and CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The repository or upload is not there, or may not be read.
    SourceNotFound,
    /// The branch or commit is not there.
    RevisionNotFound,
    /// `temps.json` or `.temps.yaml` is wrong.
    ConfigInvalid,
    /// Nothing in the source says how to build it.
    PresetNotFound,
    /// A build step failed.
    BuildFailed,
    /// The build took longer than it may.
    BuildTimedOut,
    /// The image is not there, or may not be pulled.
    ImageNotFound,
    /// A `beforeDeploy` command failed.
    BeforeDeployFailed,
    /// The container could not be started.
    StartFailed,
    /// The container ended by itself.
    Exited,
    /// Nothing listens on the port.
    PortClosed,
    /// The health check never passed.
    Unhealthy,
    /// A disk is full.
    DiskFull,
    /// The node's container engine does not answer.
    EngineUnavailable,
    /// The node that did the work is gone.
    NodeLost,
    /// A fault of the platform.
    Internal,
}

impl Deployment {
    /// Enters a phase and remembers when.
    fn enter(&mut self, phase: Phase, at: Timestamp) {
        if self.history.len() >= HISTORY_MAX {
            // The first and the newest tell most; rollbacks to and fro fill what is between.
            self.history.remove(HISTORY_MAX / 2);
        }
        self.history.push(Moment { phase: phase.name().into(), at });
        self.phase = phase;
    }
}

/// What somebody who asks for a deployment gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDeployment {
    /// The deployment's id.
    pub id: DeploymentId,
    /// Where it shall run.
    pub environment: EnvironmentId,
    /// What it is made of.
    pub source: Source,
    /// The commit, when already known.
    pub revision: Option<Revision>,
}

/// What a finished build tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// What it made.
    pub artifact: Artifact,
    /// How it runs.
    pub config: RunConfig,
    /// The commit it was made from.
    pub revision: Option<Revision>,
}

impl State {
    /// The deployments of an environment, oldest first.
    pub fn deployments_of(&self, environment: EnvironmentId) -> impl Iterator<Item = &Deployment> {
        self.deployments.values().filter(move |d| d.environment == environment)
    }

    pub(crate) fn deployment(&self, id: DeploymentId) -> Result<&Deployment, Rejected> {
        self.deployments.get(&id).ok_or_else(|| Rejected::not_found("deployment", id))
    }

    pub(crate) fn create_deployment(
        &mut self,
        new: NewDeployment,
        by: &Actor,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let environment = self.environment(new.environment)?.clone();
        let mut project = self.project(environment.project)?.clone();
        if self.deployments.contains_key(&new.id) {
            return Err(Rejected::taken("deployment", new.id));
        }
        if project.disabled {
            return Err(Rejected::Disabled { project: project.name });
        }
        let (config, artifact) = self.reused(&new.source)?;
        project.deployments_made += 1;
        let number = project.deployments_made;
        self.supersede(new.environment, number, at);
        let mut deployment = Deployment {
            id: new.id,
            number,
            project: project.id,
            environment: environment.id,
            source: new.source,
            revision: new.revision,
            created_by: by.clone(),
            created_at: at,
            phase: Phase::Queued,
            history: Vec::new(),
            config,
            artifact,
            variables: BTreeMap::new(),
        };
        deployment.enter(Phase::Queued, at);
        self.projects.insert(project.id, project);
        self.deployments.insert(deployment.id, deployment);
        self.forget_old_deployments(new.environment);
        Ok(Reply::Deployment { id: new.id, number })
    }

    fn reused(&self, source: &Source) -> Result<(Option<RunConfig>, Option<Artifact>), Rejected> {
        let Source::Artifact { of } = source else {
            return Ok((None, None));
        };
        let earlier = self.deployment(*of)?;
        match earlier.artifact {
            Some(_) => Ok((earlier.config.clone(), earlier.artifact.clone())),
            None => Err(Rejected::NothingBuilt { deployment: *of }),
        }
    }

    /// Calls off what an environment still had under way: only the newest version matters.
    fn supersede(&mut self, environment: EnvironmentId, by: u64, at: Timestamp) {
        let older: Vec<_> = self
            .deployments_of(environment)
            .filter(|d| d.phase.is_under_way())
            .map(|d| d.id)
            .collect();
        for id in older {
            self.finish(id, Phase::Cancelled { reason: format!("superseded by #{by}") }, at);
        }
    }

    fn forget_old_deployments(&mut self, environment: EnvironmentId) {
        let mut finished: Vec<_> = self
            .deployments_of(environment)
            .filter(|d| !d.phase.is_under_way() && !d.phase.holds_replicas())
            .filter(|d| self.replicas_of(d.id).next().is_none())
            .map(|d| d.id)
            .collect();
        let surplus = finished.len().saturating_sub(DEPLOYMENTS_KEPT_MAX);
        for id in finished.drain(..surplus) {
            self.deployments.remove(&id);
        }
    }

    /// Takes a deployment out of service: into a final phase, its replicas given up. Those that drain end what they do.
    fn finish(&mut self, id: DeploymentId, phase: Phase, at: Timestamp) {
        if let Some(mut deployment) = self.deployments.get(&id).cloned() {
            deployment.enter(phase, at);
            deployment.variables.clear();
            self.deployments.insert(id, deployment);
        }
        retain(&mut self.replicas, |_, replica| replica.deployment != id || replica.drains(at));
        self.drop_kept_if(id);
    }

    fn under_way(&self, id: DeploymentId) -> Result<Deployment, Rejected> {
        let deployment = self.deployment(id)?;
        if deployment.phase.is_under_way() {
            Ok(deployment.clone())
        } else {
            Err(Rejected::finished(deployment))
        }
    }

    pub(crate) fn start_build(
        &mut self,
        id: DeploymentId,
        on: NodeId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if deployment.phase != Phase::Queued {
            return Err(Rejected::finished(&deployment));
        }
        deployment.enter(Phase::Building { on }, at);
        self.deployments.insert(id, deployment);
        Ok(Reply::Done)
    }

    /// Records what was built, fixes the variables, and goes on to `beforeDeploy` or to starting.
    pub(crate) fn finish_build(
        &mut self,
        id: DeploymentId,
        built: Built,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        let next = match deployment.phase {
            Phase::Building { on } if !built.config.before_deploy.is_empty() => {
                Phase::Preparing { on }
            }
            Phase::Queued | Phase::Building { .. } => Phase::Starting,
            _ => return Err(Rejected::finished(&deployment)),
        };
        deployment.variables = self
            .variables_of(deployment.environment)
            .map(|(name, variable)| (name.clone(), variable.value.clone()))
            .collect();
        deployment.artifact = Some(built.artifact);
        deployment.config = Some(built.config);
        deployment.revision = built.revision.or(deployment.revision);
        deployment.enter(next, at);
        self.deployments.insert(id, deployment);
        Ok(Reply::Done)
    }

    pub(crate) fn finish_preparing(
        &mut self,
        id: DeploymentId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if !matches!(deployment.phase, Phase::Preparing { .. }) {
            return Err(Rejected::finished(&deployment));
        }
        deployment.enter(Phase::Starting, at);
        self.deployments.insert(id, deployment);
        Ok(Reply::Done)
    }

    pub(crate) fn fail_deployment(
        &mut self,
        id: DeploymentId,
        failure: Failure,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        self.under_way(id)?;
        self.finish(id, Phase::Failed { failure }, at);
        Ok(Reply::Done)
    }

    pub(crate) fn cancel_deployment(
        &mut self,
        id: DeploymentId,
        reason: String,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        self.under_way(id)?;
        self.finish(id, Phase::Cancelled { reason }, at);
        Ok(Reply::Done)
    }

    /// What is out of service is no longer kept for a rollback.
    fn drop_kept_if(&mut self, id: DeploymentId) {
        let Ok(deployment) = self.deployment(id) else { return };
        let Ok(environment) = self.environment(deployment.environment) else { return };
        if environment.kept == Some(id) {
            let environment = Environment { kept: None, ..environment.clone() };
            self.environments.insert(environment.id, environment);
        }
    }

    /// Points the environment's route at a deployment; the one it pointed at is drained and kept.
    pub(crate) fn switch_route(
        &mut self,
        id: DeploymentId,
        drain_until: Timestamp,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let mut deployment = self.under_way(id)?;
        if deployment.phase != Phase::Starting {
            return Err(Rejected::finished(&deployment));
        }
        let mut environment = self.environment(deployment.environment)?.clone();
        deployment.enter(Phase::Live, at);
        self.deployments.insert(id, deployment);
        if let Some(older) = environment.kept.filter(|kept| *kept != id) {
            self.finish(older, Phase::Retired, at);
        }
        environment.kept = environment.current;
        environment.current = Some(id);
        if let Some(previous) = environment.kept {
            self.keep(previous, drain_until, at);
        }
        self.environments.insert(environment.id, environment);
        Ok(Reply::Done)
    }

    fn keep(&mut self, id: DeploymentId, drain_until: Timestamp, at: Timestamp) {
        if let Some(mut deployment) = self.deployments.get(&id).cloned() {
            deployment.enter(Phase::Kept, at);
            self.deployments.insert(id, deployment);
        }
        self.set_intent(id, &Intent::Drain { until: drain_until });
    }

    /// Starts a rollback: the kept deployment's replicas serve again, and the route follows once they are healthy.
    pub(crate) fn roll_back(
        &mut self,
        environment: EnvironmentId,
        to: DeploymentId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        if self.environment(environment)?.kept != Some(to) {
            return Err(Rejected::NotKept { deployment: to });
        }
        let mut deployment = self.deployment(to)?.clone();
        let number = deployment.number;
        if deployment.phase != Phase::Kept {
            return Err(Rejected::NotKept { deployment: to });
        }
        self.supersede(environment, number, at);
        deployment.enter(Phase::Starting, at);
        self.deployments.insert(to, deployment);
        self.set_intent(to, &Intent::Serve);
        Ok(Reply::Deployment { id: to, number })
    }

    fn set_intent(&mut self, deployment: DeploymentId, intent: &Intent) {
        let of: Vec<ReplicaId> = self.replicas_of(deployment).map(|r| r.id).collect();
        for id in of {
            if let Some(replica) = self.replicas.get_mut(&id) {
                replica.turn(intent.clone());
            }
        }
    }
}
