//! `temps audit`: who changed what, when, and from where.

use serde_json::Value;

use super::context::Context;
use crate::client::path;
use crate::error::CliError;
use crate::table::table;
use crate::view::{self, AuditRecord};
use crate::when::ago_or_dash;

#[derive(clap::Args)]
pub struct Args {
    /// How many records, newest first.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let client = context.reader()?;
    let value = client.list(&path(&["audit", "logs"]), &[], args.limit.max(1)).await?;
    context.output.try_answer(&value, || {
        let records: Vec<AuditRecord> = view::items(&value)?;
        let header = ["when", "who", "from", "what", "on"];
        Ok(table(header, records.into_iter().map(row), "Nothing was changed yet."))
    })
}

fn row(record: AuditRecord) -> [String; 5] {
    let from = record.from.unwrap_or_else(|| "-".into());
    [ago_or_dash(record.at), who(&record.actor), from, record.action, record.target]
}

/// The e-mail address where the API tells it, else the kind of actor and its id.
fn who(actor: &Value) -> String {
    if let Some(name) = ["email", "name"].iter().find_map(|field| actor[*field].as_str()) {
        return name.into();
    }
    let id = ["user", "id", "project"].iter().map(|field| &actor[*field]).find(|id| !id.is_null());
    format!("{} {}", view::kind(actor), id.map(view::plain).unwrap_or_default()).trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn actors_are_named_as_well_as_is_known() {
        for (actor, name) in [
            (json!({"type": "user", "id": "usr_1", "email": "a@b.c"}), "a@b.c"),
            (json!({"type": "user", "id": "usr_1"}), "user usr_1"),
            (json!({"type": "api_key", "id": "key_1", "user": "usr_1"}), "api_key usr_1"),
            (json!({"type": "node", "id": 1}), "node 1"),
            (json!("somebody"), "somebody"),
        ] {
            assert_eq!(who(&actor), name);
        }
    }
}
