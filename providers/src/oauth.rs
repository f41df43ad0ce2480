//! Tokens that last for a while: an account shows what it is known by, and is let in for about an hour (RFC 6749).

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::ProviderError;
use crate::http::{Http, send};
use crate::jwt::ServiceAccount;
use crate::secret::Secret;

/// How long before its end a token is no longer used.
const EARLY: Duration = Duration::from_secs(60);
/// The longest that a token is kept, whatever is said of it.
const KEPT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Gets tokens, and keeps each until shortly before its end.
pub(crate) struct Tokens {
    endpoint: Http,
    proof: Proof,
    held: Mutex<Option<Held>>,
}

/// What an account is known by.
pub(crate) enum Proof {
    /// A secret (RFC 6749 §4.4).
    Client { id: String, secret: Secret, scope: String },
    /// A signature (RFC 7523 §2.1).
    Signature(ServiceAccount),
}

struct Held {
    token: Secret,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Failed {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Tokens {
    pub(crate) fn new(endpoint: &str, proof: Proof) -> Result<Self, ProviderError> {
        Ok(Self { endpoint: Http::new(endpoint)?, proof, held: Mutex::new(None) })
    }

    /// A token that lasts for a while yet.
    pub(crate) async fn token(&self) -> Result<Secret, ProviderError> {
        let mut held = self.held.lock().await;
        if let Some(Held { token, .. }) = held.as_ref().filter(|held| held.until > Instant::now()) {
            return Ok(token.clone());
        }
        let Granted { access_token: token, expires_in } = self.ask().await?;
        let lasts = Duration::from_secs(expires_in).min(KEPT_MAX).saturating_sub(EARLY);
        *held = Some(Held { token: token.clone(), until: Instant::now() + lasts });
        Ok(token)
    }

    /// Keeps the token no longer, as it is not taken.
    pub(crate) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn ask(&self) -> Result<Granted, ProviderError> {
        let answer =
            send(self.request()?).await.and_then(|answer| answer.judge(said)).map_err(|error| {
                match error {
                    // Whatever is wrong with the request is wrong with the credentials, and without a token nothing can be asked.
                    ProviderError::Refused { said } | ProviderError::Unauthorized { said, .. } => {
                        ProviderError::Unauthorized { said, everywhere: true }
                    }
                    ProviderError::Failing { why } => ProviderError::Unreachable { why },
                    other => other,
                }
            })?;
        answer.json()
    }

    fn request(&self) -> Result<RequestBuilder, ProviderError> {
        let request = self.endpoint.request(Method::POST, self.endpoint.url(&[], &[]));
        Ok(match &self.proof {
            Proof::Client { id, secret, scope } => request.form(&[
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret.expose()),
                ("scope", scope),
            ]),
            Proof::Signature(account) => request.form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &account.assertion(Timestamp::now())?),
            ]),
        })
    }
}

fn said(body: &[u8]) -> String {
    let failed = serde_json::from_slice(body);
    failed.map_or(String::new(), |Failed { error, error_description }| {
        format!("{error}: {error_description}")
    })
}
