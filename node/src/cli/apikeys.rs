//! `temps apikeys`: keys for programs.

use clap::Subcommand;
use serde_json::json;
use temps_state::Permission;

use super::context::Context;
use crate::client::path;
use crate::error::CliError;
use crate::table::table;
use crate::view::{self, ApiKey};
use crate::when::ago_or_dash;

/// The most keys that are listed.
const LIST_MAX: usize = 1_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List your API keys.
    #[command(visible_alias = "ls")]
    List,
    /// Create an API key, and print it once.
    Create {
        /// What it is for.
        name: String,
        /// What it permits: read, deploy, write, exec or admin; may be given more than once.
        #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',')]
        #[arg(default_values = ["read", "deploy"])]
        permissions: Vec<Permission>,
        /// After how many days it ends; never when not given.
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
    },
    /// Delete an API key.
    #[command(visible_alias = "rm")]
    Delete {
        /// Its id.
        id: String,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context).await,
        Act::Create { name, permissions, expires_in_days } => {
            create(context, &name, &permissions, expires_in_days).await
        }
        Act::Delete { id } => {
            let value = context.client()?.delete(&path(&["api-keys", &id])).await?.value;
            context.output.answer(&value, || format!("Deleted API key {id}."))
        }
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let shown = |keys: Vec<ApiKey>| {
        let header = ["id", "name", "permissions", "created", "expires"];
        table(header, keys.into_iter().map(row), "No API keys.")
    };
    context.list(&path(&["api-keys"]), &[], LIST_MAX, shown).await
}

fn row(key: ApiKey) -> [String; 5] {
    let expires = key.expires_at.map_or_else(|| "never".into(), |at| ago_or_dash(Some(at)));
    [key.id, key.name, key.permissions.join(", "), ago_or_dash(key.created_at), expires]
}

async fn create(
    context: &Context,
    name: &str,
    permissions: &[Permission],
    expires_in_days: Option<u32>,
) -> Result<(), CliError> {
    let body = json!({
        "name": name, "permissions": (!permissions.is_empty()).then_some(permissions),
        "expires_in_days": expires_in_days,
    });
    let value = context.client()?.post(&path(&["api-keys"]), &body).await?.value;
    if !context.output.json {
        context.output.note("The key is shown this once. Use it as TEMPS_API_TOKEN.");
    }
    context.output.try_answer(&value, || {
        let key: ApiKey = view::read(&value)?;
        Ok(key.key.unwrap_or_default())
    })
}
