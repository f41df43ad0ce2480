//! `temps nodes`: the machines of the cluster.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use crate::client::path;
use crate::drain;
use crate::error::CliError;
use crate::table::{pairs, table};
use crate::view::{self, JoinToken, Node, Status};
use crate::when::{ago_or_dash, read_span};

/// The most nodes that are listed.
const LIST_MAX: usize = 1_000;

const REMOVE_HELP: &str = "\
A machine that is removed while it is away keeps its containers. Should it come back, take them away there:
docker rm -f $(docker ps -aq --filter label=sh.temps.data-dir=FOLDER), with its data folder.";

/// For how many seconds a token may be good.
const TTL_SECONDS: RangeInclusive<u64> = 10..=30 * 86_400;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the nodes.
    #[command(visible_alias = "ls")]
    List,
    /// Show a node.
    Show {
        /// Its id or name.
        node: String,
    },
    /// Print the line to run on a new machine, so that it joins.
    Token(TokenArgs),
    /// List or revoke join tokens that were made.
    #[command(subcommand)]
    Tokens(Tokens),
    /// Move a node's replicas elsewhere, so that it can be stopped, and wait until that is safe.
    Drain {
        /// Its id or name.
        node: String,
        /// Only begin; `temps nodes show` says how far it is.
        #[arg(long)]
        no_wait: bool,
    },
    /// Take a node back into service that was drained.
    Undrain {
        /// Its id or name.
        node: String,
    },
    /// Remove a node for ever; drain it first where it still runs.
    #[command(visible_alias = "rm", after_help = REMOVE_HELP)]
    Remove {
        /// Its id or name.
        node: String,
        /// Remove it even if the rest can agree on nothing any more: for nodes that will never come back.
        #[arg(long)]
        force: bool,
    },
    /// Set and unset labels of a node, by which apps choose where they run.
    Label {
        /// Its id or name.
        node: String,
        /// `name=value` sets a label, `name-` takes it away.
        #[arg(required = true, value_name = "LABEL")]
        labels: Vec<String>,
    },
}

#[derive(clap::Args)]
struct TokenArgs {
    /// How long it is valid: a number with s, m, h or d.
    #[arg(long, default_value = "1h", value_name = "SPAN")]
    ttl: String,
    /// How many nodes may join with it.
    #[arg(long, default_value_t = 1, value_name = "N")]
    uses: u32,
}

#[derive(Subcommand)]
enum Tokens {
    /// List the join tokens, without what lets in.
    #[command(visible_alias = "ls")]
    List,
    /// Delete a join token: nobody joins with it any more.
    #[command(visible_alias = "rm")]
    Delete {
        /// Its id.
        id: String,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context).await,
        Act::Show { node } => show(context, &node).await,
        Act::Token(args) => token(context, &args).await,
        Act::Tokens(act) => tokens(context, act).await,
        Act::Drain { node, no_wait } => drain(context, &node, no_wait).await,
        Act::Undrain { node } => undrain(context, &node).await,
        Act::Remove { node, force } => remove(context, &node, force).await,
        Act::Label { node, labels } => label(context, &node, &labels).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let shown = |nodes: Vec<Node>| nodes_table(&nodes);
    context.list(&path(&["nodes"]), &[], LIST_MAX, shown).await
}

/// Nodes as a table.
pub fn nodes_table(nodes: &[Node]) -> String {
    let header = [
        "node", "name", "state", "role", "applied", "lag", "edge", "replicas", "address", "labels",
    ];
    table(header, nodes.iter().map(row), "No nodes.")
}

