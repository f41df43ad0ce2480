//! What this node shows in handshakes, and what it believes others by: swapped as one when a certificate is renewed.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use super::authority::CERTIFICATE_SECONDS;
use super::certificate::{Facts, from_pem};
use super::node_key::NodeKey;
use super::{TrustError, provider};

/// With how much of its life left a certificate is renewed.
const RENEWED_SECONDS: i64 = CERTIFICATE_SECONDS / 3;

/// This node's certificate and the authority that signed it.
pub struct Own {
    /// The certificate, the authority's behind it, and the private key.
    pub certified: Arc<CertifiedKey>,
    /// The authority's certificate.
    pub authority: CertificateDer<'static>,
    /// Checks that a client's certificate is the authority's, and in time.
    pub clients: Arc<dyn ClientCertVerifier>,
    /// Checks the same of a server's certificate, and its name.
    pub servers: Arc<WebPkiServerVerifier>,
    not_before: i64,
    not_after: i64,
}

impl Own {
    /// Puts together what was read from the folder or just signed; both certificates in PEM.
    pub fn new(key: &NodeKey, certificate: &str, authority: &str) -> Result<Self, TrustError> {
        let (certificate, authority) = (from_pem(certificate)?, from_pem(authority)?);
        let Facts { not_before, not_after, .. } = Facts::read(&certificate)?;
        let private = PrivateKeyDer::Pkcs8(key.pair().serialize_der().into());
        let chain = vec![certificate, authority.clone()];
        let certified = Arc::new(CertifiedKey::from_der(chain, private, &provider())?);
        let roots = Arc::new(roots(&authority)?);
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
        let servers = servers(&authority)?;
        Ok(Self { certified, authority, clients, servers, not_before, not_after })
    }

    /// Whether the certificate lasts long enough to be left alone. One that was signed while the clock was ahead does
    /// not: nobody else believes it.
    pub fn lasts(&self, now: Timestamp) -> bool {
        let now = now.as_second();
        self.not_before <= now && self.not_after - now > RENEWED_SECONDS
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own(until {})", self.not_after)
    }
}

/// Checks servers by one authority.
pub fn servers(authority: &CertificateDer<'_>) -> Result<Arc<WebPkiServerVerifier>, TrustError> {
    let roots = Arc::new(roots(authority)?);
    Ok(WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?)
}

fn roots(authority: &CertificateDer<'_>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(roots)
}
