//! `temps leave`: takes the node that is talked to out of its cluster.

use super::context::Context;
use crate::client::{Client, path};
use crate::drain;
use crate::error::CliError;
use crate::terminal;
use crate::view::{self, Node, Status};

#[derive(clap::Args)]
pub struct Args {
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    // Another node that answers instead would be the wrong one to go.
    let client = context.client()?.of_one_node();
    let status: Status = view::read(&client.get(&path(&["status"])).await?.value)?;
    let id = view::plain(&status.node);
    let node = status.nodes.iter().find(|node| node.id == status.node);
    let label = node.map_or_else(|| format!("node {id}"), Node::label);
    if status.nodes.len() < 2 {
        return Err(CliError::blocked(
            format!("{label} cannot leave"),
            "it is the only node: there would be nothing left",
            "stop `temps serve` instead; to begin anew, remove its data folder then",
        ));
    }
    confirm(context, &label, client.url(), args.yes)?;
    let begun = drain::begin(&client, &id).await?;
    drain::wait(&context.output, &client, &begun).await?;
    let value = match drain::remove(&client, &id, false).await {
        Ok(value) => value,
        Err(refused) => return Err(stay(context, &client, &id, refused).await),
    };
    context.output.answer(&value, || {
        format!(
            "{label} has left the cluster, and its process ends. Its data folder is of no more use."
        )
    })
}

/// A node that may not go takes replicas again.
async fn stay(context: &Context, client: &Client, id: &str, refused: CliError) -> CliError {
    match drain::end(client, id).await {
        Ok(_) => context.output.warn("it stays, and takes replicas again"),
        Err(_) => context.output.warn(&format!("it stays, and drains: temps nodes undrain {id}")),
    }
    refused
}

/// The address may be another machine's than one thinks, so that people at a terminal are asked.
fn confirm(context: &Context, label: &str, url: &str, yes: bool) -> Result<(), CliError> {
    if yes || !terminal::is_interactive() {
        return Ok(());
    }
    context.output.warn(&format!(
        "{label} at {url} will leave the cluster, and come back only as a new node"
    ));
    match terminal::ask("Type yes to go on")?.as_str() {
        "yes" => Ok(()),
        _ => Err(CliError::blocked(
            format!("{label} did not leave"),
            "something else than `yes` was typed",
            "temps --url http://ADDRESS leave, with the address of the right node's API",
        )),
    }
}
