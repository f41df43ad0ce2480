//! What a service account of Google shows to be let in: a signed claim, "Using OAuth 2.0 for Server to Server
//! Applications" (RFC 7523, RS256 of RFC 7518).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::ProviderError;
use crate::secret::Secret;

/// For how long a claim holds, in seconds: the most that is allowed.
const CLAIM_SECONDS: i64 = 3_600;

/// An account that signs.
#[derive(Clone)]
pub(crate) struct ServiceAccount {
    /// Whose claim it is.
    pub(crate) email: String,
    /// Which of its keys signs.
    pub(crate) key_id: String,
    /// What it wants to do.
    pub(crate) scope: &'static str,
    /// Who is to believe it.
    pub(crate) audience: String,
    key: Arc<KeyPair>,
}

impl ServiceAccount {
    /// An account by its key in PEM (PKCS #8).
    pub(crate) fn new(
        email: String,
        key_id: String,
        scope: &'static str,
        audience: String,
        key: &Secret,
    ) -> Result<Self, ProviderError> {
        let wrong = || ProviderError::Credentials("`private_key` is no RSA key in PEM".into());
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.expose().as_bytes());
        let key = key.map_err(|_| wrong())?;
        let key = KeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| wrong())?;
        Ok(Self { email, key_id, scope, audience, key: Arc::new(key) })
    }

    /// What the account shows at a time.
    pub(crate) fn assertion(&self, now: Timestamp) -> Result<String, ProviderError> {
        let now = now.as_second();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claim = json!({
            "iss": self.email, "scope": self.scope, "aud": self.audience,
            "iat": now, "exp": now + CLAIM_SECONDS,
        });
        let text = format!("{}.{}", encoded(&header), encoded(&claim));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature);
        signed.map_err(|_| ProviderError::Credentials("`private_key` cannot sign".into()))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
