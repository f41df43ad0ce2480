//! How a joiner knows that it reached the token's cluster: it knows nothing but the digest of the authority's certificate.

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};

use crate::trust::signatures::judge_signatures;
use crate::trust::{Token, read, server_name, servers};

/// Believes any node whose certificate the pinned authority signed. The joiner's clock plays no part: when it is off,
/// the member says so.
#[derive(Debug)]
pub struct Pinned(pub Token);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = others.iter().find(|other| self.0.pins(other));
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?;
        let facts = read(certificate)?;
        let (node, cluster) = facts.node().ok_or(CertificateError::NotValidForName)?;
        let name = server_name(node, cluster)?;
        let servers = servers(authority).map_err(|_| CertificateError::BadEncoding)?;
        servers.verify_server_cert(certificate, &[], &name, &[], facts.valid_at())
    }

    judge_signatures!();
}
