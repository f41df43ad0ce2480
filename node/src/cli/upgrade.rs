//! `temps upgrade`: a new program for every node, one after the other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::TryStreamExt;
use serde_json::{Value, json};
use temps_api::{BINARY_BYTES_MAX, UpgradeStatus};
use temps_builder::digest_of;
use tokio_util::io::ReaderStream;

use super::context::Context;
use crate::client::{Client, path};
use crate::error::CliError;
use crate::output::Output;
use crate::roll;
use crate::steps::{Steps, byte_bar};
use crate::view::{self, Node};

/// How much of the file is sent at a time, in octets.
const CHUNK_BYTES: usize = 64 << 10;

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

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let digest = digest(&args.binary).await?;
    let client = context.client()?;
    let status = roll::whole(&client).await?;
    upload(&client, &context.output, &args.binary, &digest).await?;

    let mut upgraded = Vec::new();
    let mut steps = Steps::new(context.output);
    for node in roll::order(&status.nodes) {
        match take(&client, &mut steps, node, &digest).await {
            Ok(taken) => upgraded.push(taken),
            Err(error) => {
                steps.fail();
                go_back(&client, &context.output, &upgraded, &digest).await;
                return Err(error);
            }
        }
    }
    context.output.answer(&answer(&digest, &upgraded), || said(&upgraded))
}

/// Upgrades a node, unless it runs the binary already, and waits until the cluster is whole.
async fn take(
    client: &Client,
    steps: &mut Steps,
    node: &Node,
    digest: &str,
) -> Result<Upgraded, CliError> {
    let began = Instant::now();
    steps.enter(&node.label());
    let id = view::plain(&node.id);
    let before = roll::running(client, &id).await?;
    if before.binary != digest {
        roll::upgrade(client, node, &before, digest).await?;
    }
    roll::whole(client).await?;
    let now = roll::running(client, &id).await?;
    steps.finish();
    let node = Node { id: node.id.clone(), name: node.name.clone(), ..Node::default() };
    Ok(Upgraded { node, before, now, seconds: began.elapsed().as_secs_f64() })
}

/// Puts back what the nodes ran. No command that needs the new program was written, as not every node had it.
async fn go_back(client: &Client, output: &Output, upgraded: &[Upgraded], digest: &str) {
    let mut steps = Steps::new(*output);
    let changed = upgraded.iter().rev().filter(|taken| taken.before.binary != digest);
    for Upgraded { node, before, now, .. } in changed {
        steps.enter(&format!("{} back to what it ran", node.label()));
        let back = async {
            roll::whole(client).await?;
            roll::upgrade(client, node, now, &before.binary).await
        };
        match back.await {
            Ok(()) => steps.finish(),
            Err(error) => {
                steps.fail();
                output.warn(&format!(
                    "{} runs the new program: {error}. Nodes of both work together",
                    node.label()
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

async fn upload(
    client: &Client,
    output: &Output,
    file: &Path,
    digest: &str,
) -> Result<(), CliError> {
    let bytes = file.metadata().map_err(CliError::file("read", file))?.len();
    let bar = byte_bar(output, "upload", bytes);
    let body = || -> Result<reqwest::Body, CliError> {
        let file = File::open(file).map_err(CliError::file("read", file))?;
        bar.set_position(0);
        let chunks = ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK_BYTES);
        let bar = bar.clone();
        Ok(reqwest::Body::wrap_stream(chunks.inspect_ok(move |chunk| bar.inc(chunk.len() as u64))))
    };
    let sent = client.upload(&path(&["binaries", digest]), bytes, body).await;
    bar.finish_and_clear();
    sent.map(drop)
}

fn answer(digest: &str, upgraded: &[Upgraded]) -> Value {
    let node = |taken: &Upgraded| {
        json!({
            "node": taken.node.id, "name": taken.node.name,
            "binary_before": taken.before.binary, "version_before": taken.before.version,
            "version": taken.now.version, "seconds": taken.seconds,
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
