//! `temps certificates`: what the edges show for the names they serve.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use super::project_change::read_key;
use crate::client::{Client, path};
use crate::deletion::Deletion;
use crate::error::CliError;
use crate::table::{pairs, table};
use crate::view::{self, Certificate, Domain};
use crate::when::ago_or_dash;

/// The most certificates that are listed.
const LIST_MAX: usize = 50_000;
/// How many names the table shows of a certificate.
const NAMES_SHOWN: usize = 3;

const HELP: &str = "\
The cluster gets and renews the certificates of domains by itself. One that you add is shown before those, and yours to
renew; its key is kept sealed, and nobody is shown it again.";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the certificates.
    #[command(visible_alias = "ls")]
    List,
    /// Show a certificate.
    Show {
        /// Its id.
        id: String,
    },
    /// Add a certificate of your own, which every node shows from then on.
    Add {
        /// The file with the certificate, and then those that vouch for it, in PEM.
        #[arg(long, value_name = "FILE")]
        chain: PathBuf,
        /// The file with its private key in PEM, or - for standard input.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Remove a certificate.
    #[command(visible_aliases = ["rm", "delete"])]
    Remove {
        /// Its id.
        id: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context).await,
        Act::Show { id } => {
            let value = context.reader()?.get(&path(&["certificates", &id])).await?.value;
            context.output.try_answer(&value, || Ok(about(&view::read(&value)?)))
        }
        Act::Add { chain, key } => {
            let chain = std::fs::read_to_string(&chain).map_err(CliError::file("read", &chain))?;
            add(context, &json!({"chain": chain, "key": read_key(&key)?})).await
        }
        Act::Remove { id, yes } => remove(context, &id, yes).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let shown = |certificates: Vec<Certificate>| {
        let header = ["id", "names", "issuer", "ends", "source"];
        let empty = "No certificates. Domains get theirs by themselves: temps domains add";
        table(header, certificates.into_iter().map(row), empty)
    };
    context.list(&path(&["certificates"]), &[], LIST_MAX, shown).await
}

fn row(one: Certificate) -> [String; 5] {
    let (ends, source) = (ends(&one), source(&one));
    [one.id, names(&one.names), one.issuer, ends, source]
}

fn names(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn ends(one: &Certificate) -> String {
    match one.valid {
        true => ago_or_dash(one.not_after),
        false => format!("not valid: {}", ago_or_dash(one.not_after)),
    }
}

/// Who renews it.
fn source(one: &Certificate) -> String {
    match one.source["domain"].as_str() {
        Some(domain) => format!("issued for {domain}"),
        None => "added by hand".into(),
    }
}

fn about(one: &Certificate) -> String {
    let time = |at: Option<jiff::Timestamp>| at.map_or("-".into(), |at| at.to_string());
    pairs([
        ("id", one.id.clone()),
        ("names", one.names.join(", ")),
        ("issuer", one.issuer.clone()),
        ("begins", time(one.not_before)),
        ("ends", format!("{} ({})", time(one.not_after), ends(one))),
        ("source", source(one)),
        ("added", ago_or_dash(one.created_at)),
    ])
}

async fn add(context: &Context, body: &Value) -> Result<(), CliError> {
    let value = context.client()?.post(&path(&["certificates"]), body).await?.value;
    let added: Certificate = view::read(&value)?;
    context.output.answer(&value, || {
        let (id, names, ends) = (&added.id, names(&added.names), ago_or_dash(added.not_after));
        format!("Added certificate {id} for {names}, which ends {ends}: bring the next in time.")
    })?;
    added.warnings.iter().for_each(|warning| context.output.warn(warning));
    Ok(())
}

async fn remove(context: &Context, id: &str, yes: bool) -> Result<(), CliError> {
    let client = context.client()?;
    if !yes {
        let used = users(&client, id).await?;
        let loss = match used.is_empty() {
            true => "its key".into(),
            false => format!("its key, and HTTPS of {} where no other is for it", names(&used)),
        };
        Deletion { noun: "certificate", name: id, loss: &loss }.confirm(&context.output, yes)?;
    }
    let value = client.delete(&path(&["certificates", id])).await?.value;
    context.output.answer(&value, || format!("Removed certificate {id}."))
}

/// The domains that it is shown for.
async fn users(client: &Client, id: &str) -> Result<Vec<String>, CliError> {
    let value = client.list(&path(&["domains"]), &[], LIST_MAX).await?;
    let domains: Vec<Domain> = view::items(&value)?;
    let shown = |domain: &Domain| domain.certificate.as_ref().is_some_and(|one| one.id == id);
    Ok(domains.into_iter().filter(shown).map(|domain| domain.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_names_is_cut() {
        let all: Vec<String> = ["a", "b", "c", "d", "e"].map(String::from).into();
        assert_eq!(names(&all[..1]), "a");
        assert_eq!(names(&all[..3]), "a, b, c");
        assert_eq!(names(&all), "a, b, c and 2 more");
    }
}
