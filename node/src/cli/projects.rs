//! `temps projects`: what the team deploys.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::callers;
use super::context::{Context, ProjectArg};
use super::project_change::{self, Change, read_key};
use crate::client::path;
use crate::deletion::Deletion;
use crate::error::CliError;
use crate::table::{pairs, table};
use crate::view::{self, Environment, Project, Repository};
use crate::when::ago_or_dash;

/// The most projects that are listed.
const LIST_MAX: usize = 10_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the projects.
    #[command(visible_alias = "ls")]
    List,
    /// Show a project and its environments.
    Show(Which),
    /// Create a project.
    Create(Create),
    /// Change a project's repository and previews; what is not named stays.
    #[command(override_usage = "temps projects set [NAME] [OPTIONS]")]
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a project with everything in it.
    #[command(visible_alias = "rm")]
    Delete {
        #[command(flatten)]
        which: Which,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Let a project answer 403 and refuse deployments.
    Disable(Which),
    /// Serve a disabled project again.
    Enable(Which),
    /// Say which other projects' apps may call the project's by their internal names.
    Callers(callers::Args),
    /// Make a new secret for the project's webhooks, and print it once.
    WebhookSecret(Which),
}

#[derive(clap::Args)]
struct Which {
    /// The project's name or id; this folder's when not given.
    name: Option<String>,
    #[command(flatten)]
    project: ProjectArg,
}

impl Which {
    fn name(&self) -> Result<String, CliError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => self.project.name(),
        }
    }
}

#[derive(clap::Args)]
struct Create {
    /// Its name: lower-case letters, digits and inner hyphens.
    name: String,
    /// The Git repository to deploy from: https, ssh or file URL.
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// The branch that production follows.
    #[arg(long, default_value = "main", requires = "repository", value_name = "NAME")]
    branch: String,
    /// The folder of the app inside the repository.
    #[arg(long, default_value = "", requires = "repository", hide_default_value = true)]
    #[arg(value_name = "PATH")]
    directory: String,
    /// A file with the private SSH key that may read the repository, or - for standard input.
    #[arg(long, value_name = "FILE", requires = "repository")]
    deploy_key: Option<PathBuf>,
    /// Make no preview environments for other branches.
    #[arg(long)]
    no_previews: bool,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context).await,
        Act::Show(which) => show(context, &which.name()?).await,
        Act::Create(create) => self::create(context, create).await,
        Act::Set { which, change } => project_change::run(context, &which.name()?, change).await,
        Act::Delete { which, yes } => delete(context, &which.name()?, yes).await,
        Act::Disable(which) => disable(context, &which.name()?, true).await,
        Act::Enable(which) => disable(context, &which.name()?, false).await,
        Act::Callers(args) => callers::run(context, args).await,
        Act::WebhookSecret(which) => webhook_secret(context, &which.name()?).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let shown = |projects: Vec<Project>| {
        let header = ["name", "environments", "replicas", "live", "url", "created"];
        let empty = "No projects yet. Make one: temps deploy";
        table(header, projects.into_iter().map(row), empty)
    };
    context.list(&path(&["projects"]), &[], LIST_MAX, shown).await
}

fn row(project: Project) -> [String; 6] {
    let production = project.environments.first();
    let live = match (project.disabled, production.and_then(|e| e.current.as_ref())) {
        (true, _) => "disabled".into(),
        (false, Some(current)) => format!("#{}", current.number),
        (false, None) => "-".into(),
    };
    [
        project.name,
        project.environments.len().to_string(),
        production.map(replicas).unwrap_or_default(),
        live,
        production.map(|e| e.url.clone()).unwrap_or_default(),
        ago_or_dash(project.created_at),
    ]
}

/// `2/3`: healthy of wanted.
pub fn replicas(environment: &Environment) -> String {
    format!("{}/{}", environment.healthy_replicas, environment.replicas)
}

async fn show(context: &Context, name: &str) -> Result<(), CliError> {
    let value = context.reader()?.get(&path(&["projects", name])).await?.value;
    context.output.try_answer(&value, || {
        let project: Project = view::read(&value)?;
        Ok(format!("{}\n\n{}", about(&project), super::environments::listed(project.environments)))
    })
}

/// What a project is, in lines.
pub fn about(project: &Project) -> String {
    let repository = project.repository.as_ref().map_or("-".into(), |repository| {
        let Repository { url, branch, directory, has_deploy_key } = repository;
        let folder = if directory.is_empty() { "" } else { ", folder " };
        let key = if *has_deploy_key { ", with a deploy key" } else { "" };
        format!("{url} (branch {branch}{folder}{directory}{key})")
    });
    pairs([
        ("name", project.name.clone()),
        ("id", project.id.clone()),
        ("state", if project.disabled { "disabled" } else { "enabled" }.into()),
        ("repository", repository),
        ("previews", if project.previews { "on" } else { "off" }.into()),
        ("callers", listed(&project.callers)),
        ("push to", project.git_url.clone().unwrap_or_else(|| "-".into())),
        ("created", ago_or_dash(project.created_at)),
    ])
}

/// Names in one line.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

async fn create(context: &Context, create: Create) -> Result<(), CliError> {
    let mut body = json!({"name": create.name, "previews": !create.no_previews});
    if let Some(url) = &create.repository {
        body["repository"] = json!({
            "url": url,
            "branch": create.branch,
            "directory": create.directory,
            "deploy_key": create.deploy_key.as_deref().map(read_key).transpose()?,
        });
    }
    let value = context.client()?.post(&path(&["projects"]), &body).await?.value;
    context.output.try_answer(&value, || {
        let project: Project = view::read(&value)?;
        Ok(format!(
            "Created project {}. Deploy to it: temps deploy -p {}",
            project.name, project.name
        ))
    })
}

async fn delete(context: &Context, name: &str, yes: bool) -> Result<(), CliError> {
    let loss = "its environments, variables, deployments and what was pushed to it";
    Deletion { noun: "project", name, loss }.confirm(&context.output, yes)?;
    let value = context.client()?.delete(&path(&["projects", name])).await?.value;
    context.output.answer(&value, || format!("Deleted project {name}."))
}

async fn disable(context: &Context, name: &str, disabled: bool) -> Result<(), CliError> {
    let body = json!({"disabled": disabled});
    let value = context.client()?.patch(&path(&["projects", name]), &body, None).await?.value;
    context.output.answer(&value, || match disabled {
        true => format!("Disabled {name}: it answers 403. Undo: temps projects enable {name}"),
        false => format!("Enabled {name}."),
    })
}

async fn webhook_secret(context: &Context, name: &str) -> Result<(), CliError> {
    let path = path(&["projects", name, "webhook-secret"]);
    let value = context.client()?.post(&path, &Value::Object(Default::default())).await?.value;
    if !context.output.json {
        context.output.note("It is shown this once; the one before is not good any more.");
    }
    context.output.answer(&value, || view::plain(&value["secret"]))
}
