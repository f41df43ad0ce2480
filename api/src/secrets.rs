//! Random texts: keys, cookies, passwords, and tokens derived from the cluster key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use temps_raft::Cluster;
use temps_state::{ClusterKey, SessionId};

/// What API keys begin with.
pub const API_KEY_PREFIX: &str = "tk_";

/// SHA-256 in hex.
pub(crate) fn sha256_hex(text: &[u8]) -> String {
    hex::encode(Sha256::digest(text))
}

/// HMAC-SHA256 (RFC 2104).
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Whether two texts are the same, in a time that tells nothing about where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// 32 octets nobody can guess, as 43 characters.
pub(crate) fn fresh() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// A secret that the answer to a request shows once: fresh, or, with an idempotency key, the same for every retry.
pub(crate) fn fresh_for(cluster: &Cluster, request: Option<&str>, purpose: &str) -> String {
    URL_SAFE_NO_PAD.encode(octets_for(cluster, request, purpose))
}

/// As [`fresh_for`], for what is not shown as it is.
pub(crate) fn octets_for(cluster: &Cluster, request: Option<&str>, purpose: &str) -> [u8; 32] {
    match request {
        None => rand::random(),
        Some(request) => derived(cluster.key(), &format!("{purpose}/{request}")),
    }
}

/// The token that proves that a change was meant by the page that holds the session.
pub(crate) fn csrf_token(key: &ClusterKey, session: SessionId) -> String {
    URL_SAFE_NO_PAD.encode(derived(key, &format!("csrf/{session}")))
}

fn derived(key: &ClusterKey, what: &str) -> [u8; 32] {
    let message = format!("temps-api/{what}");
    hmac_sha256(key.octets(), message.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_is_that_of_the_standard() {
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(mac), wanted);
    }

    #[test]
    fn csrf_tokens_differ_by_session_and_key() {
        let session = |n| <SessionId as temps_state::Id>::from_parts(1, n);
        let (a, b) = (ClusterKey::new([1; 32]), ClusterKey::new([2; 32]));
        assert_eq!(csrf_token(&a, session(1)), csrf_token(&a, session(1)));
        assert_ne!(csrf_token(&a, session(1)), csrf_token(&a, session(2)));
        assert_ne!(csrf_token(&a, session(1)), csrf_token(&b, session(1)));
    }
}
