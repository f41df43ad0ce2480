//! From a configuration file's text to [`AppConfig`], or to an error that names file, place and key.

use serde::Deserializer;
use serde_json::Value;

use super::app_config::AppConfig;
use super::error::{At, ConfigError};
use super::place::place;
use crate::schema;

/// Spellings that are also understood.
const ALIASES: &[&str] =
    &["build.outputDir", "health.interval", "health.timeout", "health.retries"];
/// How like a known key an unknown one must be (Jaro-Winkler) to suggest it.
const LIKENESS_MIN: f64 = 0.7;

pub(super) fn parse_json(file: &'static str, text: &str) -> Result<AppConfig, ConfigError> {
    let value: Value = serde_json::from_str(text).map_err(|error| ConfigError::Syntax {
        file,
        at: At { line: error.line(), column: error.column() },
        reason: without_place(&error.to_string()),
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let config = typed(file, &mut reader).map_err(|(key, error)| {
        let at = At { line: error.line(), column: error.column() };
        explain(file, at, key, without_place(&error.to_string()), &value)
    })?;
    refuse_lists(file, &value)?;
    Ok(config)
}

pub(super) fn parse_yaml(file: &'static str, text: &str) -> Result<AppConfig, ConfigError> {
    let value: Value = serde_norway::from_str(text).map_err(|error| ConfigError::Syntax {
        file,
        at: error
            .location()
            .map_or(At::default(), |at| At { line: at.line(), column: at.column() }),
        reason: without_place(&error.to_string()),
    })?;
    if value.is_null() {
        return Ok(AppConfig { file: Some(file), ..AppConfig::default() });
    }
    let checked = typed(file, &value)
        .map_err(|(key, error)| explain(file, At::default(), key, error.to_string(), &value))
        .and_then(|config| refuse_lists(file, &value).map(|()| config));
    checked.map_err(|error| placed(error, text))
}

/// The error with the place of its key.
fn placed(mut error: ConfigError, text: &str) -> ConfigError {
    if let ConfigError::UnknownKey { at, key, .. }
    | ConfigError::WrongValue { at, key: Some(key), .. } = &mut error
    {
        *at = place(text, key);
    }
    error
}

/// serde takes a list for an object, value by value; nobody means that.
fn refuse_lists(file: &'static str, value: &Value) -> Result<(), ConfigError> {
    let schema = schema::json_schema();
    match list_for_keys(value, &schema, &schema, "") {
        None => Ok(()),
        Some(path) => Err(ConfigError::WrongValue {
            file,
            at: At::default(),
            key: Some(path).filter(|path| !path.is_empty()),
            reason: "a list is given where keys are expected".into(),
        }),
    }
}

fn list_for_keys(value: &Value, schema: &Value, root: &Value, above: &str) -> Option<String> {
    let schema = follow(schema, root);
    let known = schema.get("properties").and_then(Value::as_object);
    match (value, known, schema.get("items")) {
        (Value::Array(_), Some(_), _) => Some(above.to_owned()),
        (Value::Array(items), None, Some(of)) => items
            .iter()
            .enumerate()
            .find_map(|(n, item)| list_for_keys(item, of, root, &format!("{above}[{n}]"))),
        (Value::Object(fields), Some(known), _) => fields.iter().find_map(|(name, below)| {
            list_for_keys(below, known.get(name)?, root, &join(above, name))
        }),
        _ => None,
    }
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

type Misfit<E> = (Option<String>, E);

fn typed<'de, D>(file: &'static str, reader: D) -> Result<AppConfig, Misfit<D::Error>>
where
    D: Deserializer<'de>,
{
    let config: Result<AppConfig, _> = serde_path_to_error::deserialize(reader);
    config.map(|config| AppConfig { file: Some(file), ..config }).map_err(|error| {
        let path = error.path().to_string();
        (Some(path).filter(|path| path != "."), error.into_inner())
    })
}

fn explain(
    file: &'static str,
    at: At,
    key: Option<String>,
    reason: String,
    value: &Value,
) -> ConfigError {
    let schema = schema::json_schema();
    match unknown_key(value, &schema, &schema, "") {
        Some((key, hint)) => ConfigError::UnknownKey { file, at, key, hint },
        None => ConfigError::WrongValue { file, at, key, reason },
    }
}

/// The first key that the schema does not know, with its hint.
fn unknown_key(
    value: &Value,
    schema: &Value,
    root: &Value,
    above: &str,
) -> Option<(String, String)> {
    let schema = follow(schema, root);
    if let (Value::Array(items), Some(of)) = (value, schema.get("items")) {
        return items
            .iter()
            .enumerate()
            .find_map(|(n, item)| unknown_key(item, of, root, &format!("{above}[{n}]")));
    }
    let (Value::Object(fields), Some(known)) = (value, schema.get("properties")?.as_object())
    else {
        return None;
    };
    fields.iter().find_map(|(name, below)| {
        let path = join(above, name);
        match known.get(name) {
            Some(schema) => unknown_key(below, schema, root, &path),
            None if ALIASES.contains(&path.as_str()) => None,
            None => Some((path, hint(name, known.keys().map(String::as_str)))),
        }
    })
}

/// The schema that a reference means.
fn follow<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    if name == "env" {
        return "variables are not kept in the file: set them with `temps env set NAME=value`"
            .into();
    }
    let known: Vec<&str> = known.collect();
    match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys here are {}", known.join(", ")),
    }
}

/// The candidate most like `name`, if one is like it at all.
pub(crate) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let likeness =
        |candidate: &str| strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
    candidates
        .iter()
        .map(|candidate| (likeness(candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// The place is told apart from the reason.
fn without_place(reason: &str) -> String {
    match reason.rfind(" at line ") {
        Some(end) => reason[..end].to_owned(),
        None => reason.to_owned(),
    }
}
