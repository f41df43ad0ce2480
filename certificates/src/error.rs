//! Why a certificate is not taken.

use jiff::Timestamp;
use rustls::pki_types::pem::Error as PemError;

/// Why a certificate is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is none in the text.
    #[error("there is no certificate in it: PEM begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// There is no key in the text.
    #[error("there is no private key in it: PEM begins with -----BEGIN PRIVATE KEY-----")]
    NoKey(#[source] PemError),
    /// The key needs a password, which nobody could enter when a node starts.
    #[error("the private key is encrypted: bring it without a password (openssl pkey -in FILE)")]
    KeyEncrypted,
    /// It is PEM of something that is no certificate.
    #[error("certificate {number} of the chain cannot be read")]
    Unreadable {
        /// Which, from 1.
        number: usize,
    },
    /// Its PEM is broken.
    #[error("the chain is not PEM: {0}")]
    NotPem(#[source] PemError),
    /// A key that the edge cannot use.
    #[error("the private key cannot be used: {0}")]
    KeyUnusable(#[source] rustls::Error),
    /// The key belongs to another certificate.
    #[error("the private key is not the certificate's: its public key is another one")]
    KeyMismatch,
    /// It has ended.
    #[error("certificate {number} of the chain ended at {at}")]
    Expired {
        /// Which, from 1.
        number: usize,
        /// When.
        at: Timestamp,
    },
    /// It has not begun.
    #[error(
        "certificate {number} of the chain begins only at {from}; is this machine's clock right?"
    )]
    NotYetValid {
        /// Which, from 1.
        number: usize,
        /// When it begins.
        from: Timestamp,
    },
    /// A certificate is not vouched for by the next.
    #[error(
        "the chain is wrong: certificate {number} ({subject}) is by `{issuer}`, and the next one is \
         `{next}`: put the server's certificate first, then the one that signed it, and so on"
    )]
    WrongChain {
        /// Which, from 1.
        number: usize,
        /// Whom it is for.
        subject: String,
        /// Who should come next.
        issuer: String,
        /// Who comes next.
        next: String,
    },
    /// A certificate that vouches for another one is none of an authority (RFC 5280 §4.2.1.9).
    #[error(
        "certificate {number} of the chain ({subject}) may not sign others: put those of the \
         authorities that signed yours there"
    )]
    NoAuthority {
        /// Which, from 1.
        number: usize,
        /// Whose it is.
        subject: String,
    },
    /// The next certificate has the right name and another key.
    #[error("the chain is wrong: certificate {number} was not signed by the next one")]
    WrongSignature {
        /// Which, from 1.
        number: usize,
    },
    /// It is not for servers (RFC 5280 §4.2.1.12).
    #[error(
        "the certificate is not for servers: its extended key usage has no serverAuth, so that no \
         client would take it; ask whoever signed it for one for TLS servers"
    )]
    NotForServers,
    /// It is for no DNS name.
    #[error("the certificate is for no host name: it needs subject alternative names")]
    NoNames,
    /// A time that cannot be.
    #[error("the certificate has an impossible validity")]
    Validity,
    /// A key or a request could not be made.
    #[error("a certificate request cannot be made: {0}")]
    Request(#[source] rcgen::Error),
}
