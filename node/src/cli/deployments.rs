//! `temps deployments`: what was deployed, how it went, and the way back.

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::{Context, TargetArgs};
use crate::client::{Client, path};
use crate::error::CliError;
use crate::follow::follow;
use crate::table::{pairs, table};
use crate::view::{self, Deployment};
use crate::when::ago_or_dash;

/// How many deployments are looked through for the kept one or the one under way: more than an environment remembers.
const LOOK_MAX: usize = 200;
/// How many characters of a commit's hash are shown.
const COMMIT_CHARS: usize = 8;
/// How many characters of a commit's message are shown.
const MESSAGE_CHARS: usize = 40;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the deployments of an environment, newest first.
    #[command(visible_alias = "ls")]
    List {
        /// How many to list.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Only those with this in their number, phase, branch, commit, message, author or image.
        #[arg(long)]
        search: Option<String>,
    },
    /// Show a deployment, the newest one when none is named.
    Show {
        /// Its number or id.
        deployment: Option<String>,
    },
    /// Call a deployment off, the one under way when none is named.
    Cancel {
        /// Its number or id.
        deployment: Option<String>,
    },
    /// Go back to an earlier deployment, the kept one when none is named.
    Rollback {
        /// Its number or id.
        deployment: Option<String>,
        /// Return at once, without waiting for the switch.
        #[arg(long)]
        no_wait: bool,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let act = args.act.unwrap_or(Act::List { limit: 20, search: None });
    let looks = matches!(act, Act::List { .. } | Act::Show { .. });
    let of = Of {
        client: if looks { context.reader()? } else { context.client()? },
        project: args.target.project.name()?,
        environment: args.target.environment,
    };
    match act {
        Act::List { limit, search } => list(context, &of, limit, search).await,
        Act::Show { deployment } => show(context, &of, deployment).await,
        Act::Cancel { deployment } => cancel(context, &of, deployment).await,
        Act::Rollback { deployment, no_wait } => rollback(context, &of, deployment, no_wait).await,
    }
}

/// Whose deployments are meant.
pub struct Of {
    pub client: Client,
    pub project: String,
    pub environment: String,
}

impl Of {
    /// The newest deployments, newest first.
    async fn newest(&self, max: usize, search: Option<String>) -> Result<Value, CliError> {
        let environment = [("environment", self.environment.clone())];
        let query = environment.into_iter().chain(search.map(|text| ("search", text)));
        let query: Vec<_> = query.collect();
        self.client.list(&path(&["projects", &self.project, "deployments"]), &query, max).await
    }

    /// The number of the newest deployment that fits.
    pub async fn find(
        &self,
        what: &str,
        fits: impl Fn(&Deployment) -> bool,
    ) -> Result<String, CliError> {
        let deployments: Vec<Deployment> = view::items(&self.newest(LOOK_MAX, None).await?)?;
        let found = deployments.into_iter().find(fits);
        found.map(|deployment| deployment.number.to_string()).ok_or_else(|| {
            CliError::blocked(
                format!("{}/{} has no deployment {what}", self.project, self.environment),
                "none of its deployments is",
                format!("temps deployments list -p {} -e {}", self.project, self.environment),
            )
        })
    }

    /// The path of a deployment, and of what is in it.
    pub fn path(&self, deployment: &str, more: &[&str]) -> String {
        // People write `#7` as they see it.
        let number = deployment.trim_start_matches('#');
        path(&[&["projects", &self.project, "deployments", number], more].concat())
    }
}

async fn list(
    context: &Context,
    of: &Of,
    limit: usize,
    search: Option<String>,
) -> Result<(), CliError> {
    let none = match search {
        Some(_) => "No deployment has that. All of them: temps deployments list",
        None => "No deployments yet. Make one: temps deploy",
    };
    let value = of.newest(limit.max(1), search).await?;
    context.output.try_answer(&value, || {
        let header = ["number", "phase", "source", "what", "created", "id"];
        let deployments: Vec<Deployment> = view::items(&value)?;
        Ok(table(header, deployments.into_iter().map(row), none))
    })
}

