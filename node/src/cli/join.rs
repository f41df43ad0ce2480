//! `temps join`: makes this machine a node of a cluster, and serves.

use super::serve;
use crate::error::CliError;
use crate::joining::Joining;
use crate::node_config::ServeArgs;
use crate::output::Output;

#[derive(clap::Args)]
pub struct Args {
    /// Any node of the cluster: its address, and its peer port if that is not 3001.
    #[arg(value_name = "PEER")]
    member: String,
    /// The join token that `temps nodes token` printed.
    #[arg(long, env = "TEMPS_JOIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: String,
    /// A label of the node, by which apps choose where they run; may be given more than once.
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    #[command(flatten)]
    serve: ServeArgs,
}

pub fn run(output: Output, args: Args) -> Result<(), CliError> {
    let Args { member, token, labels, serve } = args;
    let labels = labels.iter().map(|text| label(text)).collect::<Result<_, _>>()?;
    serve::start(serve, Some(Joining { member, token, labels, output }))
}

fn label(text: &str) -> Result<(String, String), CliError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(CliError::usage(
            format!("--label {text} is no label"),
            "a label is NAME=VALUE",
            "temps join PEER --token TOKEN --label zone=north",
        )),
    }
}
