//! The configuration's keys, and the run configuration they make.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use temps_state::{CronJob, HealthCheck, Resources, RunConfig};

use super::error::ConfigError;
use super::file;
use super::value::{
    BeforeDeploy, Cores, Mebibytes, Schedule, Seconds, ShellLine, SourcePath, UrlPath, Whole,
};
use crate::recipe::{Dockerfile, PORT_DEFAULT, Recipe};
use crate::source_tree::SourceTree;

/// How long requests on an old replica may take to end after a switch, in seconds, unless configured.
pub const DRAIN_SECONDS_DEFAULT: u32 = 30;

/// How an app is built, run and checked. Every key is optional.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase", expecting = "an object with keys")]
#[schemars(title = "temps.json")]
pub struct AppConfig {
    /// Address of this schema, for editors.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// The preset to use instead of the detected one, such as `nextjs` or `dockerfile`.
    pub preset: Option<String>,
    /// How the image or the static files are made.
    pub build: BuildConfig,
    /// The command that starts the app, run by a shell.
    pub start: Option<ShellLine>,
    /// The port the app listens on; it is also given to the app as `PORT`.
    pub port: Option<Whole<1, 65_535>>,
    /// When a replica counts as healthy.
    pub health: HealthConfig,
    /// What one replica may use.
    pub resources: ResourcesConfig,
    /// Labels that a node must have to run its replicas, such as `{"disk": "ssd"}`.
    pub node_labels: BTreeMap<String, String>,
    /// A command, or a list of commands, run once in the new version's image before it takes traffic.
    pub before_deploy: BeforeDeploy,
    /// Requests to the app on a schedule.
    pub cron: Vec<CronConfig>,
    /// Seconds that requests on old replicas get to end after a switch; 30 unless given.
    pub drain_seconds: Option<Whole<0, 3_600>>,
    /// For static sites: whether unknown paths get `index.html`.
    pub single_page: Option<bool>,
    /// The file this was read from.
    #[serde(skip)]
    pub file: Option<&'static str>,
}

/// How the image or the static files are made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase", expecting = "an object with keys")]
pub struct BuildConfig {
    /// Path of the Dockerfile to build with.
    pub dockerfile: Option<SourcePath>,
    /// For Dockerfiles: the folder that is the build context; the root unless given.
    pub context: Option<SourcePath>,
    /// For Dockerfiles: build arguments. They stay in the image's history: secrets belong in variables.
    pub args: BTreeMap<String, String>,
    /// For Dockerfiles: the stage to build; the last one unless given.
    pub target: Option<String>,
    /// The command that installs dependencies, instead of the preset's.
    pub install_command: Option<ShellLine>,
    /// The command that builds the app, instead of the preset's.
    pub build_command: Option<ShellLine>,
    /// The folder of the built static files, instead of the preset's.
    #[serde(alias = "outputDir")]
    pub output_directory: Option<SourcePath>,
}

/// When a replica counts as healthy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase", expecting = "an object with keys")]
pub struct HealthConfig {
    /// The path to ask for; without one, an accepted connection suffices.
    pub path: Option<UrlPath>,
    /// The status to expect; any from 200 to 399 unless given.
    pub status: Option<Whole<100, 599>>,
    /// Seconds between checks; 5 unless given.
    #[serde(alias = "interval")]
    pub interval_seconds: Option<Seconds>,
    /// Seconds one check may take; 5 unless given.
    #[serde(alias = "timeout")]
    pub timeout_seconds: Option<Seconds>,
    /// How many checks in a row must pass, or fail, to change the verdict; 2 unless given.
    #[serde(alias = "retries")]
    pub threshold: Option<Whole<1, 100>>,
    /// Seconds a new replica has to become healthy; 60 unless given.
    pub deadline_seconds: Option<Whole<1, 3_600>>,
}

/// What one replica may use.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase", expecting = "an object with keys")]
pub struct ResourcesConfig {
    /// Processor cores, such as 0.5; 1 unless given.
    pub cpu: Option<Cores>,
    /// Memory, such as `512Mi`, `1Gi`, or a number of MiB; 512 MiB unless given.
    pub memory: Option<Mebibytes>,
    /// Processes and threads; 512 unless given.
    pub pids: Option<Whole<16, 65_536>>,
}

