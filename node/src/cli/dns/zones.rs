//! `temps dns zones`: the zones that the nodes answer for, and how the zones above hand them over.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::client::path;
use crate::error::CliError;
use crate::table::table;
use crate::view::{self, DnsZone, DnsZoneRecord};
use crate::when::ago_or_dash;

/// The most zones that are listed.
const LIST_MAX: usize = 1_000;

const HELP: &str = "\
A zone is delegated to the nodes once, where the zone above it is kept. Nodes that come, go or move make that age: the nodes
look by themselves, and `show` says which records to change there.";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the zones that the nodes answer for, as the node that is asked saw them last.
    #[command(visible_alias = "ls")]
    List,
    /// Look now at how a zone is delegated, and say what to change at the zone above.
    Show {
        /// The zone.
        zone: String,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context).await,
        Act::Show { zone } => {
            let value = context.client()?.get(&path(&["dns-zones", &zone])).await?.value;
            context.output.try_answer(&value, || Ok(about(&view::read(&value)?)))
        }
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let shown = |all: Vec<DnsZone>| {
        let header = ["zone", "delegated", "looked"];
        let empty = "No zones. Name one that the nodes are to answer for: temps settings set dns.zones=ZONE";
        let row = |one: &DnsZone| [one.zone.clone(), one.in_short(), ago_or_dash(one.looked_at)];
        table(header, all.iter().map(row), empty)
    };
    context.list(&path(&["dns-zones"]), &[], LIST_MAX, shown).await
}

/// A zone, with what to do.
fn about(zone: &DnsZone) -> String {
    let DnsZone { zone: name, servers, faults, by_parent, remove, add, .. } = zone;
    let mut text = format!("{name}: {}", zone.in_short());
    if !servers.is_empty() && !by_parent {
        text += ". The zone above could not be asked itself: this is what resolvers say";
    }
    for fault in faults {
        text += &format!("\n  {}", fault.why);
    }
    if !servers.is_empty() {
        let row = |server: &view::DnsZoneServer| [server.name.clone(), server.addresses.join(", ")];
        text += &format!("\n\n{}", table(["server", "addresses"], servers.iter().map(row), ""));
    }
    if remove.is_empty() && add.is_empty() {
        if zone.is_undelegated() {
            text +=
                "\nNo node answers for it: start some with --dns, their own address and port 53.";
        }
        return text;
    }
    let row = |what: &str, record: &DnsZoneRecord| {
        let DnsZoneRecord { r#type, name, value } = record;
        [what.to_owned(), r#type.clone(), name.clone(), value.clone()]
    };
    let rows = remove.iter().map(|record| row("delete", record));
    let rows = rows.chain(add.iter().map(|record| row("create", record)));
    text + "\n\nWhere the zone above is kept:\n\n"
        + &table(["do", "type", "name", "value"], rows, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_zone_that_is_not_delegated_says_what_to_create_or_what_is_lacking() {
        let zone =
            |add| view::read(&json!({"zone": "a.example", "status": "undelegated", "add": add}));
        let record = json!({"type": "NS", "name": "a.example", "value": "ns-1.a.example"});
        let text = about(&zone(json!([record])).unwrap());
        assert!(text.starts_with("a.example: not delegated to the nodes yet\n\nWhere"), "{text}");
        assert!(text.ends_with("create  NS    a.example  ns-1.a.example"), "{text}");
        let text = about(&zone(json!([])).unwrap());
        assert!(text.contains("start some with --dns"), "{text}");
    }

    #[test]
    fn what_could_not_be_looked_up_says_why() {
        let zone = json!({"zone": "a.example", "status": "unknown", "error": "nobody answers"});
        let text = about(&view::read(&zone).unwrap());
        assert_eq!(text, "a.example: not known: nobody answers");
    }
}
