//! `temps env`: the variables of an environment.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};
use temps_api::RESERVED_VARIABLES;
use temps_state::VariableName;

use super::context::{Context, TargetArgs};
use crate::client::{Client, path};
use crate::dotenv::{self, DOTENV_BYTES_MAX};
use crate::error::CliError;
use crate::table::table;
use crate::terminal;
use crate::view::Variable;
use crate::when::ago_or_dash;

/// The most variables that are listed.
const LIST_MAX: usize = 1_000;
/// How many characters of a value the table shows.
const VALUE_CHARS: usize = 60;

#[derive(clap::Args)]
#[command(
    after_help = "PORT, and TEMPS_API_URL and the other TEMPS_ variables of the node, are set by Temps itself: `set` refuses \
them, `import` leaves them out. An app listens on the port in PORT; `port` in temps.json says which one that is."
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// List the variables; the values of secrets are never shown.
    #[command(visible_alias = "ls")]
    List,
    /// Set variables; the next deployment gets them.
    Set {
        /// NAME=value; NAME=- takes the value from standard input, or asks for it.
        #[arg(required = true, value_name = "NAME=VALUE")]
        variables: Vec<String>,
        /// Never show the values again.
        #[arg(long)]
        secret: bool,
    },
    /// Remove variables.
    #[command(visible_alias = "rm")]
    Unset {
        /// Their names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Set every variable of a .env file.
    Import {
        /// The file; - is standard input.
        file: PathBuf,
        /// Never show the values again.
        #[arg(long)]
        secret: bool,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let base = args.target.path(&["env-vars"])?;
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context, &base).await,
        Act::Set { variables, secret } => {
            let variables = pairs(context, &variables, secret)?;
            set(context, &context.client()?, &base, &variables, secret).await
        }
        Act::Unset { names } => unset(context, &base, &names).await,
        Act::Import { file, secret } => {
            let variables = without_reserved(context, read(&file)?);
            if variables.is_empty() {
                return Ok(());
            }
            set(context, &context.client()?, &base, &variables, secret).await
        }
    }
}

async fn list(context: &Context, base: &str) -> Result<(), CliError> {
    let shown = |variables: Vec<Variable>| {
        let empty = "No variables. Set one: temps env set NAME=value";
        table(["name", "value", "set"], variables.into_iter().map(row), empty)
    };
    context.list(base, &[], LIST_MAX, shown).await
}

fn row(variable: Variable) -> [String; 3] {
    let value = match (variable.secret, variable.value) {
        (false, Some(value)) => shown(&value),
        _ => "(secret)".into(),
    };
    [variable.name, value, ago_or_dash(variable.updated_at)]
}

