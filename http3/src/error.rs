//! What can go wrong with HTTP/3.

use std::io;
use std::net::SocketAddr;

/// Why a port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Http3Error {
    /// The system refused the address.
    #[error("cannot listen on UDP {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The socket does not do what QUIC needs.
    #[error("cannot speak QUIC: {0}")]
    Setup(#[source] io::Error),
    /// The settings of TLS do not suit QUIC.
    #[error("cannot use the settings of TLS for QUIC: {0}")]
    Tls(#[source] rustls::Error),
    /// QUIC needs a cipher suite that the settings of TLS lack.
    #[error("the settings of TLS lack the cipher suite that QUIC begins with: {0}")]
    Cipher(#[source] quinn::crypto::rustls::NoInitialCipherSuite),
    /// A handshake failed.
    #[error("a handshake failed: {0}")]
    Handshake(#[source] quinn::ConnectionError),
    /// A connection ended.
    #[error("the connection ended: {0}")]
    Ended(#[source] h3::error::ConnectionError),
}

/// Why a request did not come whole, or its answer could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The client wants nothing of it any more.
    #[error("the client gave the request up")]
    GivenUp,
    /// The connection is over.
    #[error("the connection is over: {0}")]
    Over(#[source] h3::error::ConnectionError),
    /// The client does not keep to the protocol.
    #[error("the request is malformed: {0}")]
    Malformed(#[source] h3::error::StreamError),
    /// Its pseudo-headers are not what they must be.
    #[error(
        "the request's pseudo-headers come twice, or behind headers, or are those of an answer"
    )]
    Disordered,
}

impl From<h3::error::StreamError> for RequestError {
    fn from(error: h3::error::StreamError) -> Self {
        use h3::error::StreamError as E;
        match error {
            E::RemoteTerminate { .. } | E::RemoteClosing => Self::GivenUp,
            E::ConnectionError(error) => Self::Over(error),
            error => Self::Malformed(error),
        }
    }
}
