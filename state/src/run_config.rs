//! How a deployment runs: what its source's configuration says, with every default filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a deployment's replicas run and are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The preset that built it, such as `nextjs`.
    pub preset: String,
    /// The port its replicas listen on; also given to them as `PORT`.
    pub port: u16,
    /// Whether nobody named the port: then the one port that its replicas do listen on is taken instead.
    #[serde(default)]
    pub port_assumed: bool,
    /// The command to run instead of the image's own.
    pub command: Option<Vec<String>>,
    /// When a replica counts as healthy.
    pub health: HealthCheck,
    /// What a replica may use.
    pub resources: Resources,
    /// Labels that a node must have to run its replicas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_labels: BTreeMap<String, String>,
    /// Commands to run once, one after the other, before the first replica starts.
    pub before_deploy: Vec<String>,
    /// Requests to make on a schedule.
    pub cron: Vec<CronJob>,
    /// How long requests on an old replica may take to end after the switch, in seconds.
    pub drain_seconds: u32,
}

/// When a replica counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The path to ask for; a TCP connection suffices when `None`.
    pub path: Option<String>,
    /// The status to expect; any from 200 to 399 when `None`.
    pub status: Option<u16>,
    /// Milliseconds between checks.
    pub interval_ms: u32,
    /// Milliseconds one check may take.
    pub timeout_ms: u32,
    /// How many checks in a row must pass, or fail, to change the verdict.
    pub threshold: u32,
    /// Seconds a new replica has to become healthy.
    pub deadline_seconds: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: None,
            status: None,
            interval_ms: 5_000,
            timeout_ms: 5_000,
            threshold: 2,
            deadline_seconds: 60,
        }
    }
}

/// What one replica may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Mebibytes of memory.
    pub memory_mib: u32,
    /// Processes and threads.
    pub pids: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu_millis: 1_000, memory_mib: 512, pids: 512 }
    }
}

/// A request to the app on a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronJob {
    /// What people call it.
    pub name: String,
    /// Five fields of a crontab line, in UTC.
    pub schedule: String,
    /// The path to ask for.
    pub path: String,
}
