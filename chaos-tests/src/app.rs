//! The app that stories deploy, as one environment of one project.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, http_client};
use crate::wait::{RECOVERY, until};
use crate::{Ground, GroundError};

/// The small app, as build.rs made it.
const SMALL: &str = concat!(env!("OUT_DIR"), "/small");
/// How long requests on replicas that go get to end; the app answers at once.
const DRAIN_SECONDS: u32 = 5;
/// How long an edge that serves it takes to answer at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// An app, by default one whose image is small, which answers with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App {
    source: &'static str,
    project: &'static str,
    environment: &'static str,
    zone: Option<&'static str>,
}

impl App {
    /// In the production environment of this project.
    #[must_use]
    pub const fn new(project: &'static str) -> Self {
        Self { source: SMALL, project, environment: "production", zone: None }
    }

    /// Another app: the one in this folder.
    #[must_use]
    pub const fn made_from(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    /// In another environment, which is created by its branch of the same name.
    #[must_use]
    pub const fn preview(self, environment: &'static str) -> Self {
        Self { environment, ..self }
    }

    /// Only on nodes with the label `zone` of this value.
    #[must_use]
    pub const fn in_zone(self, zone: &'static str) -> Self {
        Self { zone: Some(zone), ..self }
    }

    /// Its project.
    #[must_use]
    pub const fn project(&self) -> &'static str {
        self.project
    }

    /// Where the edges serve it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}-{}.localho.st", self.project, self.environment)
    }

    /// Where other apps of its project reach it.
    #[must_use]
    pub fn internal_host(&self) -> String {
        format!("{}-{}.temps.internal", self.project, self.environment)
    }

    /// Deploys it with so many replicas; returns when every edge serves it.
    ///
    /// # Errors
    /// When the CLI fails, or it is not served everywhere in time.
    pub async fn deploy(&self, ground: &Ground, replicas: usize) -> Result<(), GroundError> {
        self.deploy_once(ground).await?;
        self.scale(ground, replicas).await?;
        for node in ground.nodes() {
            self.serves(ground, node.number).await?;
        }
        Ok(())
    }

    /// Deploys it with one replica; returns when that takes requests.
    ///
    /// # Errors
    /// When the source cannot be written or the CLI fails.
    pub async fn deploy_once(&self, ground: &Ground) -> Result<(), GroundError> {
        self.deploy_version(ground, "one").await
    }

    /// Deploys this version of it, which it answers with; returns when that takes requests.
    ///
    /// # Errors
    /// When the source cannot be written or the CLI fails.
    pub async fn deploy_version(&self, ground: &Ground, version: &str) -> Result<(), GroundError> {
        let source = ground.folder().join(format!("{}-{}", self.project, self.environment));
        self.write(&source, version)
            .map_err(|error| GroundError::Folder { path: source.clone(), source: error })?;
        let folder = source.to_string_lossy();
        ground.temps(&self.arguments(&["deploy", &folder])).await.map(drop)
    }

    /// Wants so many replicas; returns when all of them are healthy.
    ///
    /// # Errors
    /// When the CLI fails, or they are not in time.
    pub async fn scale(&self, ground: &Ground, replicas: usize) -> Result<(), GroundError> {
        ground.temps(&self.arguments(&["scale", &replicas.to_string()])).await?;
        let client = ground.client()?;
        let all = async || self.healthy(&client, 1).await.len() == replicas;
        until("all replicas are healthy", RECOVERY, all).await.map(drop)
    }

    /// Returns when the edge of this node serves it.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn serves(&self, ground: &Ground, node: usize) -> Result<(), GroundError> {
        let url = format!("http://{}/", ground.node(node).edge());
        let (http, host) = (http_client(ANSWER_LIMIT)?, self.host());
        until(&format!("edge {node} serves {host}"), RECOVERY, async || {
            let asked = http.get(&url).header("host", &host).send().await;
            asked.is_ok_and(|response| response.status().is_success())
        })
        .await
        .map(drop)
    }

    /// The names of the nodes that run a healthy replica of it, one for each replica, as this node sees it.
    pub async fn healthy(&self, client: &Client, node: usize) -> Vec<String> {
        let names = client.names(node).await;
        let Self { project, environment, .. } = self;
        let path = format!("/projects/{project}/environments/{environment}/replicas");
        let Ok(answer) = client.get(node, &path).await else { return Vec::new() };
        let replicas = answer.body.as_array().cloned().unwrap_or_default();
        let serving = |replica: &&Value| {
            replica["observed"]["type"] == "healthy" && replica["intent"]["type"] == "serve"
        };
        let name = |replica: &Value| {
            let (_, name) = names.iter().find(|(id, _)| *id == replica["node"])?;
            Some(name.clone())
        };
        replicas.iter().filter(serving).filter_map(name).collect()
    }

    /// Runs a command in one of its replicas; returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub async fn exec(&self, ground: &Ground, command: &[&str]) -> Result<String, GroundError> {
        let exec = [&*self.arguments(&["exec"]), &["--"], command].concat();
        ground.temps(&exec).await
    }

    /// A command of the CLI for its environment.
    fn arguments<'a>(&self, command: &[&'a str]) -> Vec<&'a str> {
        [command, &["--project", self.project, "--environment", self.environment]].concat()
    }

    fn write(&self, folder: &Path, version: &str) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for file in fs::read_dir(self.source)? {
            let file = file?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        fs::write(folder.join("version"), format!("{version}\n"))?;
        let labels = self.zone.map(|zone| ("zone", zone)).into_iter().collect::<BTreeMap<_, _>>();
        let config = json!({ "nodeLabels": labels, "drainSeconds": DRAIN_SECONDS });
        fs::write(folder.join("temps.json"), config.to_string())
    }
}
