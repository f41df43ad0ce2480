//! `temps settings`: what holds for the whole cluster.

use std::borrow::Cow;
use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use super::context::Context;
use crate::client::path;
use crate::error::CliError;
use crate::table::pairs;
use crate::terminal;

/// The settings that nobody is shown.
const SECRETS: [&str; 1] = ["acme.eab_key"];
/// What stands for one that is set.
const HIDDEN: &str = "(set, and shown to nobody)";

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// Show the settings, or one of them.
    #[command(visible_alias = "show")]
    Get {
        /// The name of one, such as build.timeout_seconds; all when not given.
        name: Option<String>,
    },
    /// Change settings.
    Set {
        /// NAME=value, such as preview_domain=apps.example.com; NAME=@FILE takes the value from a file, NAME=@- from
        /// standard input, and lists are written with commas.
        #[arg(required = true, value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::Get { name: None }) {
        Act::Get { name } => get(context, name).await,
        Act::Set { settings } => set(context, &settings).await,
    }
}

async fn get(context: &Context, name: Option<String>) -> Result<(), CliError> {
    let mut value = context.reader()?.get(&path(&["settings"])).await?.value;
    let mut told = hidden(value.clone());
    if let Some(name) = name {
        value = find(&mut value, &name)?.take();
        told = find(&mut told, &name)?.take();
    }
    context.output.answer(&value, || shown(&told))
}

/// The settings with a word in place of what is set and never shown: the key that goes with an id is there when that is.
fn hidden(mut settings: Value) -> Value {
    if let Some(acme) = settings.get_mut("acme")
        && acme["eab_key_id"].as_str().is_some_and(|id| !id.is_empty())
    {
        acme["eab_key"] = HIDDEN.into();
    }
    settings
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => {
            let flat = flatten("", value);
            pairs(flat.iter().map(|(name, value)| (name.as_str(), value.clone())))
        }
        value => crate::view::plain(value),
    }
}

async fn set(context: &Context, settings: &[String]) -> Result<(), CliError> {
    let client = context.client()?;
    let path = path(&["settings"]);
    let mut now = client.get(&path).await?;
    for setting in settings {
        let Some((name, text)) = setting.split_once('=') else {
            return Err(wrong(setting, "there is no `=` in it", "temps settings set NAME=value"));
        };
        change(&mut now.value, name, &value_of(name, text)?)?;
    }
    let value = client.put(&path, &now.value, now.etag.as_deref()).await?.value;
    context.output.answer(&value, || shown(&hidden(value.clone())))
}

/// The text itself, or what the file has that it names, or standard input. What nobody may read stands on no command line,
/// where others would.
fn value_of<'a>(name: &str, text: &'a str) -> Result<Cow<'a, str>, CliError> {
    let Some(file) = text.strip_prefix('@') else {
        return match SECRETS.contains(&name) && !text.is_empty() {
            true => Err(wrong(
                name,
                "others on this machine can read what is on the command line",
                &format!("temps settings set {name}=@FILE, or {name}=@- for standard input"),
            )),
            false => Ok(text.into()),
        };
    };
    if file == "-" {
        return terminal::read_stdin().map(Cow::from);
    }
    let read = std::fs::read_to_string(file).map(Cow::from);
    read.map_err(CliError::file("read", Path::new(file)))
}

/// Changes one setting; the new value must be of the old one's kind.
fn change(settings: &mut Value, name: &str, text: &str) -> Result<(), CliError> {
    let place = find(settings, name)?;
    let read = match place {
        Value::String(_) => Some(Value::String(text.into())),
        Value::Number(_) => text.parse::<u64>().ok().map(Value::from),
        Value::Bool(_) => text.parse::<bool>().ok().map(Value::from),
        Value::Array(_) if !text.starts_with('[') => Some(listed(text)),
        _ => serde_json::from_str(text).ok(),
    };
    *place = read.ok_or_else(|| {
        wrong(
            name,
            &format!("`{text}` is no value for it; it is {place} now"),
            "temps settings get",
        )
    })?;
    Ok(())
}

