//! `temps logs`: what the app prints, or what its build printed.

use jiff::Timestamp;
use serde_json::Value;

use super::context::{Context, TargetArgs};
use super::deployments::Of;
use crate::client::Client;
use crate::error::CliError;
use crate::follow::Lines;
use crate::output::Output;
use crate::view::{self, LogLine};
use crate::when;

/// How many characters at the end of a replica's id tell it from the others.
const REPLICA_CHARS: usize = 8;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Go on as new lines come.
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to begin with.
    #[arg(long, default_value_t = 100, value_name = "N")]
    tail: u32,
    /// Only lines since then: a span such as 10m or 2h, or a time.
    #[arg(long, value_name = "SPAN")]
    since: Option<String>,
    /// Only this replica's lines.
    #[arg(long, value_name = "ID", conflicts_with = "build")]
    replica: Option<String>,
    /// The build's log instead; the newest deployment's when none is named.
    #[arg(long, value_name = "DEPLOYMENT", num_args = 0..=1, default_missing_value = "")]
    #[arg(conflicts_with_all = ["since", "tail"])]
    build: Option<String>,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let client = context.reader()?;
    if let Some(deployment) = &args.build {
        return build_log(context, &args, client, deployment).await;
    }
    let mut query = vec![("follow", args.follow.to_string()), ("tail", args.tail.to_string())];
    if let Some(since) = &args.since {
        query.push(("since", since_time(since)?.to_string()));
    }
    if let Some(replica) = args.replica {
        query.push(("replica", replica));
    }
    let path = args.target.path(&["logs"])?;
    print_all(&context.output, &client, path, &query, replica_line).await
}

pub fn since_time(text: &str) -> Result<Timestamp, CliError> {
    when::since(Timestamp::now(), text).ok_or_else(|| {
        CliError::usage(
            format!("--since {text} is neither a span nor a time"),
            "a span is a number with s, m, h or d; a time is RFC 3339",
            "temps logs --since 10m",
        )
    })
}

async fn build_log(
    context: &Context,
    args: &Args,
    client: Client,
    deployment: &str,
) -> Result<(), CliError> {
    let project = args.target.project.name()?;
    let of = Of { client, project, environment: args.target.environment.clone() };
    let number = match deployment {
        "" => of.find("at all", |_| true).await?,
        number => number.into(),
    };
    let query = [("follow", args.follow.to_string())];
    let path = of.path(&number, &["logs"]);
    print_all(&context.output, &of.client, path, &query, build_line).await
}

async fn print_all(
    output: &Output,
    client: &Client,
    path: String,
    query: &[(&str, String)],
    people: fn(&LogLine) -> String,
) -> Result<(), CliError> {
    let mut lines = Lines::new(client, path, query);
    while let Some(value) = lines.next().await? {
        print(output, &value, people)?;
    }
    Ok(())
}

fn print(output: &Output, value: &Value, people: fn(&LogLine) -> String) -> Result<(), CliError> {
    match output.json {
        true => output.data(&value.to_string()),
        false => output.data(&people(&view::read(value)?)),
    }
}

fn replica_line(line: &LogLine) -> String {
    let from = line.replica.len().saturating_sub(REPLICA_CHARS);
    match line.replica.get(from..) {
        Some("") | None => line.text.clone(),
        Some(replica) => format!("{replica} | {}", line.text),
    }
}

fn build_line(line: &LogLine) -> String {
    match line.step.as_str() {
        "" => line.text.clone(),
        step => format!("{step} | {}", line.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_the_replica_or_the_step_they_come_from() {
        let line = LogLine { text: "hi".into(), ..Default::default() };
        assert_eq!(replica_line(&line), "hi");
        let line = LogLine { replica: "rep_01abcdefgh".into(), step: "build".into(), ..line };
        assert_eq!(replica_line(&line), "abcdefgh | hi");
        assert_eq!(build_line(&line), "build | hi");
    }
}
