//! Accounts that are bound to one that somebody has with the authority (RFC 8555 §7.3.4). The library binds only accounts whose
//! key it draws itself, and that key is known to nobody while the account is opened; so this asks for them by itself.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{HeaderMap, Method};
use instant_acme::{Error as CaError, Problem};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::Deserialize;
use serde_json::{Value, json};

use super::authority::Authority;

/// How often the same is asked for with another nonce: some authorities refuse what they gave themselves.
const NONCES_MAX: usize = 8;
/// The media type of what is signed.
const JOSE: HeaderValue = HeaderValue::from_static("application/jose+json");
/// The octets of each coordinate of a key's point.
const COORDINATE_BYTES: usize = 32;

/// What binds an account.
pub(super) struct Binding {
    /// The name of the key at the authority.
    pub(super) id: String,
    /// The key.
    pub(super) key: Vec<u8>,
}

/// Where an authority is asked (RFC 8555 §7.1.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
    new_account: String,
}

impl Binding {
    /// Opens an account for a key in PKCS #8, or finds the one that was opened for it; its address at the authority.
    pub(super) async fn open(
        &self,
        authority: &Authority,
        directory: &str,
        pkcs8: &[u8],
    ) -> Result<String, CaError> {
        let found = authority.exchange(Method::GET, directory, HeaderMap::new(), vec![]).await?;
        let directory: Directory = serde_json::from_slice(found.body())?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random);
        let pair = pair.map_err(|_| CaError::Str("the account's key cannot be used"))?;
        let url = directory.new_account.as_str();
        let payload = json!({
            "termsOfServiceAgreed": true,
            "externalAccountBinding": self.bind(&jwk(&pair), url),
        });
        for _ in 0..NONCES_MAX {
            let nonce = nonce(authority, &directory.new_nonce).await?;
            let protected = json!({"alg": "ES256", "jwk": jwk(&pair), "nonce": nonce, "url": url});
            let sign = |octets: &[u8]| pair.sign(&random, octets).map(|it| it.as_ref().to_vec());
            let signed = signed(&protected, &payload, sign);
            let signed = signed.map_err(|_| CaError::Str("the account's key cannot sign"))?;
            let kind = HeaderMap::from_iter([(CONTENT_TYPE, JOSE)]);
            let body = signed.to_string().into_bytes();
            let answer = authority.exchange(Method::POST, url, kind, body).await?;
            if answer.status().is_success() {
                let address = answer.headers().get(LOCATION).and_then(|url| url.to_str().ok());
                return address.map(str::to_owned).ok_or(CaError::Str("it tells no address"));
            }
            let mut problem: Problem = serde_json::from_slice(answer.body())?;
            problem.status.get_or_insert(answer.status().as_u16());
            if !problem.r#type.as_deref().unwrap_or_default().ends_with(":badNonce") {
                return Err(CaError::Api(problem));
            }
        }
        Err(CaError::Str("it took none of several nonces that it gave"))
    }

    /// The key of an account, signed with what binds it.
    fn bind(&self, jwk: &Value, url: &str) -> Value {
        let protected = json!({"alg": "HS256", "kid": self.id, "url": url});
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let sign = |octets: &[u8]| Ok::<_, std::convert::Infallible>(hmac::sign(&key, octets));
        match signed(&protected, jwk, sign) {
            Ok(signed) => signed,
            Err(never) => match never {},
        }
    }
}

async fn nonce(authority: &Authority, url: &str) -> Result<String, CaError> {
    let answer = authority.exchange(Method::HEAD, url, HeaderMap::new(), vec![]).await?;
    let nonce = answer.headers().get("replay-nonce").and_then(|nonce| nonce.to_str().ok());
    nonce.map(str::to_owned).ok_or(CaError::Str("it gives no nonce"))
}

/// The public half of a key (RFC 7518 §6.2.1): its point is `4`, then both coordinates.
fn jwk(pair: &EcdsaKeyPair) -> Value {
    let point = pair.public_key().as_ref();
    let (x, y) = point.split_at_checked(1 + COORDINATE_BYTES).unwrap_or_default();
    let x = x.get(1..).unwrap_or_default();
    json!({"crv": "P-256", "kty": "EC", "x": encoded(x), "y": encoded(y)})
}

/// A signed text (RFC 7515 §7.2.2).
fn signed<S: AsRef<[u8]>, E>(
    protected: &Value,
    payload: &Value,
    sign: impl FnOnce(&[u8]) -> Result<S, E>,
) -> Result<Value, E> {
    let [protected, payload] = [protected, payload].map(|part| encoded(part.to_string()));
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({"protected": protected, "payload": payload, "signature": encoded(signature)}))
}

fn encoded(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
