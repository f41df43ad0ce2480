//! Requests for certificates: a new key, and what an authority is asked to sign.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use temps_state::DomainName;

use crate::CertificateError;

/// A request, and the key that it is for.
pub struct Request {
    /// The new key in PEM (PKCS #8): ECDSA on P-256.
    pub key: String,
    /// The request in DER (PKCS #10).
    pub der: Vec<u8>,
}

/// Draws a key and asks for a certificate for these names.
pub fn draw_request(names: &[DomainName]) -> Result<Request, CertificateError> {
    let key = KeyPair::generate().map_err(CertificateError::Request)?;
    let names: Vec<String> = names.iter().map(|name| name.as_str().into()).collect();
    let mut params = CertificateParams::new(names).map_err(CertificateError::Request)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(CertificateError::Request)?;
    Ok(Request { key: key.serialize_pem(), der: request.der().to_vec() })
}
