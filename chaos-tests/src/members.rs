//! What the nodes say about their cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::GroundError;
use crate::client::Client;
use crate::wait::{RECOVERY, until};

/// Log entries that a node which keeps up may be behind while changes go on.
const LAG_MAX: u64 = 100;

impl Client {
    /// The id and name of every node, as this node sees it.
    pub async fn names(&self, node: usize) -> Vec<(Value, String)> {
        let nodes = self.list(node, "/nodes").await;
        let of = |node: &Value| {
            (node["id"].clone(), node["name"].as_str().unwrap_or_default().to_owned())
        };
        nodes.iter().map(of).collect()
    }

    /// The number of the node that leads, as this node sees it.
    pub async fn leader(&self, node: usize) -> Option<usize> {
        let status = self.get(node, "/status").await.ok()?;
        let nodes = status.body["nodes"].as_array()?;
        let leader = nodes.iter().find(|node| node["id"] == status.body["leader"])?;
        leader["name"].as_str()?.strip_prefix('n')?.parse().ok()
    }

    /// Whether every one of so many nodes keeps up, as this node sees it, and all replicas are healthy.
    pub async fn is_whole(&self, node: usize, nodes: usize) -> bool {
        let Ok(status) = self.get(node, "/status").await else { return false };
        let keeps_up = |node: &Value| {
            node["standing"] == "ready"
                && node["reachable"] == true
                && node["lag"].as_u64().is_some_and(|lag| lag <= LAG_MAX)
        };
        let members = status.body["nodes"].as_array().into_iter().flatten();
        members.filter(|node| keeps_up(node)).count() == nodes
            && status.body["may_lose"] == (nodes - 1) / 2
            && status.body["replicas"]["healthy"] == status.body["replicas"]["wanted"]
    }

    /// The names of all projects, as this node sees them.
    pub async fn projects(&self, node: usize) -> BTreeSet<String> {
        let projects = self.list(node, "/projects").await;
        projects.iter().filter_map(|project| project["name"].as_str()).map(str::to_owned).collect()
    }

    /// Returns when these nodes know every one of these projects.
    ///
    /// # Errors
    /// When one of them does not in time.
    pub async fn know_all(&self, nodes: &[usize], names: &[String]) -> Result<(), GroundError> {
        for &node in nodes {
            until(&format!("node {node} knows all acknowledged projects"), RECOVERY, async || {
                let known = self.projects(node).await;
                names.iter().all(|name| known.contains(name))
            })
            .await?;
        }
        Ok(())
    }
}
