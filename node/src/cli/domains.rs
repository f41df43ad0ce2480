//! `temps domains`: names of a team's own that lead to its environments.

mod report;
mod wait;

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::context::{Context, TargetArgs};
use crate::client::{Client, path};
use crate::deletion::Deletion;
use crate::error::CliError;
use crate::view::{self, Domain, Look};
use crate::when::read_span;

/// The most domains that are listed.
const LIST_MAX: usize = 50_000;

const ADD_HELP: &str = "\
Prints the records to create where the name's DNS is kept. Once they are there, a node sees that the name is yours, and a
certificate is asked for; every node serves it from then on. *.example.com stands for every name one label below.";

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the domains.
    #[command(visible_alias = "ls")]
    List {
        /// Those that lead to this project.
        #[arg(short, long, value_name = "NAME")]
        project: Option<String>,
        /// Those that lead to this environment of it.
        #[arg(short, long, value_name = "NAME", requires = "project")]
        environment: Option<String>,
    },
    /// Let a name lead to an environment.
    #[command(after_help = ADD_HELP)]
    Add {
        /// The name, such as app.example.com or *.example.com.
        name: String,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        redirect: RedirectArgs,
        #[command(flatten)]
        paths: PathArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Show a domain: how it is, which records it needs, and what each node sees now.
    Show {
        /// The name.
        name: String,
    },
    /// Look now whether a name leads here, so that its certificate is asked for.
    Verify {
        /// The name.
        name: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let a domain lead elsewhere; what is not named stays, and paths that are named replace all others.
    Set(Set),
    /// Remove a domain.
    #[command(visible_aliases = ["rm", "delete"])]
    Remove {
        /// The name.
        name: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct RedirectArgs {
    /// Send clients there instead; a URL that ends with / gets the path and query of the request appended.
    #[arg(long, value_name = "URL")]
    redirect_to: Option<String>,
    /// How they are sent: 301, 302, 307 or 308.
    #[arg(long, value_name = "STATUS", default_value_t = 301, requires = "redirect_to")]
    status: u16,
}

impl RedirectArgs {
    fn body(&self) -> Option<Value> {
        let to = self.redirect_to.as_ref()?;
        Some(json!({"to": to, "status": self.status}))
    }
}

#[derive(clap::Args)]
struct PathArgs {
    /// Let a path lead to another project or environment: /api=PROJECT or /api=PROJECT/ENVIRONMENT; may be repeated.
    #[arg(long = "path", value_name = "PATH=TARGET")]
    paths: Vec<String>,
}

impl PathArgs {
    fn body(&self) -> Result<Option<Value>, CliError> {
        let mut paths = Map::new();
        for text in &self.paths {
            let Some((prefix, to)) = text.split_once('=') else {
                return Err(CliError::usage(
                    format!("`{text}` lets no path lead anywhere"),
                    "there is no `=` in it",
                    "--path /api=PROJECT/ENVIRONMENT",
                ));
            };
            paths.insert(prefix.into(), to.into());
        }
        Ok((!paths.is_empty()).then_some(Value::Object(paths)))
    }
}

#[derive(clap::Args)]
struct WaitArgs {
    /// Wait until every node serves the name with a certificate.
    #[arg(long)]
    wait: bool,
    /// How long to wait: a number with s, m, h or d.
    #[arg(long, default_value = "10m", value_name = "SPAN", requires = "wait")]
    timeout: String,
}

impl WaitArgs {
    /// For how long to wait; `None` for not at all.
    fn within(&self) -> Result<Option<Duration>, CliError> {
        let seconds = read_span(&self.timeout).ok_or_else(|| {
            CliError::usage(
                format!("--timeout {} is no span of time", self.timeout),
                "a span is a number with s, m, h or d",
                "--wait --timeout 10m",
            )
        })?;
        Ok(self.wait.then_some(Duration::from_secs(seconds)))
    }
}

#[derive(clap::Args)]
struct Set {
    /// The name.
    name: String,
    /// The project that it leads to from now on.
    #[arg(short, long, value_name = "NAME")]
    project: Option<String>,
    /// The environment that it leads to from now on.
    #[arg(short, long, value_name = "NAME")]
    environment: Option<String>,
    #[command(flatten)]
    redirect: RedirectArgs,
    /// Send clients nowhere else any more.
    #[arg(long, conflicts_with = "redirect_to")]
    no_redirect: bool,
    #[command(flatten)]
    paths: PathArgs,
    /// Let no path lead elsewhere any more.
    #[arg(long, conflicts_with = "paths")]
    no_paths: bool,
}

impl Set {
    fn body(&self) -> Result<Value, CliError> {
        let mut body = Map::new();
        let texts = [("project", &self.project), ("environment", &self.environment)];
        for (field, text) in texts {
            body.extend(text.as_ref().map(|text| (field.to_string(), json!(text))));
        }
        let redirect = self.redirect.body().or(self.no_redirect.then_some(Value::Null));
        body.extend(redirect.map(|redirect| ("redirect".into(), redirect)));
        let paths = self.paths.body()?.or(self.no_paths.then(|| json!({})));
        body.extend(paths.map(|paths| ("paths".into(), paths)));
        match body.is_empty() {
            false => Ok(Value::Object(body)),
            true => Err(CliError::usage(
                format!("nothing of {} is to be changed", self.name),
                "no option says what",
                format!("temps domains set {} --project NAME", report::word(&self.name)),
            )),
        }
    }
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::List { project: None, environment: None }) {
        Act::List { project, environment } => list(context, project, environment).await,
        Act::Add { name, target, redirect, paths, wait } => {
            let mut body = json!({
                "name": name, "project": target.project.name()?,
                "environment": target.environment, "redirect": redirect.body(),
            });
            if let Some(paths) = paths.body()? {
                body["paths"] = paths;
            }
            add(context, &body, wait.within()?).await
        }
        Act::Show { name } => show(context, &name).await,
        Act::Verify { name, wait } => verify(context, &name, wait.within()?).await,
        Act::Set(set) => change(context, &set.name, &set.body()?).await,
        Act::Remove { name, yes } => remove(context, &name, yes).await,
    }
}

async fn list(
    context: &Context,
    project: Option<String>,
    environment: Option<String>,
) -> Result<(), CliError> {
    let query = [("project", project), ("environment", environment)];
    let query: Vec<_> = query.into_iter().filter_map(|(name, one)| Some((name, one?))).collect();
    context.list(&path(&["domains"]), &query, LIST_MAX, report::listed).await
}

async fn add(context: &Context, body: &Value, wait: Option<Duration>) -> Result<(), CliError> {
    let client = context.client()?;
    let value = client.post(&path(&["domains"]), body).await?.value;
    let domain: Domain = view::read(&value)?;
    let Domain { name, project, environment, .. } = &domain;
    if !context.output.json {
        context.output.note(&format!("Added {name}, which leads to {project}/{environment}."));
    }
    if let Some(within) = wait {
        if !context.output.json {
            context.output.note(&report::records(&domain));
        }
        return follow(context, &client, name, within).await;
    }
    print(context, &client, &value).await
}

async fn show(context: &Context, name: &str) -> Result<(), CliError> {
    let client = context.reader()?;
    let value = client.get(&path(&["domains", name])).await?.value;
    print(context, &client, &value).await
}

/// Prints a domain, for people with what each node sees of it.
async fn print(context: &Context, client: &Client, value: &Value) -> Result<(), CliError> {
    if context.output.json {
        return context.output.answer(value, String::new);
    }
    let domain: Domain = view::read(value)?;
    let looks = look(client, &domain.name).await.unwrap_or_else(|error| {
        context.output.warn(&format!("what the nodes see is not known: {error}"));
        Vec::new()
    });
    context.output.data(&report::whole(&domain, &looks))
}

async fn look(client: &Client, name: &str) -> Result<Vec<Look>, CliError> {
    view::items(&client.get(&path(&["domains", name, "look"])).await?.value)
}

async fn verify(context: &Context, name: &str, wait: Option<Duration>) -> Result<(), CliError> {
    let client = context.client()?;
    if let Some(within) = wait {
        return follow(context, &client, name, within).await;
    }
    let (value, seen) = wait::verify(&client, name).await?;
    if !seen.proven {
        if context.output.json {
            context.output.answer(&value, String::new)?;
        } else {
            context.output.note(&report::records(&seen.domain));
        }
        let why = format!("node {} sees: {}", seen.look.name, report::sight(&seen.look));
        let what = format!("{name} does not lead to this cluster yet");
        let word = report::word(name);
        let next = format!("create the records, then temps domains verify {word}");
        return Err(CliError::blocked(what, why, next));
    }
    context.output.answer(&value, || {
        let next = report::next(&seen.domain).map(|next| format!(" Next: {next}"));
        format!("{name} leads to this cluster.{}", next.unwrap_or_default())
    })
}

async fn follow(
    context: &Context,
    client: &Client,
    name: &str,
    within: Duration,
) -> Result<(), CliError> {
    let value = wait::follow(context.output, client, name, within).await?;
    context.output.answer(&value, || format!("https://{name}"))
}

async fn change(context: &Context, name: &str, body: &Value) -> Result<(), CliError> {
    let value = context.client()?.patch(&path(&["domains", name]), body, None).await?.value;
    context.output.try_answer(&value, || {
        let domain: Domain = view::read(&value)?;
        Ok(report::whole(&domain, &[]))
    })
}

async fn remove(context: &Context, name: &str, yes: bool) -> Result<(), CliError> {
    let loss = "its routes and the certificate that the cluster got for it";
    Deletion { noun: "domain", name, loss }.confirm(&context.output, yes)?;
    let value = context.client()?.delete(&path(&["domains", name])).await?.value;
    context.output.answer(&value, || format!("Removed {name}. Its DNS records may go now, too."))
}