fn row(deployment: Deployment) -> [String; 6] {
    [
        deployment.number.to_string(),
        deployment.phase.clone(),
        view::kind(&deployment.source).into(),
        what(&deployment),
        ago_or_dash(deployment.created_at),
        deployment.id,
    ]
}

/// What is known of its content, in a few words.
fn what(deployment: &Deployment) -> String {
    if let Some(failure) = &deployment.failure {
        return failure.code.clone();
    }
    match &deployment.revision {
        Some(revision) => {
            let commit: String = revision.commit.chars().take(COMMIT_CHARS).collect();
            let message: String = revision.message.chars().take(MESSAGE_CHARS).collect();
            format!("{commit} {message}").trim_end().into()
        }
        None => view::plain(source_text(&deployment.source)),
    }
}

fn source_text(source: &Value) -> &Value {
    let fields = ["reference", "url", "of"];
    fields
        .iter()
        .map(|field| &source[*field])
        .find(|value| !value.is_null())
        .unwrap_or(&Value::Null)
}

async fn show(context: &Context, of: &Of, deployment: Option<String>) -> Result<(), CliError> {
    let number = match deployment {
        Some(number) => number,
        None => of.find("at all", |_| true).await?,
    };
    let value = of.client.get(&of.path(&number, &[])).await?.value;
    context.output.try_answer(&value, || Ok(about(&view::read(&value)?)))
}

fn about(deployment: &Deployment) -> String {
    let mut lines = vec![
        ("deployment", format!("#{} ({})", deployment.number, deployment.id)),
        ("runs in", format!("{}/{}", deployment.project_name, deployment.environment_name)),
        ("phase", deployment.phase.clone()),
        ("source", format!("{} {}", view::kind(&deployment.source), what(deployment))),
        ("preset", view::plain(&deployment.config["preset"])),
        ("created", ago_or_dash(deployment.created_at)),
        ("url", deployment.url.clone()),
    ];
    if let Some(queue) = &deployment.queue {
        lines.push(("waits", format!("for a build slot: {}", queue.text())));
    }
    if let Some(reason) = &deployment.reason {
        lines.push(("reason", reason.clone()));
    }
    if let Some(failure) = &deployment.failure {
        lines.push(("failure", format!("{} ({})", failure.message, failure.code)));
        lines.push(("try", failure.hint.clone()));
    }
    let history = deployment.history.iter();
    lines
        .extend(history.map(|moment| ("", format!("{} {}", moment.phase, ago_or_dash(moment.at)))));
    for replica in &deployment.replicas {
        let (intent, observed) = (view::kind(&replica.intent), view::kind(&replica.observed));
        lines.push(("replica", format!("{} {intent}, {observed}", replica.id)));
    }
    let tail = deployment.failure.as_ref().map(|failure| failure.log_tail.join("\n"));
    match tail.filter(|tail| !tail.is_empty()) {
        Some(tail) => format!("{}\n\nlast log lines:\n{tail}", pairs(lines)),
        None => pairs(lines),
    }
}

async fn cancel(context: &Context, of: &Of, deployment: Option<String>) -> Result<(), CliError> {
    let under_way = |d: &Deployment| {
        matches!(d.phase.as_str(), "queued" | "building" | "preparing" | "starting")
    };
    let number = match deployment {
        Some(number) => number,
        None => of.find("under way", under_way).await?,
    };
    let value = of.client.post(&of.path(&number, &["cancel"]), &json!({})).await?.value;
    context.output.answer(&value, || format!("Cancelled deployment {number}."))
}

async fn rollback(
    context: &Context,
    of: &Of,
    deployment: Option<String>,
    no_wait: bool,
) -> Result<(), CliError> {
    let number = match deployment {
        Some(number) => number,
        None => of.find("kept for a rollback", |d| d.phase == "kept").await?,
    };
    let created = of.client.post(&of.path(&number, &["rollback"]), &json!({})).await?.value;
    context
        .output
        .note(&format!("Rolling {}/{} back to deployment {number}", of.project, of.environment));
    let last = match no_wait {
        true => created,
        false => follow(context.output, &of.client, &created).await?,
    };
    let url = view::read::<Deployment>(&last)?.url;
    context.output.answer(&last, || url)
}