/// A value in one line of bounded length.
fn shown(value: &str) -> String {
    let line = value.replace('\n', "\\n");
    match line.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

type Pair = (VariableName, String);

fn pairs(context: &Context, texts: &[String], secret: bool) -> Result<Vec<Pair>, CliError> {
    let split = texts.iter().map(|text| split(text)).collect::<Result<Vec<_>, _>>()?;
    let asked = split.iter().filter(|(_, value)| *value == "-").count();
    if asked > 1 && !terminal::is_interactive() {
        return Err(CliError::usage(
            "only one value can come from standard input",
            format!("{asked} variables ask for it"),
            "temps env import - < FILE.env",
        ));
    }
    if secret && asked < split.len() {
        context.output.warn("values on the command line are seen by other users: use NAME=-");
    }
    let value = |name: &VariableName, value: &str| match value {
        "-" if terminal::is_interactive() => terminal::ask_hidden(name.as_str()),
        "-" => terminal::read_stdin(),
        value => Ok(value.to_string()),
    };
    split.into_iter().map(|(name, text)| Ok((name.clone(), value(&name, text)?))).collect()
}

fn split(text: &str) -> Result<(VariableName, &str), CliError> {
    let wrong = |why: String| {
        // What stands behind the `=` may be a secret, and is not repeated.
        let name = text.split('=').next().unwrap_or_default();
        CliError::usage(format!("`{name}` sets no variable"), why, "temps env set NAME=value")
    };
    let (name, value) =
        text.split_once('=').ok_or_else(|| wrong("there is no `=` in it".into()))?;
    let name = name.parse::<VariableName>().map_err(|error| wrong(error.to_string()))?;
    Ok((name, value))
}

fn read(file: &Path) -> Result<Vec<Pair>, CliError> {
    let text = match file == Path::new("-") {
        true => terminal::read_stdin()?,
        false => read_file(file)?,
    };
    let variables = dotenv::parse(&text).map_err(|error| {
        CliError::usage(
            format!("{} is not a .env file", file.display()),
            error.to_string(),
            "correct the line: NAME=value, NAME=\"value\" or # comment",
        )
    })?;
    match variables.is_empty() {
        false => Ok(variables),
        true => Err(CliError::usage(
            format!("{} sets no variables", file.display()),
            "there is no NAME=value line in it",
            "temps env set NAME=value",
        )),
    }
}

/// A .env file often names the port for the developer's own machine, which must not keep the rest out.
fn without_reserved(context: &Context, variables: Vec<Pair>) -> Vec<Pair> {
    let is_reserved = |pair: &Pair| RESERVED_VARIABLES.contains(&pair.0.as_str());
    let (reserved, others): (Vec<_>, Vec<_>) = variables.into_iter().partition(is_reserved);
    for (name, _) in reserved {
        let port = if name.as_str() == "PORT" { "; `port` in temps.json changes it" } else { "" };
        context.output.warn(&format!("{name} is left out: Temps sets it itself{port}"));
    }
    others
}

fn read_file(file: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read =
        File::open(file).and_then(|open| open.take(DOTENV_BYTES_MAX + 1).read_to_string(&mut text));
    let octets = read.map_err(CliError::file("read", file))?;
    if octets as u64 <= DOTENV_BYTES_MAX {
        return Ok(text);
    }
    Err(CliError::usage(
        format!("{} is too long for a .env file", file.display()),
        format!("it has more than {DOTENV_BYTES_MAX} octets"),
        "import the files with the variables only",
    ))
}

async fn set(
    context: &Context,
    client: &Client,
    base: &str,
    variables: &[Pair],
    secret: bool,
) -> Result<(), CliError> {
    let list: Vec<Value> = variables
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value, "secret": secret}))
        .collect();
    let value = client.put(base, &json!({"variables": list}), None).await?.value;
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    context.output.answer(&value, || {
        format!("Set {} for the next deployment: temps deploy", names.join(", "))
    })
}

async fn unset(context: &Context, base: &str, names: &[String]) -> Result<(), CliError> {
    let client = context.client()?;
    let mut last = Value::Null;
    for name in names {
        let tail = path(&[name]);
        let segment = tail.trim_start_matches("/api/");
        last = client.delete(&format!("{base}/{segment}")).await?.value;
    }
    context.output.answer(&last, || {
        format!("Unset {} from the next deployment on: temps deploy", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_split_at_the_first_equals_sign() {
        let (name, value) = split("A=b=c").unwrap();
        assert_eq!((name.as_str(), value), ("A", "b=c"));
        assert_eq!(split("A=").unwrap().1, "");
    }

    #[test]
    fn a_wrong_pair_does_not_repeat_its_value() {
        let advice = split("1A=hunter2").unwrap_err().advice();
        assert!(!format!("{advice:?}").contains("hunter2"));
        assert!(split("A").is_err());
    }

    #[test]
    fn long_values_are_cut_and_stay_in_one_line() {
        assert_eq!(shown("a\nb"), "a\\nb");
        assert_eq!(shown(&"ü".repeat(100)).chars().count(), VALUE_CHARS + 1);
    }
}
