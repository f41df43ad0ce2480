//! `temps guards`: what is checked before requests are forwarded.

use std::path::Path;

use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::scope::{Named, Scope};
use crate::client::path;
use crate::error::CliError;
use crate::table::pairs;
use crate::terminal;
use crate::view::{self, Guard, Held};

const HELP: &str = "\
Lists of the cluster, the project and the environment add up: nobody is let in whom one of them keeps out. Of rates, the
attack mode and the password, the nearest value holds. Rates are shared by the nodes that live.

Examples:
  temps guards set -p shop --deny 203.0.113.0/24 --deny 2001:db8::/32
  temps guards set -p shop --rate-per-ip 100/1m --attack-mode auto
  temps guards set -p shop -e next --password-file FILE
  temps guards set --deny none
  temps guards off -p shop";

/// What empties a list.
const NONE: &str = "none";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    scope: Scope,
    #[command(subcommand)]
    act: Option<Act>,
}

/// Where the scope's guard is.
fn path_of(scope: &Scope) -> Result<String, CliError> {
    Ok(match scope.read("guards")? {
        Named::Cluster => path(&["guards"]),
        Named::Project(project) => path(&["projects", project, "guard"]),
        Named::Environment(project, environment) => {
            path(&["projects", project, "environments", environment, "guard"])
        }
    })
}

