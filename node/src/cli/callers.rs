//! `temps projects callers`: which other projects' apps may call a project's by their internal names.

use clap::Subcommand;
use serde_json::Value;

use super::context::{Context, ProjectArg};
use crate::client::path;
use crate::error::CliError;
use crate::table::table;
use crate::view::Project;

/// The most callers that are listed.
const LIST_MAX: usize = 1_000;

const HELP: &str = "\
Apps of one project reach each other at http://<project>-<environment>.temps.internal; those of
other projects are refused there. A project that lets another one call it does so for all
environments of both, and not the other way round. A denial holds from the next request on.

Examples:
  temps projects callers allow shop -p payments    shop calls payments-production.temps.internal
  temps projects callers deny shop -p payments
  temps projects callers list -p payments";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the other projects that may call this one.
    #[command(visible_alias = "ls")]
    List,
    /// Let apps of another project call this one's.
    Allow(Caller),
    /// Let them no more.
    Deny(Caller),
}

#[derive(clap::Args)]
struct Caller {
    /// The name or id of the project that calls.
    caller: String,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let called = args.project.name()?;
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context, &called).await,
        Act::Allow(Caller { caller }) => allow(context, &called, &caller).await,
        Act::Deny(Caller { caller }) => deny(context, &called, &caller).await,
    }
}

async fn list(context: &Context, called: &str) -> Result<(), CliError> {
    let path = path(&["projects", called, "callers"]);
    let shown = |callers: Vec<Project>| {
        let empty = format!(
            "Only apps of {called} itself may call it. Let others: temps projects callers allow NAME -p {called}"
        );
        table(["name", "id"], callers.into_iter().map(|one| [one.name, one.id]), &empty)
    };
    context.list(&path, &[], LIST_MAX, shown).await
}

async fn allow(context: &Context, called: &str, caller: &str) -> Result<(), CliError> {
    let path = path(&["projects", called, "callers", caller]);
    let value = context.client()?.put(&path, &Value::Object(Default::default()), None).await?.value;
    context.output.answer(&value, || {
        format!(
            "Apps of {caller} may call those of {called} by their internal names. Undo: temps projects callers deny \
             {caller} -p {called}"
        )
    })
}

async fn deny(context: &Context, called: &str, caller: &str) -> Result<(), CliError> {
    let path = path(&["projects", called, "callers", caller]);
    let value = context.client()?.delete(&path).await?.value;
    context.output.answer(&value, || format!("Apps of {caller} may not call those of {called}."))
}
