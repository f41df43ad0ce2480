//! How a joiner knows that it reached the token's cluster: it knows nothing but the digest of the authority's certificate.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::trust::{Token, check_signature, read, schemes, server_name, servers, too_old};

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

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}
