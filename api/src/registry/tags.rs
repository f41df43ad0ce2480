//! The list of a repository's tags.

use axum::Json;
use axum::http::{HeaderValue, Uri, header};
use axum::response::IntoResponse;
use serde_json::json;

use super::error::Refusal;
use super::{Answer, Registry, is_built, parameter};

/// The most tags of one page.
pub const TAGS_LISTED_MAX: usize = 1_000;

impl Registry {
    /// The tags in order; `n` bounds a page and `last` is where the one before ended.
    pub async fn tags(&self, repository: &str, uri: &Uri) -> Answer {
        let mut names = self.names(repository).await;
        if names.is_empty() {
            return Err(Refusal::unknown_name());
        }
        if let Some(last) = parameter(uri, "last") {
            names.retain(|name| *name > last);
        }
        let page = parameter(uri, "n").and_then(|n| n.parse().ok()).unwrap_or(TAGS_LISTED_MAX);
        let more = names.len() > page;
        names.truncate(page.min(TAGS_LISTED_MAX));
        let next = names
            .last()
            .filter(|_| more)
            .map(|last| format!("</v2/{repository}/tags/list?n={page}&last={last}>; rel=\"next\""));
        let mut response = Json(json!({"name": repository, "tags": names})).into_response();
        if let Some(next) = next.and_then(|next| HeaderValue::from_str(&next).ok()) {
            response.headers_mut().insert(header::LINK, next);
        }
        Ok(response)
    }

    async fn names(&self, repository: &str) -> Vec<String> {
        if is_built(repository) {
            return self.builder.tags().of(repository).into_iter().map(|tag| tag.tag).collect();
        }
        let state = self.newest().await.state;
        state.tags_of(repository).map(|(name, _)| name.tag().to_owned()).collect()
    }
}