/// A request to the app on a schedule.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an object with keys")]
pub struct CronConfig {
    /// What people call it; the path unless given.
    #[serde(default)]
    pub name: Option<String>,
    /// The path to ask for.
    pub path: UrlPath,
    /// Five fields of a crontab line, in UTC.
    pub schedule: Schedule,
}

impl AppConfig {
    /// The file that is looked for first.
    pub const JSON: &'static str = "temps.json";
    /// The other one.
    pub const YAML: &'static str = ".temps.yaml";

    /// Reads the configuration of a source; all defaults when it has none.
    pub fn read(tree: &dyn SourceTree) -> Result<Self, ConfigError> {
        let read = |name| {
            tree.exists(name)
                .then(|| tree.read(name).ok_or(ConfigError::Unreadable { file: name }))
                .transpose()
        };
        match (read(Self::JSON)?, read(Self::YAML)?) {
            (Some(_), Some(_)) => Err(ConfigError::TwoFiles),
            (Some(text), None) => file::parse_json(Self::JSON, &text),
            (None, Some(text)) => file::parse_yaml(Self::YAML, &text),
            (None, None) => Ok(Self::default()),
        }
    }

    /// The configured port.
    pub fn port(&self) -> Option<u16> {
        self.port.and_then(|port| u16::try_from(port.get()).ok())
    }

    /// How the deployment runs. `exposed` is the port that the built image exposes. The port is the configured one, the
    /// recipe's, the exposed one, or 3000; all but the configured one give way to the only port that the app does listen
    /// on.
    pub fn run_config(&self, recipe: &Recipe, exposed: Option<u16>) -> RunConfig {
        let port = self.port().or(recipe.port).or(exposed);
        RunConfig {
            preset: recipe.preset.into(),
            port: port.unwrap_or(PORT_DEFAULT),
            port_assumed: self.port().is_none(),
            command: self.command(recipe),
            health: self.health.check(),
            resources: self.resources.bounds(),
            node_labels: self.node_labels.clone(),
            before_deploy: self.before_deploy.lines(),
            cron: self.cron.iter().map(CronConfig::job).collect(),
            drain_seconds: self.drain_seconds.map_or(DRAIN_SECONDS_DEFAULT, |s| s.get()),
        }
    }

    /// A written Dockerfile holds the start command already.
    fn command(&self, recipe: &Recipe) -> Option<Vec<String>> {
        let start = self.start.as_ref()?;
        match recipe.dockerfile {
            Dockerfile::Written(_) => None,
            Dockerfile::InSource(_) | Dockerfile::None => {
                Some(vec!["/bin/sh".into(), "-c".into(), start.to_string()])
            }
        }
    }
}

impl HealthConfig {
    fn check(&self) -> HealthCheck {
        let default = HealthCheck::default();
        HealthCheck {
            path: self.path.as_ref().map(|path| path.to_string()),
            status: self.status.and_then(|status| u16::try_from(status.get()).ok()),
            interval_ms: self.interval_seconds.map_or(default.interval_ms, Seconds::ms),
            timeout_ms: self.timeout_seconds.map_or(default.timeout_ms, Seconds::ms),
            threshold: self.threshold.map_or(default.threshold, |n| n.get()),
            deadline_seconds: self.deadline_seconds.map_or(default.deadline_seconds, |s| s.get()),
        }
    }
}

impl ResourcesConfig {
    fn bounds(&self) -> Resources {
        let default = Resources::default();
        Resources {
            cpu_millis: self.cpu.map_or(default.cpu_millis, Cores::millis),
            memory_mib: self.memory.map_or(default.memory_mib, Mebibytes::get),
            pids: self.pids.map_or(default.pids, |n| n.get()),
        }
    }
}

impl CronConfig {
    fn job(&self) -> CronJob {
        CronJob {
            name: self.name.clone().unwrap_or_else(|| self.path.to_string()),
            schedule: self.schedule.to_string(),
            path: self.path.to_string(),
        }
    }
}
