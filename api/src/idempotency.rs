//! `Idempotency-Key`: a request that is sent twice takes effect once, and both get the same answer.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

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
}

impl IdempotencyKey {
    /// The id that the cluster remembers: one for every caller, target and key.
    pub fn of(self, caller: &Caller) -> Option<String> {
        let Self { key, target } = self;
        key.map(|key| scoped(&[&caller.user.id.to_string(), &target, &key]))
    }
}

/// One id for several texts, of a bounded length whatever theirs is.
pub(crate) fn scoped(parts: &[&str]) -> String {
    sha256_hex(parts.join("\n").as_bytes())
}

impl FromRequestParts<Shared> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let target = format!("{} {}", parts.method, parts.uri.path());
        let Some(value) = parts.headers.get(HEADER) else {
            return Ok(Self { key: None, target });
        };
        let key =
            value.to_str().ok().filter(|key| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()));
        match key {
            Some(key) => Ok(Self { key: Some(key.into()), target }),
            None => {
                let why = format!("use 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible characters");
                Err(ApiError::invalid("Idempotency-Key", why))
            }
        }
    }
}
