//! `Idempotency-Key`: a request that is sent twice takes effect once, and both get the same answer. Another body under the
//! same key is refused (draft-ietf-httpapi-idempotency-key-header).

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use temps_state::{FINGERPRINTS_SINCE, fingerprinted};

use crate::ApiError;
use crate::auth::Caller;
use crate::context::Shared;
use crate::secrets::sha256_hex;

/// The longest idempotency key, in octets.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// The header.
const HEADER: &str = "idempotency-key";

/// The key of a request, if it has one.
pub(crate) struct IdempotencyKey {
    key: Option<String>,
    target: String,
    body: Fingerprint,
}

/// The digest of a request's body, once that was read: its handler takes the body last.
#[derive(Clone, Default)]
pub(crate) struct Fingerprint(Arc<OnceLock<String>>);

impl Fingerprint {
    /// Takes the body's.
    pub fn take(&self, body: &[u8]) {
        // A body is read once.
        let _ = self.0.set(sha256_hex(body));
    }
}

impl IdempotencyKey {
    /// The id that the cluster remembers: one for every caller, target and key, and what it was used for.
    pub fn of(self, caller: &Caller) -> Option<String> {
        let Self { key, target, body } = self;
        let id = scoped(&[&caller.user.id.to_string(), &target, &key?]);
        Some(match body.0.get() {
            Some(digest) => fingerprinted(&id, digest),
            None => id,
        })
    }
}

/// One id for several texts, of a bounded length whatever theirs is.
pub(crate) fn scoped(parts: &[&str]) -> String {
    sha256_hex(parts.join("\n").as_bytes())
}

impl FromRequestParts<Shared> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let target = format!("{} {}", parts.method, parts.uri.path());
        let body = Fingerprint::default();
        let Some(value) = parts.headers.get(HEADER) else {
            return Ok(Self { key: None, target, body });
        };
        if context.cluster.state().format() >= FINGERPRINTS_SINCE {
            parts.extensions.insert(body.clone());
        }
        let key =
            value.to_str().ok().filter(|key| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()));
        match key {
            Some(key) => Ok(Self { key: Some(key.into()), target, body }),
            None => {
                let why = format!("use 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible characters");
                Err(ApiError::invalid("Idempotency-Key", why))
            }
        }
    }
}
