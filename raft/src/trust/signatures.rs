//! How the signatures of handshakes are judged, by whomever they are shown to: whoever shows a certificate must have its
//! private key, and peers speak TLS 1.3 only.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::CertificateDer;
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

use super::provider;

/// The part of a verifier that has to do with signatures: the same three methods for clients and for servers.
macro_rules! judge_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Err($crate::trust::signatures::too_old())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            $crate::trust::signatures::check(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            $crate::trust::signatures::schemes()
        }
    };
}

pub(crate) use judge_signatures;

/// Older versions of TLS are not spoken.
pub fn too_old() -> Error {
    PeerIncompatible::Tls13RequiredForQuic.into()
}

/// Checks that whoever shows a certificate has its private key.
pub fn check(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = provider().signature_verification_algorithms;
    verify_tls13_signature(message, certificate, signature, &algorithms)
}

/// The kinds of signature that can be checked.
pub fn schemes() -> Vec<SignatureScheme> {
    provider().signature_verification_algorithms.supported_schemes()
}
