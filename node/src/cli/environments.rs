//! `temps environments`: where a project's deployments run.

use clap::Subcommand;
use serde_json::json;

use super::context::{Context, ProjectArg};
use super::projects::replicas;
use crate::client::path;
use crate::deletion::Deletion;
use crate::error::CliError;
use crate::table::table;
use crate::view::{self, Environment, Lacking};

/// The most environments that are listed.
const LIST_MAX: usize = 1_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the environments.
    #[command(visible_alias = "ls")]
    List,
    /// Create a preview environment for a branch.
    Create {
        /// The branch it follows; its name is made from it.
        branch: String,
    },
    /// Delete a preview environment with everything in it.
    #[command(visible_alias = "rm")]
    Delete {
        /// The environment's name.
        name: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let project = args.project.name()?;
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context, &project).await,
        Act::Create { branch } => create(context, &project, branch).await,
        Act::Delete { name, yes } => delete(context, &project, &name, yes).await,
    }
}

async fn list(context: &Context, project: &str) -> Result<(), CliError> {
    let path = path(&["projects", project, "environments"]);
    context.list(&path, &[], LIST_MAX, listed).await
}

/// A table of environments.
pub fn listed(environments: Vec<Environment>) -> String {
    let header = ["environment", "branch", "replicas", "live", "url"];
    let lacking: String = environments.iter().filter_map(lacking).collect();
    table(header, environments.into_iter().map(row), "No environments.") + &lacking
}

/// What keeps an environment from having all its replicas, in lines of their own.
pub fn lacking(environment: &Environment) -> Option<String> {
    let Lacking { message, hint } = environment.lacking.as_ref()?;
    Some(format!("\n{}: {message}\n  try: {hint}", environment.name))
}

fn row(environment: Environment) -> [String; 5] {
    let live = environment.current.as_ref().map(|current| format!("#{}", current.number));
    let branch = environment.kind["branch"].as_str().unwrap_or("-").to_string();
    let replicas = replicas(&environment);
    [environment.name, branch, replicas, live.unwrap_or_else(|| "-".into()), environment.url]
}

async fn create(context: &Context, project: &str, branch: String) -> Result<(), CliError> {
    let path = path(&["projects", project, "environments"]);
    let value = context.client()?.post(&path, &json!({"branch": branch})).await?.value;
    context.output.try_answer(&value, || {
        let Environment { name, .. } = view::read(&value)?;
        Ok(format!("Created environment {name}. Deploy to it: temps deploy -p {project} -e {name}"))
    })
}

async fn delete(context: &Context, project: &str, name: &str, yes: bool) -> Result<(), CliError> {
    let loss = "its variables, deployments and logs";
    Deletion { noun: "environment", name, loss }.confirm(&context.output, yes)?;
    let path = path(&["projects", project, "environments", name]);
    let value = context.client()?.delete(&path).await?.value;
    context.output.answer(&value, || format!("Deleted environment {name}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_stands_below_the_table() {
        let read = |value| view::read::<Environment>(&value).expect("an environment");
        let well = read(json!({"name": "production", "replicas": 2, "healthy_replicas": 2}));
        assert!(!listed(vec![well]).contains("try:"));
        let lacking = json!({"message": "1 replica has no place", "hint": "add a node"});
        let short = read(json!({"name": "next", "replicas": 2, "lacking": lacking}));
        let shown = listed(vec![short]);
        assert!(shown.ends_with("\nnext: 1 replica has no place\n  try: add a node"), "{shown}");
    }
}
