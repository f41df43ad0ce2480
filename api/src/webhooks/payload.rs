//! The body of a push webhook. GitHub, GitLab and Gitea agree on the fields that matter here.

use std::borrow::Cow;

use axum::http::{HeaderMap, header};
use serde::Deserialize;

use crate::ApiError;
use crate::body::parse;
use crate::deployments::{checked_branch, checked_commit, revision};
use crate::push::Push;

/// What a webhook tells of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A branch moved.
    Push(Push),
    /// Nothing that matters here, for this reason.
    Other(String),
}

#[derive(Debug, Deserialize)]
struct Payload {
    r#ref: String,
    after: Option<String>,
    head_commit: Option<Commit>,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Debug, Clone, Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Debug, Clone, Deserialize)]
struct Author {
    #[serde(default)]
    name: String,
}

/// Reads the body of a push.
pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Event, ApiError> {
    let Payload { r#ref, after, head_commit, commits } = parse(&json(headers, body)?)?;
    let Some(branch) = r#ref.strip_prefix("refs/heads/") else {
        return Ok(Event::Other(format!("{} is not a branch", r#ref.escape_debug())));
    };
    let branch = checked_branch("ref", branch.into())?;
    let Some(after) = after.filter(|after| !after.is_empty()) else {
        return Ok(Event::Other("the push names no commit".into()));
    };
    if after.bytes().all(|b| b == b'0') {
        return Ok(Event::Push(Push { branch, tip: None }));
    }
    let commit = checked_commit("after", after)?;
    let told = head_commit.into_iter().chain(commits).find(|told| told.id == commit);
    let message = told.as_ref().map(|told| told.message.clone()).unwrap_or_default();
    let author = told.and_then(|told| told.author).map(|author| author.name).unwrap_or_default();
    let tip = revision(Some(branch.clone()), commit, &message, &author);
    Ok(Event::Push(Push { branch, tip: Some(tip) }))
}

/// The JSON of a body that is JSON, or a form with JSON in its field `payload`, as GitHub sends unless told otherwise.
fn json<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Cow<'a, [u8]>, ApiError> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !media.is_some_and(|media| media.starts_with("application/x-www-form-urlencoded")) {
        return Ok(Cow::Borrowed(body));
    }
    let field = body.strip_prefix(b"payload=").map(|rest| rest.split(|b| *b == b'&').next());
    let field = field.flatten().and_then(unescaped);
    field.map(Cow::Owned).ok_or_else(|| ApiError::invalid("payload", "the form has no such field"))
}

/// Undoes the percent-encoding of a form's value.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = text.iter().copied();
    let mut octets = Vec::with_capacity(text.len());
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(text: &str) -> Result<Event, ApiError> {
        read(&HeaderMap::new(), text.as_bytes())
    }

    #[test]
    fn tags_and_pushes_of_nothing_are_ignored() {
        let tag = read_json(r#"{"ref": "refs/tags/v1", "after": "aaaaaaaaaa"}"#);
        assert!(matches!(tag, Ok(Event::Other(_))));
        let nothing = read_json(r#"{"ref": "refs/heads/main", "after": null}"#);
        assert!(matches!(nothing, Ok(Event::Other(_))));
    }

    #[test]
    fn a_deleted_branch_has_no_tip() {
        let zeros = "0".repeat(40);
        let gone = read_json(&format!(r#"{{"ref": "refs/heads/x", "after": "{zeros}"}}"#));
        assert_eq!(gone.ok(), Some(Event::Push(Push { branch: "x".into(), tip: None })));
    }

    #[test]
    fn commits_that_are_none_are_refused() {
        assert!(read_json(r#"{"ref": "refs/heads/x", "after": "--help"}"#).is_err());
        assert!(read_json(r#"{"ref": "refs/heads/--x", "after": "aaaaaaaa"}"#).is_err());
    }

    #[test]
    fn forms_are_understood() {
        let form = b"payload=%7B%22ref%22%3A+%22refs%2Ftags%2Fv1%22%7D&x=y";
        let media = axum::http::HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media)]);
        assert!(matches!(read(&headers, form), Ok(Event::Other(_))));
        assert!(read(&headers, b"payload=%7").is_err());
    }
}
