//! Certificates with their keys, read from PEM.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;

use crate::tls::config::provider;

/// Reads a certificate with those that vouch for it, and its key; refuses a key that belongs to another one.
pub(crate) fn certified_key(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, rustls::Error> {
    let bad = |error: pem::Error| rustls::Error::General(error.to_string());
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(bad)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(bad)?;
    CertifiedKey::from_der(chain, key, &provider())
}
