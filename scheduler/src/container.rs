//! Containers as the engine shows them, and the labels by which a node knows its own.

use std::collections::HashMap;
use std::net::IpAddr;

use temps_state::{DeploymentId, ReplicaId};

/// The label that every container of Temps has.
pub const MANAGED: &str = "sh.temps.managed";
/// The label that names the data folder of the node that a container belongs to.
pub const DATA_DIR: &str = "sh.temps.data-dir";
/// The label that names the replica that a container is.
pub const REPLICA: &str = "sh.temps.replica";
/// The label that names the deployment whose `beforeDeploy` commands a container runs.
pub const PREPARE: &str = "sh.temps.prepare";
/// The label that names the deployment a container is of.
pub const DEPLOYMENT: &str = "sh.temps.deployment";
/// The label that names the project a container is of.
pub const PROJECT: &str = "sh.temps.project";
/// The label that names the environment a container is of.
pub const ENVIRONMENT: &str = "sh.temps.environment";

/// A container as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's id of it.
    pub id: String,
    /// Whose it is.
    pub role: Role,
    /// What it does.
    pub status: Status,
    /// Its address on the network of Temps, while it has one.
    pub address: Option<IpAddr>,
}

/// Whose a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A replica of this node.
    Replica(ReplicaId),
    /// The one that runs a deployment's `beforeDeploy` commands.
    Prepare(DeploymentId),
    /// Somebody else's: never touched.
    Foreign,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// It ended.
    Exited,
    /// The engine could not remove it.
    Dead,
    /// The engine is at it: wait.
    Changing,
}

impl Role {
    /// Reads whose a container is from its labels. What does not name this node's data folder is foreign.
    pub fn of(labels: &HashMap<String, String>, data_dir: &str) -> Self {
        let label = |name: &str| labels.get(name).map(String::as_str);
        if label(DATA_DIR) != Some(data_dir) || label(MANAGED) != Some("true") {
            return Self::Foreign;
        }
        let replica = label(REPLICA).and_then(|id| id.parse().ok()).map(Self::Replica);
        let prepare = label(PREPARE).and_then(|id| id.parse().ok()).map(Self::Prepare);
        replica.or(prepare).unwrap_or(Self::Foreign)
    }
}
