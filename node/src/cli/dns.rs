//! `temps dns`: accounts with DNS providers, where the cluster keeps the records of its names, and zones that the nodes answer for.

mod zones;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use super::project_change::{Switch, read_key};
use crate::client::path;
use crate::deletion::Deletion;
use crate::error::CliError;
use crate::table::table;
use crate::view::{self, DnsProvider};
use crate::when::ago_or_dash;

/// The most accounts that are listed.
const LIST_MAX: usize = 1_000;

const HELP: &str = "\
The cluster keeps A, AAAA and TXT records of its domains and of the preview domain there: they list the nodes that live,
and what authorities look for. Records that it has not made stay as they are.";

const CREDENTIALS_HELP: &str = "\
The credentials are a JSON object:
  cloudflare  {\"token\": \"…\"}, with the permissions Zone:Read and DNS:Edit
  route53     {\"access_key_id\": \"…\", \"secret_access_key\": \"…\"}
  digitalocean, hetzner  {\"token\": \"…\"}, which may read and write
  google      the key file of a service account, as it is
  azure       {\"tenant_id\": \"…\", \"client_id\": \"…\", \"client_secret\": \"…\", \"subscription_id\": \"…\", \"resource_group\": \"…\"}
  rfc2136     {\"server\": \"ns1.example.com:53\", \"key\": \"NAME\", \"secret\": \"BASE64\", \"algorithm\": \"hmac-sha256\"}
docs/dns-providers.md says more.";

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// List, add and remove accounts with DNS providers.
    #[command(visible_alias = "provider")]
    Providers(Providers),
    /// Show the zones that the nodes answer for, and whether they are delegated to the nodes there are.
    #[command(visible_alias = "zone")]
    Zones(zones::Args),
}

#[derive(clap::Args)]
#[command(after_help = HELP)]
struct Providers {
    #[command(subcommand)]
    act: Option<ProvidersAct>,
}

#[derive(Subcommand)]
enum ProvidersAct {
    /// List the accounts, and what keeps their records from being as they should.
    #[command(visible_alias = "ls")]
    List,
    /// Add an account; the provider is asked at once.
    #[command(after_help = CREDENTIALS_HELP)]
    Add {
        /// Whose it is: cloudflare, route53, digitalocean, hetzner, google, azure or rfc2136.
        #[arg(value_name = "TYPE")]
        kind: String,
        /// A zone to keep records in; may be repeated.
        #[arg(long = "zone", required = true, value_name = "ZONE")]
        zones: Vec<String>,
        /// The file with the credentials, or - for standard input.
        #[arg(long, value_name = "FILE")]
        credentials: PathBuf,
        /// What to call it; its type when not given.
        #[arg(long)]
        name: Option<String>,
        /// Let records that the cluster has not made give way to those of verified domains.
        #[arg(long)]
        take_over: bool,
    },
    /// Change an account's credentials, its zones, or what gives way; the provider is asked at once.
    #[command(after_help = CREDENTIALS_HELP)]
    Set {
        /// Its name or id.
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Forget an account; the records there stay as they are.
    #[command(visible_aliases = ["rm", "delete"])]
    Remove {
        /// Its name or id.
        name: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// What to change. What is not named stays as it is.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// A zone to keep records in; all of them are to be named. The records in others stay, and follow the nodes no longer.
    #[arg(long = "zone", value_name = "ZONE")]
    zones: Option<Vec<String>>,
    /// The file with the new credentials, or - for standard input.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Whether records that the cluster has not made give way to those of verified domains.
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    take_over: Option<Switch>,
}

pub async fn run(context: &Context, Args { act }: Args) -> Result<(), CliError> {
    match act {
        Act::Providers(args) => providers(context, args).await,
        Act::Zones(args) => zones::run(context, args).await,
    }
}

async fn providers(context: &Context, args: Providers) -> Result<(), CliError> {
    match args.act.unwrap_or(ProvidersAct::List) {
        ProvidersAct::List => list(context).await,
        ProvidersAct::Add { kind, zones, credentials, name, take_over } => {
            let name = name.as_deref().unwrap_or(&kind);
            let credentials = read_credentials(&credentials)?;
            let body = json!({
                "name": name, "type": kind, "zones": zones, "credentials": credentials,
                "takes_over": take_over,
            });
            add(context, &body).await
        }
        ProvidersAct::Set { name, change } => set(context, &name, &change).await,
        ProvidersAct::Remove { name, yes } => {
            let loss = "its credentials; the records there stay, and follow the nodes no longer";
            Deletion { noun: "DNS provider", name: &name, loss }.confirm(&context.output, yes)?;
            let value = context.client()?.delete(&path(&["dns-providers", &name])).await?.value;
            context.output.answer(&value, || {
                format!("Removed DNS provider {name}. Its records stay as they are.")
            })
        }
    }
}

/// Credentials from a file or, for `-`, standard input. What is wrong is told without showing any.
fn read_credentials(file: &Path) -> Result<Value, CliError> {
    let text = read_key(file)?;
    serde_json::from_str::<Value>(&text).ok().filter(Value::is_object).ok_or_else(|| {
        CliError::usage(
            "the credentials cannot be read",
            "they are no JSON object",
            "see `temps dns providers add --help` for what they look like",
        )
    })
}

async fn list(context: &Context) -> Result<(), CliError> {
    let shown = |all: Vec<DnsProvider>| {
        let header = ["name", "type", "zones", "records", "trouble"];
        let empty = "No DNS providers. Add one: temps dns providers add TYPE --zone ZONE --credentials FILE";
        table(header, all.iter().map(row), empty)
    };
    context.list(&path(&["dns-providers"]), &[], LIST_MAX, shown).await
}

fn row(one: &DnsProvider) -> [String; 5] {
    let trouble = one.trouble.as_ref().map_or("-".into(), |trouble| {
        format!("{} ({})", trouble.error, ago_or_dash(trouble.since))
    });
    let records = one.records.len().to_string();
    [one.name.clone(), one.r#type.clone(), one.zones.join(", "), records, trouble]
}

async fn add(context: &Context, body: &Value) -> Result<(), CliError> {
    let value = context.client()?.post(&path(&["dns-providers"]), body).await?.value;
    context.output.try_answer(&value, || {
        let added: DnsProvider = view::read(&value)?;
        let (name, zones) = (&added.name, added.zones.join(", "));
        Ok(format!(
            "Added DNS provider {name}. The records of domains in {zones} are kept there from now on: \
             `temps dns providers list` shows what keeps them from being as they should."
        ))
    })
}

async fn set(context: &Context, name: &str, change: &Change) -> Result<(), CliError> {
    let Change { zones, credentials, take_over } = change;
    let credentials = credentials.as_deref().map(read_credentials).transpose()?;
    let body = json!({
        "zones": zones, "credentials": credentials, "takes_over": take_over.map(Switch::is_on),
    });
    let client = context.client()?;
    let path = path(&["dns-providers", name]);
    let etag = client.get(&path).await?.etag;
    let value = client.patch(&path, &body, etag.as_deref()).await?.value;
    context.output.try_answer(&value, || {
        let changed: DnsProvider = view::read(&value)?;
        let (name, zones) = (&changed.name, changed.zones.join(", "));
        Ok(format!("Changed DNS provider {name}. It keeps the records of domains in {zones}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_are_none_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        for (text, right) in [
            (r#"{"token": "s3cret"}"#, true),
            ("s3cret", false),
            (r#"["s3cret"]"#, false),
            ("", false),
        ] {
            std::fs::write(&file, text).unwrap();
            match read_credentials(&file) {
                Ok(_) => assert!(right, "{text}"),
                Err(error) => assert!(!right && !format!("{error:?}").contains("s3cret"), "{text}"),
            }
        }
    }

    #[test]
    fn trouble_is_shown_with_its_age() {
        let provider = view::read(&json!({
            "name": "dns", "type": "cloudflare", "zones": ["a.example", "b.example"],
            "records": [{"name": "a.example", "type": "A"}],
            "trouble": {"error": "no", "since": jiff::Timestamp::now()},
        }));
        let row = row(&provider.unwrap());
        assert_eq!(row[..4], ["dns", "cloudflare", "a.example, b.example", "1"]);
        assert!(row[4].starts_with("no ("), "{row:?}");
    }
}
