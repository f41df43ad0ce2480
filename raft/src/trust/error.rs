//! What can go wrong with keys and certificates.

use rustls::server::VerifierBuilderError;
use temps_state::SealError;

/// Why a key, a certificate or a token could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// There is no certificate authority yet.
    #[error("the cluster has no certificate authority yet: try again in a moment")]
    NoAuthority,
    /// The cluster key does not open the authority's private key.
    #[error("the private key of the cluster's certificate authority cannot be opened")]
    Sealed(#[from] SealError),
    /// A key, a request or a certificate could not be made, or is not one.
    #[error("a key or certificate cannot be made or read")]
    Make(#[from] rcgen::Error),
    /// A certificate cannot be read.
    #[error("a certificate cannot be read")]
    Unreadable,
    /// A certificate and its key cannot be used together.
    #[error("a certificate cannot be used")]
    Use(#[from] rustls::Error),
    /// No verifier can be made of the authority's certificate.
    #[error("the certificate of the cluster's authority cannot be used")]
    Authority(#[from] VerifierBuilderError),
    /// Somebody asked for a certificate for a key of another kind than nodes have.
    #[error("nodes have keys of the kind ECDSA P-256")]
    KeyKind,
    /// A token cannot be valid for that long.
    #[error("a join token cannot be valid for that long")]
    Lifetime(#[source] jiff::Error),
}
