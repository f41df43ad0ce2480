//! `temps upgrade`: a new program for every node, one after the other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use temps_api::{BINARY_BYTES_MAX, UpgradeFailure, UpgradeStatus};
use temps_builder::digest_of;

use super::context::Context;
use crate::client::{Client, path};
use crate::error::CliError;
use crate::output::Output;
use crate::roll::{self, Needed};
use crate::steps::Steps;
use crate::upload::upload;
use crate::view::Node;

#[derive(clap::Args)]
pub struct Args {
    /// The new temps binary, built for the nodes' machines.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
}

/// A node that runs the new binary, and what it ran before.
struct Upgraded {
    node: Node,
    before: UpgradeStatus,
    now: UpgradeStatus,
    seconds: f64,
}

impl Upgraded {
    /// What is left to do by hand there.
    fn warning(&self) -> Option<String> {
        let last = self.now.last.as_ref().filter(|last| last.binary == self.now.binary)?;
        let UpgradeFailure { why, hint, .. } = last.warning.as_ref()?;
        Some(format!("{}: {why}. {hint}", self.node.label()))
    }
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let digest = digest(&args.binary).await?;
    let client = context.client()?;
    let mut steps = Steps::new(context.output);
    let status = roll::wait_for(&client, &steps, Needed::Everybody).await?;
    roll::check_free(&client, &steps, &status.nodes, &digest).await?;
    send(&client, &context.output, &args.binary, &digest).await?;

    let mut upgraded = Vec::new();
    for node in roll::order(&status.nodes) {
        if let Err(error) = take(&client, &mut steps, node, &digest, &mut upgraded).await {
            steps.fail();
            // Whoever else gives the nodes another program goes on; two that undo each other would not end.
            if !matches!(error, CliError::UpgradeUnderWay { .. }) {
                go_back(&client, &context.output, &upgraded, &digest).await;
            }
            return Err(error);
        }
    }
    upgraded.iter().filter_map(Upgraded::warning).for_each(|text| context.output.warn(&text));
    context.output.answer(&answer(&digest, &upgraded), || said(&upgraded))
}

/// Upgrades a node, unless it runs the binary already, and waits until the cluster is whole. Whatever comes of that, a node
/// that runs the binary is among the `upgraded`.
async fn take(
    client: &Client,
    steps: &mut Steps,
    node: &Node,
    digest: &str,
    upgraded: &mut Vec<Upgraded>,
) -> Result<(), CliError> {
    let began = Instant::now();
    steps.enter(&node.label());
    let before = roll::running(client, steps, node).await?;
    let now = roll::upgrade(client, steps, node, &before, digest).await?;
    let node = Node { id: node.id.clone(), name: node.name.clone(), ..Node::default() };
    upgraded.push(Upgraded { node, before, now, seconds: began.elapsed().as_secs_f64() });
    roll::wait_for(client, steps, Needed::Everybody).await?;
    steps.finish();
    Ok(())
}

/// Puts back what the nodes ran. No command that needs the new program was written, as not every node had it.
async fn go_back(client: &Client, output: &Output, upgraded: &[Upgraded], digest: &str) {
    let mut steps = Steps::new(*output);
    let changed = upgraded.iter().rev().filter(|taken| taken.before.binary != digest);
    for Upgraded { node, before, now, .. } in changed {
        steps.enter(&format!("{} back to what it ran", node.label()));
        let back = async {
            roll::wait_for(client, &steps, Needed::Only(node)).await?;
            roll::upgrade(client, &steps, node, now, &before.binary).await
        };
        match back.await {
            Ok(_) => steps.finish(),
            Err(error) => {
                steps.fail();
                output.warn(&format!(
                    "{} could not be put back, and runs the new program: {}. Nodes of both work together",
                    node.label(),
                    error.advice().why
                ));
            }
        }
    }
}

async fn digest(file: &Path) -> Result<String, CliError> {
    let size = file.metadata().map_err(CliError::file("read", file))?;
    if !size.is_file() || size.len() > BINARY_BYTES_MAX {
        return Err(CliError::usage(
            format!("{} is no temps binary", file.display()),
            "it is no file, or larger than any binary",
            "temps upgrade --binary target/release/temps",
        ));
    }
    let path = file.to_path_buf();
    let digest = tokio::task::spawn_blocking(move || digest_of(&path)).await;
    let digest = digest.expect("nobody aborts it").map_err(CliError::file("read", file))?;
    Ok(digest.hex().into())
}

async fn send(client: &Client, output: &Output, file: &Path, digest: &str) -> Result<(), CliError> {
    let bytes = file.metadata().map_err(CliError::file("read", file))?.len();
    let open = || File::open(file).map_err(CliError::file("read", file));
    upload(client, output, &path(&["binaries", digest]), bytes, open).await.map(drop)
}

fn answer(digest: &str, upgraded: &[Upgraded]) -> Value {
    let node = |taken: &Upgraded| {
        json!({
            "node": taken.node.id, "name": taken.node.name,
            "binary_before": taken.before.binary, "version_before": taken.before.version,
            "version": taken.now.version, "seconds": taken.seconds,
            "warning": taken.now.last.as_ref().and_then(|last| last.warning.as_ref()),
        })
    };
    json!({"binary": digest, "nodes": upgraded.iter().map(node).collect::<Vec<_>>()})
}

fn said(upgraded: &[Upgraded]) -> String {
    let version = upgraded.first().map(|taken| taken.now.version.as_str()).unwrap_or_default();
    match upgraded.len() {
        1 => format!("The node runs temps {version}."),
        nodes => format!("All {nodes} nodes run temps {version}."),
    }
}
