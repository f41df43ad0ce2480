//! `Idempotency-Key`: a request that is sent twice takes effect once, and both get the same answer. Another body under the
//! same key is refused (draft-ietf-httpapi-idempotency-key-header).

use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use temps_state::{FINGERPRINTS_SINCE, UserId, fingerprinted};

use crate::ApiError;
use crate::context::Context;
use crate::secrets::sha256_hex;

/// The longest idempotency key, in octets.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// The header.
const HEADER: &str = "idempotency-key";

/// The key of a request that has one.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey {
    key: String,
    target: String,
    body: Fingerprint,
}

/// The digest of a request's body, once that was read: its handler takes the body last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fingerprint(Arc<OnceLock<String>>);

impl Fingerprint {
    /// Takes the body's.
    pub fn take(&self, body: &[u8]) {
        // A body is read once.
        let _ = self.0.set(sha256_hex(body));
    }
}

impl IdempotencyKey {
    /// The key of a request that changes something. From now on its body is fingerprinted when it is read.
    pub fn of(parts: &mut Parts, context: &Context) -> Result<Option<Self>, ApiError> {
        let Some(value) = parts.headers.get(HEADER).filter(|_| !parts.method.is_safe()) else {
            return Ok(None);
        };
        let key =
            value.to_str().ok().filter(|key| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()));
        let key = key.map(str::to_owned).ok_or_else(|| {
            let why = format!("use 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible characters");
            ApiError::invalid("Idempotency-Key", why)
        })?;
        let target = format!("{} {}", parts.method, parts.uri.path());
        let body = Fingerprint::default();
        if context.cluster.state().format() >= FINGERPRINTS_SINCE {
            parts.extensions.insert(body.clone());
        }
        Ok(Some(Self { key, target, body }))
    }

    /// The id that the cluster remembers: one for every user, target and key, and what it was used for.
    pub fn id(&self, user: UserId) -> String {
        let id = scoped(&[&user.to_string(), &self.target, &self.key]);
        match self.body.0.get() {
            Some(digest) => fingerprinted(&id, digest),
            None => id,
        }
    }
}

/// One id for several texts, of a bounded length whatever theirs is.
pub(crate) fn scoped(parts: &[&str]) -> String {
    sha256_hex(parts.join("\n").as_bytes())
}
