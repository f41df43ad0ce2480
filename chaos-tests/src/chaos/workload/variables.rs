//! The variables of a project's production environment, as sets and as keys that are changed together use them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::GroundError;
use crate::chaos::Field;
use crate::client::Answer;

/// Sets some of them at once.
pub(super) async fn set(
    field: &Field,
    node: usize,
    project: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Answer, GroundError> {
    let variables: Vec<Value> = variables
        .into_iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let body = json!({ "variables": variables });
    field.ask(node, Method::PUT, &path(project), Some(&body)).await
}

/// Reads all of them, linearizably.
pub(super) async fn get(field: &Field, node: usize, project: &str) -> Result<Answer, GroundError> {
    field.ask(node, Method::GET, &path(project), None).await
}

/// Names and values; nothing when that is no list of variables.
pub(super) fn listed(answer: &Answer) -> Option<Vec<(String, u64)>> {
    let one = |item: &Value| {
        Some((item["name"].as_str()?.to_owned(), item["value"].as_str()?.parse().ok()?))
    };
    answer.body["items"].as_array()?.iter().map(one).collect()
}

fn path(project: &str) -> String {
    format!("/projects/{project}/environments/production/env-vars")
}