#[derive(Subcommand)]
enum Act {
    /// Show what is checked, and where it was set.
    #[command(visible_alias = "get")]
    Show,
    /// Change what is checked; what is not named stays.
    Set(Box<Change>),
    /// Take back everything that was set here; what wider scopes check holds.
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AttackMode {
    /// Nobody is challenged.
    Off,
    /// Everybody must let their browser solve a challenge.
    On,
    /// Those must who give a reason, see --trigger.
    Auto,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trigger {
    /// Nobody at the address has solved a challenge of late.
    FirstRequest,
    /// The request looks like a scanner's.
    SuspiciousPattern,
    /// The client asks more often than --rate-per-ip allows.
    RateLimit,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Inherited {
    /// --rate-per-ip.
    RatePerIp,
    /// --rate-in-all.
    RateInAll,
    /// --attack-mode and --trigger.
    AttackMode,
    /// --password-file and --open.
    Password,
}

#[derive(clap::Args, Default)]
struct Change {
    /// A network that is kept out, such as 203.0.113.0/24; the list that was set here is replaced. `none` empties it.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    deny: Vec<String>,
    /// A network that is let in, and nobody else; likewise.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    allow: Vec<String>,
    /// A country that is kept out, such as DE; likewise.
    #[arg(long, value_name = "COUNTRY", value_delimiter = ',')]
    deny_country: Vec<String>,
    /// A country that is let in, and no other; likewise.
    #[arg(long, value_name = "COUNTRY", value_delimiter = ',')]
    allow_country: Vec<String>,
    /// How often one client may ask: 100/1m, 1000/1h,burst=50, or off.
    #[arg(long, value_name = "RATE")]
    rate_per_ip: Option<String>,
    /// How often all clients together may ask the project, or the environment where it is set for one.
    #[arg(long, value_name = "RATE")]
    rate_in_all: Option<String>,
    /// Who must solve a challenge before they are let in.
    #[arg(long, value_name = "MODE")]
    attack_mode: Option<AttackMode>,
    /// A reason for a challenge in the attack mode `auto`; suspicious-pattern and rate-limit when not given.
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    trigger: Vec<Trigger>,
    /// A file whose text is the password that clients must know; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "open")]
    password_file: Option<String>,
    /// Ask nobody for a password here, whatever a wider scope says.
    #[arg(long)]
    open: bool,
    /// What to take back here, so that the value of the wider scope holds.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    inherit: Vec<Inherited>,
    /// Set --allow-country even where the node that is asked knows no countries (--geoip), and lets everybody in.
    #[arg(long)]
    force: bool,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let path = path_of(&args.scope)?;
    let value = match args.act.unwrap_or(Act::Show) {
        Act::Show => context.reader()?.get(&path).await?.value,
        Act::Set(change) => {
            let password = change.password_file.as_deref().map(read_password).transpose()?;
            let body = change.body(password)?;
            let query = if change.force { "?force=true" } else { "" };
            context.client()?.patch(&(path.clone() + query), &body, None).await?.value
        }
        Act::Off => {
            let client = context.client()?;
            client.delete(&path).await?;
            client.get(&path).await?.value
        }
    };
    let guard: Guard = view::read(&value)?;
    context.output.answer(&value, || about(&guard))?;
    guard.warnings.iter().for_each(|warning| context.output.warn(warning));
    Ok(())
}

/// The text of a file, or of standard input, without the line break at its end.
fn read_password(file: &str) -> Result<String, CliError> {
    if file == "-" {
        return terminal::read_stdin();
    }
    let text = std::fs::read_to_string(file).map_err(CliError::file("read", Path::new(file)))?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

impl Change {
    /// What to send.
    fn body(&self, password: Option<String>) -> Result<Value, CliError> {
        let mut body = Map::new();
        for (name, list) in [
            ("deny", &self.deny),
            ("allow", &self.allow),
            ("deny_countries", &self.deny_country),
            ("allow_countries", &self.allow_country),
        ] {
            if !list.is_empty() {
                let named: Vec<_> = list.iter().filter(|value| *value != NONE).collect();
                body.insert(name.into(), json!(named));
            }
        }
        for what in &self.inherit {
            body.insert(what.field().into(), Value::Null);
            if *what == Inherited::Password {
                body.insert("open".into(), json!(false));
            }
        }
        let triggers: Vec<_> = self.trigger.iter().map(word).collect();
        let named = [
            ("rate_per_client", self.rate_per_ip.as_ref().map(|rate| json!(rate))),
            ("rate_in_all", self.rate_in_all.as_ref().map(|rate| json!(rate))),
            ("attack_mode", self.attack_mode.as_ref().map(|mode| json!(word(mode)))),
            ("triggers", (!triggers.is_empty()).then(|| json!(triggers))),
            ("password", password.map(|password| json!(password))),
            ("open", self.open.then_some(json!(true))),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                body.insert(name.into(), value);
            }
        }
        match body.is_empty() {
            false => Ok(body.into()),
            true => Err(CliError::usage(
                "nothing is named that is to be checked",
                "a change needs at least one flag",
                "temps guards set --help",
            )),
        }
    }
}

impl Inherited {
    /// The field of REST.
    fn field(self) -> &'static str {
        match self {
            Self::RatePerIp => "rate_per_client",
            Self::RateInAll => "rate_in_all",
            Self::AttackMode => "attack_mode",
            Self::Password => "password",
        }
    }
}

/// A value as REST writes it.
fn word(value: &impl ValueEnum) -> String {
    let name = value.to_possible_value();
    name.map(|name| name.get_name().replace('-', "_")).unwrap_or_default()
}

fn about(guard: &Guard) -> String {
    let held = |held: &Held| match held.scope == guard.scope {
        true => held.value.clone(),
        false => format!("{} (from {})", held.value, held.scope),
    };
    let list = |values: &[Held], empty: &str| match values {
        [] => empty.to_owned(),
        values => values.iter().map(held).collect::<Vec<_>>().join(", "),
    };
    let one = |value: &Option<Held>, none: &str| value.as_ref().map_or(none.into(), held);
    let checks = &guard.effective;
    pairs([
        ("for", guard.scope.clone()),
        ("denied", list(&checks.deny, "nobody")),
        ("allowed", list(&checks.allow, "everybody else")),
        ("denied countries", list(&checks.deny_countries, "none")),
        ("allowed countries", list(&checks.allow_countries, "all others")),
        ("rate per IP", one(&checks.rate_per_client, "any")),
        ("rate in all", one(&checks.rate_in_all, "any")),
        ("attack mode", one(&checks.attack_mode, "off")),
        ("password", one(&checks.password, "none")),
    ])
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        change: Change,
    }

    fn body(line: &[&str], password: Option<&str>) -> Result<Value, CliError> {
        let line = Line::try_parse_from([&["set"], line].concat()).unwrap();
        line.change.body(password.map(Into::into))
    }

    #[test]
    fn only_what_is_named_is_sent() {
        for (line, sent) in [
            (
                &["--deny", "203.0.113.0/24,::1", "--deny", "192.0.2.1"][..],
                json!({"deny": ["203.0.113.0/24", "::1", "192.0.2.1"]}),
            ),
            (&["--allow", "none"], json!({"allow": []})),
            (&["--deny-country", "DE,fr"], json!({"deny_countries": ["DE", "fr"]})),
            (
                &["--rate-per-ip", "100/1m,burst=20", "--rate-in-all", "off"],
                json!({"rate_per_client": "100/1m,burst=20", "rate_in_all": "off"}),
            ),
            (
                &["--attack-mode", "auto", "--trigger", "first-request,rate-limit"],
                json!({"attack_mode": "auto", "triggers": ["first_request", "rate_limit"]}),
            ),
            (&["--open"], json!({"open": true})),
            (&["--inherit", "password"], json!({"password": null, "open": false})),
            (&["--inherit", "rate-per-ip"], json!({"rate_per_client": null})),
        ] {
            assert_eq!(body(line, None).unwrap(), sent, "{line:?}");
        }
        let sent = body(&["--password-file", "-"], Some("correct horse")).unwrap();
        assert_eq!(sent, json!({"password": "correct horse"}));
        assert!(body(&[], None).is_err());
    }

    #[test]
    fn what_holds_says_where_it_comes_from() {
        let held = |value: &str, scope: &str| json!({"value": value, "scope": scope});
        let guard = json!({"scope": "shop", "effective": {
            "deny": [held("192.0.2.1", "shop"), held("203.0.113.0/24", "cluster")],
            "rate_per_client": held("100/1m", "cluster"),
        }});
        let text = about(&view::read(&guard).unwrap());
        assert!(text.contains("192.0.2.1, 203.0.113.0/24 (from cluster)"), "{text}");
        assert!(text.contains("100/1m (from cluster)"), "{text}");
        assert!(
            text.contains("everybody else") && text.contains("attack mode        off"),
            "{text}"
        );
    }
}
