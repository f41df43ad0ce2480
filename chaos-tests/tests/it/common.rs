//! What the tests share.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use temps_chaos_tests::{Client, Ground, GroundError, Options, Start, until};

/// How long a cluster may take to be whole again after a fault.
pub const RECOVERY: Duration = Duration::from_secs(60);
/// What the deployed app is called.
pub const APP: &str = "app";
/// Where the edges serve it.
pub const APP_HOST: &str = "app-production.localho.st";

/// So many machines, without images.
pub async fn machines(nodes: usize, start: Start) -> Ground {
    Ground::up(nodes, Options::without_images(start)).await.expect("the ground comes up")
}

/// A cluster of so many nodes.
pub async fn cluster(nodes: usize) -> Ground {
    ground_that_joins(nodes, Start::Joined).await
}

/// A cluster of node 1 alone, and so many machines in all.
pub async fn founded(machines: usize) -> Ground {
    ground_that_joins(machines, Start::First).await
}

async fn ground_that_joins(nodes: usize, start: Start) -> Ground {
    let options = Options { start, ..Options::default() };
    Ground::up(nodes, options).await.expect("the ground comes up")
}

/// Deploys the end-to-end app with so many replicas; returns when every edge serves it.
pub async fn deploy(ground: &Ground, replicas: usize) -> Result<(), GroundError> {
    deploy_app(ground).await?;
    ground.temps(&["scale", &replicas.to_string(), "--project", APP]).await?;
    let client = ground.client()?;
    until("all replicas are healthy", RECOVERY, async || {
        healthy(&client, 1).await.len() == replicas
    })
    .await?;
    for node in ground.nodes() {
        serves(ground, node.number).await?;
    }
    Ok(())
}

/// Deploys the end-to-end app.
pub async fn deploy_app(ground: &Ground) -> Result<(), GroundError> {
    let app = ground.folder().join("app");
    write_app(&app).map_err(|source| GroundError::Folder { path: app.clone(), source })?;
    let folder = app.to_string_lossy();
    ground.temps(&["deploy", &folder, "--project", APP]).await.map(drop)
}

fn write_app(app: &Path) -> std::io::Result<()> {
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/e2e/app");
    fs::create_dir(app)?;
    for file in ["Dockerfile", "server.js"] {
        fs::copy(from.join(file), app.join(file))?;
    }
    fs::write(app.join("version"), "one\n")
}

/// Returns when the edge of this node serves the app.
pub async fn serves(ground: &Ground, node: usize) -> Result<(), GroundError> {
    let (edge, http) = (ground.node(node).edge(), http());
    until(&format!("edge {node} serves the app"), RECOVERY, async || {
        let asked = http.get(format!("http://{edge}/")).header("host", APP_HOST).send().await;
        asked.is_ok_and(|response| response.status().is_success())
    })
    .await
    .map(drop)
}

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2));
    builder.build().expect("an HTTP client needs nothing that could be missing")
}

/// The names of the nodes that run a healthy replica of the app, one for each replica, as this node sees it.
pub async fn healthy(client: &Client, node: usize) -> Vec<String> {
    let names = names(client, node).await;
    let path = format!("/projects/{APP}/environments/production/replicas");
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

/// The id and name of every node, as this node sees it.
pub async fn names(client: &Client, node: usize) -> Vec<(Value, String)> {
    let nodes = client.list(node, "/nodes").await;
    let of =
        |node: &Value| (node["id"].clone(), node["name"].as_str().unwrap_or_default().to_owned());
    nodes.iter().map(of).collect()
}

/// The number of the node that leads, as this node sees it.
pub async fn leader(client: &Client, node: usize) -> Option<usize> {
    let status = client.get(node, "/status").await.ok()?;
    let names = names(client, node).await;
    let (_, name) = names.iter().find(|(id, _)| *id == status.body["leader"])?;
    name.strip_prefix('n')?.parse().ok()
}

/// The names of all projects, as this node sees them.
pub async fn projects(client: &Client, node: usize) -> Vec<String> {
    let projects = client.list(node, "/projects").await;
    projects.iter().filter_map(|project| project["name"].as_str()).map(str::to_owned).collect()
}

/// Returns when these nodes know every one of these projects.
pub async fn know_all(
    client: &Client,
    nodes: &[usize],
    names: &[String],
) -> Result<(), GroundError> {
    for &node in nodes {
        until(&format!("node {node} knows all acknowledged projects"), RECOVERY, async || {
            let known: BTreeSet<String> = projects(client, node).await.into_iter().collect();
            names.iter().all(|name| known.contains(name))
        })
        .await?;
    }
    Ok(())
}

/// The nodes of a cluster of three without this one.
pub fn without(node: usize) -> Vec<usize> {
    (1..=3).filter(|&other| other != node).collect()
}
