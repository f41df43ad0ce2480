//! How Gitea and Forgejo sign and name their webhooks.

use axum::http::HeaderMap;

use super::{hmac_matches, text};

/// Whether the body was signed with the secret: `X-Gitea-Signature: <hex HMAC-SHA256>`.
pub(super) fn is_authentic(headers: &HeaderMap, body: &[u8], secret: &str) -> bool {
    let signature = text(headers, "x-gitea-signature");
    signature.is_some_and(|hex| hmac_matches(hex, body, secret))
}

/// What the webhook tells of.
pub(super) fn is_push(headers: &HeaderMap) -> bool {
    text(headers, "x-gitea-event") == Some("push")
}

/// What tells this delivery from others; a redelivery has the same.
pub(super) fn delivery(headers: &HeaderMap) -> Option<&str> {
    text(headers, "x-gitea-delivery")
}
