//! `temps status`: how the cluster is.

use super::context::Context;
use crate::client::path;
use crate::error::CliError;
use crate::table::{pairs, table};
use crate::view::{self, Node, Status};
use crate::when::span;

pub async fn run(context: &Context) -> Result<(), CliError> {
    let client = context.client()?;
    let value = client.get(&path(&["status"])).await?.value;
    context.output.try_answer(&value, || Ok(about(client.url(), &view::read(&value)?)))
}

fn about(url: &str, status: &Status) -> String {
    let replicas = format!("{} of {} healthy", status.replicas.healthy, status.replicas.wanted);
    let about = pairs([
        ("cluster", status.cluster_id.clone()),
        ("asked", format!("node {} at {url}", view::plain(&status.node))),
        ("leader", format!("node {}", view::plain(&status.leader))),
        ("projects", view::plain(&status.projects)),
        ("replicas", replicas),
        ("applied", format!("log entry {}", status.applied_index)),
        (
            "edge",
            format!("port {}, log entry {}", status.edge.http_port, status.edge.applied_index),
        ),
        ("version", status.version.clone()),
        ("up", span(status.uptime_seconds)),
    ]);
    let header = ["node", "name", "applied", "builds", "processor", "cores", "memory"];
    let nodes = table(header, status.nodes.iter().map(row), "No nodes.");
    format!("{about}\n\n{nodes}\n\n{}", status.may_lose_text)
}

fn row(node: &Node) -> [String; 7] {
    [
        view::plain(&node.id),
        node.name.clone(),
        node.applied_index.map_or_else(|| "-".into(), |index| index.to_string()),
        if node.builds { "yes" } else { "no" }.into(),
        node.architecture.clone(),
        format!("{}", node.capacity.cpu_millis as f64 / 1_000.0),
        format!("{} MiB", node.capacity.memory_mib),
    ]
}
