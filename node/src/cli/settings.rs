//! `temps settings`: what holds for the whole cluster.

use clap::Subcommand;
use serde_json::Value;

use super::context::Context;
use crate::client::path;
use crate::error::CliError;
use crate::table::pairs;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// Show the settings, or one of them.
    Get {
        /// The name of one, such as build.timeout_seconds; all when not given.
        name: Option<String>,
    },
    /// Change settings.
    Set {
        /// NAME=value, such as preview_domain=apps.example.com.
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
    let mut value = context.client()?.get(&path(&["settings"])).await?.value;
    if let Some(name) = name {
        value = find(&mut value, &name)?.take();
    }
    context.output.answer(&value, || shown(&value))
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
        change(&mut now.value, name, text)?;
    }
    let value = client.put(&path, &now.value, now.etag.as_deref()).await?.value;
    context.output.answer(&value, || shown(&value))
}

/// Changes one setting; the new value must be of the old one's kind.
fn change(settings: &mut Value, name: &str, text: &str) -> Result<(), CliError> {
    let place = find(settings, name)?;
    let read = match place {
        Value::String(_) => Some(Value::String(text.into())),
        Value::Number(_) => text.parse::<u64>().ok().map(Value::from),
        Value::Bool(_) => text.parse::<bool>().ok().map(Value::from),
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
    fn a_setting_changes_within_its_kind() {
        let mut value = settings();
        change(&mut value, "build.timeout_seconds", "60").unwrap();
        change(&mut value, "preview_domain", "7").unwrap();
        assert_eq!(value["build"]["timeout_seconds"], 60);
        assert_eq!(value["preview_domain"], "7");
        assert!(change(&mut value, "build.at_once", "two").is_err());
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
