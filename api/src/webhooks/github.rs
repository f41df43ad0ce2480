//! How GitHub signs and names its webhooks.

use axum::http::HeaderMap;

use super::{hmac_matches, text};

/// Whether the body was signed with the secret: `X-Hub-Signature-256: sha256=<hex HMAC-SHA256>`.
pub(super) fn is_authentic(headers: &HeaderMap, body: &[u8], secret: &str) -> bool {
    let signature = text(headers, "x-hub-signature-256");
    signature
        .and_then(|signature| signature.strip_prefix("sha256="))
        .is_some_and(|hex| hmac_matches(hex, body, secret))
}

/// What the webhook tells of.
pub(super) fn is_push(headers: &HeaderMap) -> bool {
    text(headers, "x-github-event") == Some("push")
}

/// What tells this delivery from others; a redelivery has the same.
pub(super) fn delivery(headers: &HeaderMap) -> Option<&str> {
    text(headers, "x-github-delivery")
}
