//! Values that nobody but the cluster may read: sealed with AES-256-GCM (NIST SP 800-38D) under the cluster key.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Octets of the cluster key.
pub const CLUSTER_KEY_LEN: usize = 32;
/// Octets of a nonce; the caller draws a fresh random one for every value it seals.
pub const NONCE_LEN: usize = 12;

/// The key that seals and opens every secret of the cluster. It never appears in `State`.
#[derive(Clone)]
pub struct ClusterKey([u8; CLUSTER_KEY_LEN]);

/// Why a secret could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key differs from the one that sealed it, or the value was moved or altered.
    #[error("the cluster key does not open this secret")]
    Open,
    /// The value is too long for one AES-GCM message.
    #[error("the value is too long to seal")]
    Seal,
    /// The opened octets are not text.
    #[error("the secret is not text")]
    NotText,
}

impl ClusterKey {
    /// Takes 32 random octets as the key.
    pub fn new(octets: [u8; CLUSTER_KEY_LEN]) -> Self {
        Self(octets)
    }

    /// The key's octets, for the one file that keeps them and for deriving other keys.
    pub fn octets(&self) -> &[u8; CLUSTER_KEY_LEN] {
        &self.0
    }

    /// Seals `value`. `place` names where it is kept, so that a sealed value copied elsewhere does not open.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        place: &str,
        value: &str,
    ) -> Result<Sealed, SealError> {
        let payload = Payload { msg: value.as_bytes(), aad: place.as_bytes() };
        let text = self.cipher().encrypt(&Nonce::from(nonce), payload);
        let mut octets = nonce.to_vec();
        octets.extend(text.map_err(|_| SealError::Seal)?);
        Ok(Sealed(octets))
    }

    /// Opens what [`seal`](Self::seal) sealed for the same `place`.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<String, SealError> {
        let (nonce, text) = sealed.0.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Open)?;
        let payload = Payload { msg: text, aad: place.as_bytes() };
        let value = self.cipher().decrypt(&Nonce::from(*nonce), payload);
        String::from_utf8(value.map_err(|_| SealError::Open)?).map_err(|_| SealError::NotText)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(self.0))
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

/// A sealed value: nonce, then ciphertext with its tag. Base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_with_its_key_and_in_its_place() {
        let key = ClusterKey::new([7; 32]);
        let sealed = key.seal([1; 12], "variable/A", "s3cret").expect("short enough");
        assert_eq!(key.open("variable/A", &sealed).as_deref(), Ok("s3cret"));
        assert_eq!(key.open("variable/B", &sealed), Err(SealError::Open));
        assert_eq!(ClusterKey::new([8; 32]).open("variable/A", &sealed), Err(SealError::Open));
    }

    #[test]
    fn neither_key_nor_secret_shows_in_debug_output() {
        let key = ClusterKey::new([7; 32]);
        let sealed = key.seal([1; 12], "p", "s3cret").expect("short enough");
        assert_eq!(format!("{key:?} {sealed:?}"), "ClusterKey(…) Sealed(…)");
    }
}
