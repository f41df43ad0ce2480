//! A node's own private key. It is drawn on the node and never leaves it.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::CertificateSigningRequestDer;

use super::TrustError;
use super::certificate::fingerprint;
use crate::RaftError;
use crate::folder::write_file;

/// A node's private key.
pub struct NodeKey(KeyPair);

impl NodeKey {
    /// Draws a key that is kept nowhere yet.
    pub fn draw() -> Result<Self, TrustError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// Reads the key, if there is one.
    pub fn read(path: &Path) -> Result<Option<Self>, RaftError> {
        let pem = match fs::read_to_string(path) {
            Ok(pem) => pem,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(RaftError::file("read", path)(e)),
        };
        let damaged = |source| RaftError::NodeKeyDamaged { path: path.into(), source };
        Ok(Some(Self(KeyPair::from_pem(&pem).map_err(|e| damaged(e.into()))?)))
    }

    /// Reads the key, or draws one and keeps it.
    pub fn read_or_draw(path: &Path) -> Result<Self, RaftError> {
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        let key = Self::draw()?;
        write_file(path, key.0.serialize_pem().as_bytes())?;
        Ok(key)
    }

    /// SHA-256 of the public key (`SubjectPublicKeyInfo`), in hex.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0.subject_public_key_info())
    }

    /// The pair, for signing and for being signed.
    pub fn pair(&self) -> &KeyPair {
        &self.0
    }

    /// Asks for a certificate: the public key, and the proof that the private one is here, in DER.
    pub fn request(&self) -> Result<Vec<u8>, TrustError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.0)?.der().to_vec())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.fingerprint())
    }
}

/// The public key in a request, once it is proven that whoever asks has the private one. What else the request says
/// counts for nothing.
pub fn requested_key(der: &[u8]) -> Result<rcgen::PublicKey, TrustError> {
    let request =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))?;
    if PublicKeyData::algorithm(&request.public_key) != &PKCS_ECDSA_P256_SHA256 {
        return Err(TrustError::KeyKind);
    }
    Ok(request.public_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_key_and_proves_that_it_is_there() {
        let key = NodeKey::draw().unwrap();
        let mut request = key.request().unwrap();
        let asked = requested_key(&request).unwrap();
        assert_eq!(fingerprint(&asked.subject_public_key_info()), key.fingerprint());
        *request.last_mut().unwrap() ^= 1;
        assert!(requested_key(&request).is_err());
        assert!(requested_key(b"nonsense").is_err());
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let request = CertificateParams::default().serialize_request(&pair).unwrap();
        assert!(matches!(requested_key(request.der()), Err(TrustError::KeyKind)));
    }

    #[test]
    fn a_key_is_drawn_once_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        assert!(NodeKey::read(&path).unwrap().is_none());
        let drawn = NodeKey::read_or_draw(&path).unwrap();
        let again = NodeKey::read_or_draw(&path).unwrap();
        assert_eq!(drawn.fingerprint(), again.fingerprint());
        assert_eq!(format!("{drawn:?}"), format!("NodeKey({})", drawn.fingerprint()));
        fs::write(&path, "nonsense").unwrap();
        let error = NodeKey::read(&path).unwrap_err();
        assert!(matches!(error, RaftError::NodeKeyDamaged { .. }));
    }
}
