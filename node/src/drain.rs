//! Draining a node and removing it, as the command line asks for it and waits.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::{Client, path};
use crate::error::CliError;
use crate::output::Output;
use crate::view::{self, Node};

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a node may take to drain before it is left to itself.
const DRAIN_WITHIN: Duration = Duration::from_secs(1_800);

/// Begins; gives the node as it is then.
pub async fn begin(client: &Client, node: &str) -> Result<Value, CliError> {
    Ok(client.post(&path(&["nodes", node, "drain"]), &json!({})).await?.value)
}

/// Says what the node waits for, until there is nothing; gives the node as it is then.
pub async fn wait(output: &Output, client: &Client, begun: &Value) -> Result<Value, CliError> {
    let Node { id, .. } = view::read(begun)?;
    let path = path(&["nodes", &view::plain(&id)]);
    let until = Instant::now() + DRAIN_WITHIN;
    let (mut value, mut said) = (begun.clone(), String::new());
    loop {
        let node: Node = view::read(&value)?;
        if node.drained {
            return Ok(value);
        }
        check(&node, Instant::now() < until)?;
        let waits = node.blocked_by.join("; ");
        if said != waits {
            output.note(&format!("  {}: {waits}…", node.label()));
            said = waits;
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Err(left(&node)),
        }
        value = client.get(&path).await?.value;
    }
}

fn check(node: &Node, in_time: bool) -> Result<(), CliError> {
    let label = node.label();
    if node.standing != "draining" {
        return Err(CliError::blocked(
            format!("{label} drains no longer"),
            "somebody took it back into service meanwhile",
            format!("temps nodes drain {}", view::plain(&node.id)),
        ));
    }
    match in_time {
        true => Ok(()),
        false => Err(CliError::blocked(
            format!("{label} is still not drained"),
            node.blocked_by.join("; "),
            "temps status, and temps deployments list: somewhere must be room for its replicas",
        )),
    }
}

fn left(node: &Node) -> CliError {
    let id = view::plain(&node.id);
    CliError::blocked(
        format!("nobody watches {} any more", node.label()),
        "it was left with Ctrl-C and goes on draining by itself",
        format!("temps nodes show {id}, or temps nodes undrain {id}"),
    )
}

/// Takes a node back into service.
pub async fn end(client: &Client, node: &str) -> Result<Value, CliError> {
    Ok(client.post(&path(&["nodes", node, "undrain"]), &json!({})).await?.value)
}

/// Removes a node.
pub async fn remove(client: &Client, node: &str, force: bool) -> Result<Value, CliError> {
    let query = if force { "?force=true" } else { "" };
    Ok(client.delete(&(path(&["nodes", node]) + query)).await?.value)
}