/// The words between commas.
fn listed(text: &str) -> Value {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect()
}

fn find<'a>(settings: &'a mut Value, name: &str) -> Result<&'a mut Value, CliError> {
    let known = flatten("", settings).into_iter().map(|(known, _)| known);
    let likeness = |known: &String| strsim::jaro_winkler(known, name);
    let nearest = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default();
    let pointer = format!("/{}", name.replace('.', "/"));
    settings.pointer_mut(&pointer).ok_or_else(|| {
        wrong(
            name,
            &format!("there is no such setting; the nearest is {nearest}"),
            "temps settings get",
        )
    })
}

fn wrong(name: &str, why: &str, next: &str) -> CliError {
    CliError::usage(format!("cannot use the setting `{name}`"), why, next)
}

/// Every setting with its dotted name.
fn flatten(prefix: &str, value: &Value) -> Vec<(String, String)> {
    let Value::Object(fields) = value else {
        return vec![(prefix.into(), crate::view::plain(value))];
    };
    let name =
        |field: &str| if prefix.is_empty() { field.into() } else { format!("{prefix}.{field}") };
    fields.iter().flat_map(|(field, value)| flatten(&name(field), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings() -> Value {
        json!({"preview_domain": "localho.st", "build": {"timeout_seconds": 1800, "at_once": 1}})
    }

    #[test]
    fn settings_are_got_or_shown() {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        for word in ["get", "show"] {
            let line = Line::try_parse_from(["settings", word, "acme.enabled"]).unwrap();
            let named = matches!(line.args.act, Some(Act::Get { name: Some(name) }) if name == "acme.enabled");
            assert!(named, "{word}");
        }
    }

    #[test]
    fn a_secret_that_is_set_says_so() {
        let told = |id: &str| hidden(json!({"acme": {"eab_key_id": id, "eab_key": ""}}));
        assert_eq!(told("kid-1")["acme"]["eab_key"], HIDDEN);
        assert_eq!(told("")["acme"]["eab_key"], "");
        assert_eq!(hidden(settings()), settings());
    }

    #[test]
    fn a_setting_changes_within_its_kind() {
        let mut value = settings();
        change(&mut value, "build.timeout_seconds", "60").unwrap();
        change(&mut value, "preview_domain", "7").unwrap();
        assert_eq!(value["build"]["timeout_seconds"], 60);
        assert_eq!(value["preview_domain"], "7");
        assert!(change(&mut value, "build.at_once", "two").is_err());
    }

    #[test]
    fn a_list_is_written_with_commas_or_in_json() {
        for (text, zones) in [
            ("a.example, b.example", json!(["a.example", "b.example"])),
            ("[\"a.example\"]", json!(["a.example"])),
            ("", json!([])),
        ] {
            let mut value = json!({"dns": {"zones": ["x.example"]}});
            change(&mut value, "dns.zones", text).unwrap();
            assert_eq!(value["dns"]["zones"], zones, "{text}");
        }
    }

    #[test]
    fn a_value_may_be_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "two\nlines\n").unwrap();
        let named = format!("@{}", file.path().display());
        assert_eq!(value_of("build.ca_certificates", &named).unwrap(), "two\nlines\n");
        assert_eq!(value_of("acme.email", "a@b.example").unwrap(), "a@b.example");
        assert!(value_of("acme.root", "@/no/such/file").is_err());
        assert_eq!(value_of("acme.eab_key", &named).unwrap(), "two\nlines\n");
        let told = value_of("acme.eab_key", "s3cret").unwrap_err();
        assert!(!format!("{told:?}").contains("s3cret"), "{told:?}");
        assert_eq!(value_of("acme.eab_key", "").unwrap(), "");
    }

    #[test]
    fn an_unknown_setting_names_the_nearest_one() {
        let error = find(&mut settings(), "build.timeout").unwrap_err();
        assert!(error.advice().why.contains("build.timeout_seconds"));
    }

    #[test]
    fn settings_are_shown_with_dotted_names() {
        assert!(shown(&settings()).contains("build.timeout_seconds  1800"));
    }
}
