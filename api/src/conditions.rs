//! `ETag` and `If-Match`: a change that applies only while a row is as the client saw it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use temps_state::{Condition, State};

use crate::ApiError;
use crate::context::Shared;

/// The tag that the client has seen, if it said so.
#[derive(Debug, Clone, Default)]
pub(crate) struct IfMatch(Option<String>);

impl IfMatch {
    /// The condition on a row such as `projects/prj_…`.
    pub fn on(self, row: String) -> Option<Condition> {
        self.0.map(|tag| Condition { row, tag })
    }
}

impl FromRequestParts<Shared> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        match parts.headers.get(header::IF_MATCH) {
            None => Ok(Self(None)),
            Some(value) => value.to_str().ok().and_then(parse).ok_or_else(|| {
                ApiError::invalid("If-Match", "give one ETag as it was sent, in double quotes")
            }),
        }
    }
}

fn parse(text: &str) -> Option<IfMatch> {
    let text = text.trim();
    if text == "*" {
        return Some(IfMatch(None));
    }
    let tag = text.strip_prefix('"')?.strip_suffix('"')?;
    (!tag.is_empty() && !tag.contains('"')).then(|| IfMatch(Some(tag.into())))
}

/// A JSON answer with the `ETag` of its row.
pub(crate) struct Tagged<T> {
    tag: Option<String>,
    body: T,
}

impl<T> Tagged<T> {
    /// `body`, made from the row of that key.
    pub fn new(state: &State, row: &str, body: T) -> Self {
        Self { tag: state.tag(row), body }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        let tag = self.tag.and_then(|tag| HeaderValue::from_str(&format!("\"{tag}\"")).ok());
        if let Some(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_strong_tag_is_taken() {
        let tag = |text| parse(text).map(|IfMatch(tag)| tag);
        assert_eq!(tag("\"00ff\""), Some(Some("00ff".into())));
        assert_eq!(tag("*"), Some(None));
        for bad in ["00ff", "\"\"", "W/\"a\"", "\"a\", \"b\"", ""] {
            assert_eq!(tag(bad), None, "{bad}");
        }
    }
}
