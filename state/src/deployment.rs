//! Deployments: one attempt each to run one version of a project in one environment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::{FIRST, SECOND};
use crate::row::Value;
use crate::{
    Actor, DeploymentId, EnvironmentId, NodeId, ProjectId, Rejected, RunConfig, Sealed, State,
    VariableName,
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
    /// The node that built it, and has its build log.
    #[serde(default)]
    pub built_on: Option<NodeId>,
    /// The processor architecture that its artifact is for, when it is for one; as in [`Node`](crate::Node).
    #[serde(default)]
    pub architecture: Option<String>,
    /// The nodes that have its artifact.
    #[serde(default)]
    pub holders: BTreeSet<NodeId>,
    /// The nodes that could not build it, while it is not built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Returned>,
}

/// A node could not build a deployment, through its own fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Which node.
    pub by: NodeId,
    /// Why it could not.
    pub failure: Failure,
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
    /// Whether a node could not build it already.
    pub fn was_returned_by(&self, node: NodeId) -> bool {
        self.returned.iter().any(|returned| returned.by == node)
    }

    /// Enters a phase and remembers when.
    pub(crate) fn enter(&mut self, phase: Phase, at: Timestamp) {
        if self.history.len() >= HISTORY_MAX {
            // The first and the newest tell most; rollbacks to and fro fill what is between.
            self.history.remove(HISTORY_MAX / 2);
        }
        self.history.push(Moment { phase: phase.name().into(), at });
        self.phase = phase;
    }
}

impl Value for Deployment {
    fn since(&self) -> u8 {
        if self.returned.is_empty() { FIRST } else { SECOND }
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
    pub fn deployments_of(
        &self,
        environment: EnvironmentId,
    ) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.deployments.values().filter(move |d| d.environment == environment)
    }

    pub(crate) fn deployment(&self, id: DeploymentId) -> Result<&Deployment, Rejected> {
        self.deployments.get(&id).ok_or_else(|| Rejected::not_found("deployment", id))
    }
}
