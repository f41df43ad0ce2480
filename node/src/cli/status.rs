//! `temps status`: how the cluster is.

use super::context::Context;
use super::nodes::nodes_table;
use crate::client::path;
use crate::error::CliError;
use crate::table::pairs;
use crate::view::{self, Node, Status};
use crate::when::span;

pub async fn run(context: &Context) -> Result<(), CliError> {
    let client = context.client()?;
    let value = client.get(&path(&["status"])).await?.value;
    context.output.try_answer(&value, || Ok(about(client.url(), &view::read(&value)?)))
}

fn about(url: &str, status: &Status) -> String {
    let replicas = format!("{} of {} healthy", status.replicas.healthy, status.replicas.wanted);
    let edges = status.nodes.iter().filter(|node| node.edge_applied_index.is_some()).count();
    let about = pairs([
        ("cluster", status.cluster_id.clone()),
        ("asked", format!("{} at {url}", label(status, &status.node))),
        ("leader", leader(status)),
        ("projects", view::plain(&status.projects)),
        ("replicas", replicas),
        ("edges", format!("{edges} of {} answer", status.nodes.len())),
        ("applied", format!("log entry {}", status.applied_index)),
        (
            "edge here",
            format!("port {}, log entry {}", status.edge.http_port, status.edge.applied_index),
        ),
        ("version", status.version.clone()),
        ("up", span(status.uptime_seconds)),
    ]);
    format!("{about}\n\n{}\n\n{}", nodes_table(&status.nodes), status.may_lose_text)
}

fn leader(status: &Status) -> String {
    match status.quorum {
        true if !status.leader.is_null() => label(status, &status.leader),
        _ => "none: there is no quorum".into(),
    }
}

fn label(status: &Status, id: &serde_json::Value) -> String {
    let node = status.nodes.iter().find(|node| node.id == *id);
    node.map_or_else(|| format!("node {}", view::plain(id)), Node::label)
}