fn row(node: &Node) -> [String; 10] {
    let number = |n: Option<u64>| n.map_or_else(|| "-".into(), |n| n.to_string());
    [
        view::plain(&node.id),
        node.name.clone(),
        node.state(),
        node.role().into(),
        number(node.applied_index),
        number(node.lag),
        number(node.edge_applied_index),
        node.replicas.to_string(),
        node.address.clone().unwrap_or_else(|| "-".into()),
        labels(&node.labels),
    ]
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

async fn show(context: &Context, node: &str) -> Result<(), CliError> {
    let value = context.reader()?.get(&path(&["nodes", node])).await?.value;
    context.output.try_answer(&value, || Ok(about(&view::read(&value)?)))
}

fn about(node: &Node) -> String {
    let number = |n: Option<u64>| n.map_or_else(|| "not known".into(), |n| n.to_string());
    let port = |port: Option<u16>| port.map_or_else(|| "off".into(), |port| port.to_string());
    let memory = node.capacity.memory_mib;
    pairs([
        ("node", view::plain(&node.id)),
        ("name", node.name.clone()),
        ("state", node.state()),
        ("waits for", node.blocked_by.join("; ")),
        ("engine", node.engine()),
        ("avoided", node.avoided().collect::<Vec<_>>().join("; ")),
        ("role", node.role().into()),
        ("applied", number(node.applied_index)),
        ("lag", number(node.lag)),
        ("edge has", number(node.edge_applied_index)),
        ("replicas", node.replicas.to_string()),
        ("labels", labels(&node.labels)),
        ("address", node.address.clone().unwrap_or_else(|| "not known".into())),
        ("HTTP port", port(node.http_port)),
        ("HTTPS port", port(node.https_port)),
        ("builds", if node.builds { "yes" } else { "no" }.into()),
        ("processor", format!("{} × {}", node.architecture, node.cores())),
        ("memory", format!("{memory} MiB")),
        ("version", node.version.clone()),
        ("joined", ago_or_dash(node.joined_at)),
    ])
}

async fn token(context: &Context, args: &TokenArgs) -> Result<(), CliError> {
    let Some(ttl) = read_span(&args.ttl).filter(|ttl| TTL_SECONDS.contains(ttl)) else {
        return Err(CliError::usage(
            format!("--ttl {} is no span of time that a token may have", args.ttl),
            "it is a number with s, m, h or d, from 10s to 30d",
            "temps nodes token --ttl 1h",
        ));
    };
    let body = json!({"ttl_seconds": ttl, "uses": args.uses});
    let value = context.client()?.post(&path(&["nodes", "tokens"]), &body).await?.value;
    let token: JoinToken = view::read(&value)?;
    if !context.output.json {
        let nodes = if token.uses == 1 { "1 node".into() } else { format!("{} nodes", token.uses) };
        context.output.note(&format!(
            "Run this on the new machine. It lets {nodes} join for {}, and is shown this once.",
            args.ttl
        ));
    }
    context.output.answer(&value, || token.command.clone())
}

async fn tokens(context: &Context, act: Tokens) -> Result<(), CliError> {
    match act {
        Tokens::List => {
            let shown = |tokens: Vec<JoinToken>| {
                let rows = tokens.into_iter().map(|t| {
                    let expires = ago_or_dash(t.expires_at);
                    [t.id, t.uses.to_string(), ago_or_dash(t.created_at), expires]
                });
                table(["id", "uses left", "created", "expires"], rows, "No join tokens.")
            };
            context.list(&path(&["nodes", "tokens"]), &[], LIST_MAX, shown).await
        }
        Tokens::Delete { id } => {
            let path = path(&["nodes", "tokens", &id]);
            let value = context.client()?.delete(&path).await?.value;
            context.output.answer(&value, || format!("Deleted join token {id}."))
        }
    }
}

async fn drain(context: &Context, node: &str, no_wait: bool) -> Result<(), CliError> {
    let client = context.client()?;
    let mut value = drain::begin(&client, node).await?;
    if !no_wait {
        value = drain::wait(&context.output, &client, &value).await?;
    }
    let shown: Node = view::read(&value)?;
    let said = match shown.drained {
        true => drained(&shown, &view::read(&client.get(&path(&["status"])).await?.value)?),
        false => format!("{} drains: {}.", shown.label(), shown.blocked_by.join("; ")),
    };
    context.output.answer(&value, || said)
}

/// Nothing runs on it any more; whether it may be missed is another question. A cluster of two survives nobody's loss, and
/// its people know.
fn drained(node: &Node, status: &Status) -> String {
    let label = node.label();
    match status.may_lose == 0 && node.voter && status.nodes.len() > 2 {
        true => format!(
            "{label} is drained, but nothing can be changed while it is stopped: too few others are there. {}",
            status.may_lose_text
        ),
        false => format!("{label} is drained: it is safe to stop or remove it now."),
    }
}

async fn undrain(context: &Context, node: &str) -> Result<(), CliError> {
    let value = drain::end(&context.client()?, node).await?;
    context.output.answer(&value, || format!("Node {node} takes replicas again."))
}

async fn remove(context: &Context, node: &str, force: bool) -> Result<(), CliError> {
    let value = drain::remove(&context.client()?, node, force).await?;
    if let Some(warning) = value["warning"].as_str().filter(|_| !context.output.json) {
        context.output.warn(warning);
    }
    context
        .output
        .answer(&value, || format!("Removed node {node}; no node will have its id again."))
}

async fn label(context: &Context, node: &str, labels: &[String]) -> Result<(), CliError> {
    let body = json!({"labels": change(labels)?});
    let value = context.client()?.patch(&path(&["nodes", node]), &body, None).await?.value;
    let shown: Node = view::read(&value)?;
    context.output.answer(&value, || match shown.labels.is_empty() {
        true => format!("{} has no labels now.", shown.label()),
        false => format!("{} is labelled {}.", shown.label(), self::labels(&shown.labels)),
    })
}

/// What the words mean: `name=value` sets, `name-` takes away.
fn change(words: &[String]) -> Result<Value, CliError> {
    let (mut set, mut unset) = (BTreeMap::new(), Vec::new());
    for word in words {
        match (word.split_once('='), word.strip_suffix('-')) {
            (Some((name, value)), _) if !name.is_empty() => {
                set.insert(name, value);
            }
            (None, Some(name)) if !name.is_empty() => unset.push(name),
            _ => {
                return Err(CliError::usage(
                    format!("`{word}` is no label"),
                    "name=value sets a label, name- takes it away",
                    "temps nodes label NODE zone=north",
                ));
            }
        }
    }
    Ok(json!({"set": set, "unset": unset}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_unset() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let made = change(&words(&["zone=north", "disk-", "note="])).unwrap();
        assert_eq!(made, json!({"set": {"zone": "north", "note": ""}, "unset": ["disk"]}));
        for bad in ["zone", "=x", "-", ""] {
            assert!(change(&words(&[bad])).is_err(), "{bad}");
        }
    }
}
