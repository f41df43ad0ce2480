//! `temps requests`: what the edges answered for an app.

use serde_json::Value;

use super::context::{Context, TargetArgs};
use super::logs::since_time;
use crate::error::CliError;
use crate::follow::Lines;
use crate::view::{self, Request};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Go on as new requests come.
    #[arg(short, long)]
    follow: bool,
    /// How many of the latest requests of each node to begin with.
    #[arg(long, default_value_t = 100, value_name = "N")]
    tail: u32,
    /// Only requests since then: a span such as 10m or 2h, or a time.
    #[arg(long, value_name = "SPAN")]
    since: Option<String>,
    /// Only this status, such as 404, or class, such as 5xx; `none` is a client that left before its answer.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only this method.
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Only paths that begin so.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Only requests to this name.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only requests of this address.
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// Only requests that took so many milliseconds, or more.
    #[arg(long, value_name = "MS")]
    min_ms: Option<u64>,
    /// Only requests that this node's edge answered.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let client = context.reader()?;
    let path = args.target.path(&["requests"])?;
    let query = query(&args)?;
    let mut lines = Lines::new(&client, path, &query);
    let print = |line: &Value| match context.output.json {
        true => context.output.data(&line.to_string()),
        false => context.output.data(&people(&view::read(line)?)),
    };
    if args.follow {
        while let Some(line) = lines.next().await? {
            print(&line)?;
        }
        return Ok(());
    }
    let mut all = Vec::new();
    while let Some(line) = lines.next().await? {
        all.push(line);
    }
    // Nodes answer one beside the other.
    all.sort_by_cached_key(|line| view::read::<Request>(line).ok().and_then(|request| request.at));
    all.iter().try_for_each(print)
}

fn query(args: &Args) -> Result<Vec<(&'static str, String)>, CliError> {
    let since = args.since.as_deref().map(since_time).transpose()?;
    let given = [
        ("since", since.map(|at| at.to_string())),
        ("status", args.status.clone()),
        ("method", args.method.clone()),
        ("path", args.path.clone()),
        ("host", args.host.clone()),
        ("client", args.client.clone()),
        ("min_ms", args.min_ms.map(|ms| ms.to_string())),
        ("node", args.node.clone()),
    ];
    let mut query = vec![("follow", args.follow.to_string()), ("tail", args.tail.to_string())];
    query.extend(given.into_iter().filter_map(|(name, value)| Some((name, value?))));
    Ok(query)
}

/// `2026-01-02T03:04:05Z 200 GET app.example.com/path 12 ms, 203.0.113.7 at node 2`.
fn people(request: &Request) -> String {
    let at = request.at.map(|at| format!("{at:.0}")).unwrap_or_default();
    if request.kind == "missing" {
        return format!("{at} requests of node {} are missing: {}", request.node, request.why);
    }
    let Request { method, host, path, milliseconds, client, node, .. } = request;
    let status = request.status.map_or_else(|| "left".into(), |status| status.to_string());
    let error = request.error.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
    format!("{at} {status} {method} {host}{path} {milliseconds} ms, {client} at node {node}{error}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(line: &Value) -> String {
        people(&view::read(line).expect("a line"))
    }

    #[test]
    fn a_request_is_one_line() {
        let mut line = json!({
            "type": "request", "at": "2026-01-02T03:04:05.678Z", "node": 2, "status": 200,
            "method": "GET", "host": "app.example.com", "path": "/a", "milliseconds": 12,
            "client": "203.0.113.7", "error": null,
        });
        let expected =
            "2026-01-02T03:04:05Z 200 GET app.example.com/a 12 ms, 203.0.113.7 at node 2";
        assert_eq!(shown(&line), expected);
        line["status"] = Value::Null;
        line["error"] = "the client left".into();
        assert!(shown(&line).contains("Z left GET") && shown(&line).ends_with("  the client left"));
        let missing = json!({
            "type": "missing", "at": "2026-01-02T03:04:05Z", "node": 3, "why": "it is away",
        });
        let expected = "2026-01-02T03:04:05Z requests of node 3 are missing: it is away";
        assert_eq!(shown(&missing), expected);
    }
}
