//! `temps headers`: the security headers that edges add to answers.

use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::scope::{Named, Scope};
use crate::client::path;
use crate::error::CliError;
use crate::table::pairs;
use crate::view::{self, HeaderPolicy};

const HELP: &str = "\
An environment has its own headers, else its project's, else the cluster's. A header that the app sends itself is never
changed.";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    scope: Scope,
    #[command(subcommand)]
    act: Option<Act>,
}

/// Where the scope's policy is.
fn path_of(scope: &Scope) -> Result<String, CliError> {
    let policies = |scope: &[&str]| path(&[&["header-policies"], scope].concat());
    Ok(match scope.read("headers")? {
        Named::Cluster => policies(&["cluster"]),
        Named::Project(project) => policies(&[project]),
        Named::Environment(project, environment) => policies(&[project, environment]),
    })
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// A page loads nothing from elsewhere and is shown in no frame.
    Strict,
    /// What suits most apps.
    Moderate,
    /// What breaks no app that works over HTTPS.
    Permissive,
    /// None.
    Off,
    /// Those of the project, or the cluster.
    Inherit,
    /// Those that --header names.
    Custom,
}

#[derive(Subcommand)]
enum Act {
    /// Show which headers are added.
    #[command(visible_alias = "get")]
    Show,
    /// Say which headers to add.
    Set {
        /// Which ones.
        preset: Preset,
        /// A header of `custom`: `Name: value`; may be repeated.
        #[arg(long = "header", value_name = "NAME: VALUE")]
        headers: Vec<String>,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let path = path_of(&args.scope)?;
    match args.act.unwrap_or(Act::Show) {
        Act::Show => {
            let value = context.reader()?.get(&path).await?.value;
            print(context, &value)
        }
        Act::Set { preset, headers } => {
            let body = body(preset, &headers)?;
            let value = context.client()?.put(&path, &body, None).await?.value;
            print(context, &value)
        }
    }
}

fn body(preset: Preset, headers: &[String]) -> Result<Value, CliError> {
    let example = "temps headers set custom --header 'X-Frame-Options: DENY'";
    if (preset == Preset::Custom) == headers.is_empty() {
        return Err(CliError::usage(
            "it is not clear which headers are meant",
            "`custom` takes --header, and nothing else does",
            example,
        ));
    }
    let name = preset.to_possible_value().map(|value| value.get_name().to_owned());
    let mut named = Map::new();
    for header in headers {
        let Some((name, value)) = header.split_once(':') else {
            let what = format!("`{header}` is no header");
            return Err(CliError::usage(what, "there is no `:` in it", example));
        };
        named.insert(name.trim().into(), value.trim().into());
    }
    Ok(json!({"preset": name, "headers": named}))
}

fn print(context: &Context, value: &Value) -> Result<(), CliError> {
    context.output.try_answer(value, || Ok(about(&view::read(value)?)))
}

fn about(policy: &HeaderPolicy) -> String {
    let HeaderPolicy { scope, preset, effective } = policy;
    let holds = match &effective.scope {
        Some(from) if from != scope => format!("{} (from {from})", effective.preset),
        Some(_) => effective.preset.clone(),
        None => format!("{} (nobody has set any)", effective.preset),
    };
    let lines = [("for", scope.clone()), ("set here", preset.clone()), ("in effect", holds)];
    let headers = effective.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
    pairs(lines.into_iter().chain(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_headers_are_named_and_others_are_not() {
        let headers = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let made = body(Preset::Custom, &headers(&["X-A: b: c", "X-D:e"])).unwrap();
        let wanted = json!({"preset": "custom", "headers": {"X-A": "b: c", "X-D": "e"}});
        assert_eq!(made, wanted);
        assert_eq!(body(Preset::Strict, &[]).unwrap()["preset"], "strict");
        assert!(body(Preset::Custom, &[]).is_err());
        assert!(body(Preset::Strict, &headers(&["X-A: b"])).is_err());
        assert!(body(Preset::Custom, &headers(&["X-A"])).is_err());
    }

    #[test]
    fn what_holds_says_where_it_comes_from() {
        let shown = |scope: Value| {
            let effective = json!({"scope": scope, "preset": "strict", "headers": {"x-a": "b"}});
            let policy = json!({"scope": "shop", "preset": "inherit", "effective": effective});
            about(&view::read(&policy).unwrap())
        };
        assert!(shown(json!("cluster")).contains("strict (from cluster)"));
        assert!(shown(json!("shop")).ends_with("strict\nx-a        b"), "{}", shown(json!("shop")));
        assert!(shown(Value::Null).contains("nobody has set any"));
    }
}
