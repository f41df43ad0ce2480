//! How GitLab authenticates and names its webhooks.

use axum::http::HeaderMap;

use super::text;
use crate::secrets::same;

/// Whether the secret came along: GitLab sends it as it is, as `X-Gitlab-Token`.
pub(super) fn is_authentic(headers: &HeaderMap, secret: &str) -> bool {
    text(headers, "x-gitlab-token").is_some_and(|token| same(token.as_bytes(), secret.as_bytes()))
}

/// What the webhook tells of.
pub(super) fn is_push(headers: &HeaderMap) -> bool {
    text(headers, "x-gitlab-event") == Some("Push Hook")
}

/// What tells this delivery from others; retries have the same.
pub(super) fn delivery(headers: &HeaderMap) -> Option<&str> {
    text(headers, "idempotency-key").or_else(|| text(headers, "x-gitlab-event-uuid"))
}
