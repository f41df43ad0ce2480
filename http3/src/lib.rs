//! HTTP/3 (RFC 9114) as a server speaks it: a [`Port`] takes connections, a [`Connection`] brings requests, and an
//! [`Exchange`] is one request's body and its answer.
//!
//! What the h3 crate leaves open is bounded here, where octets come in ([`transport`], [`frames`]): how much of a frame it
//! gathers before it looks at it, and when a client that wants no answer any more is noticed. What a request means, and
//! how many of anything a client may have, is for the caller to decide ([`Bounds`]).
#![forbid(unsafe_code)]

mod bounds;
mod connection;
mod error;
mod exchange;
mod fields;
mod frames;
mod port;
mod succession;
mod transport;

pub use bounds::Bounds;
pub use connection::{Arrival, Connection};
pub use error::{Http3Error, RequestError};
pub use exchange::Exchange;
pub use h3::ext::Protocol;
pub use port::{Caller, Port};

/// What HTTP/3 is called in a TLS handshake and in `Alt-Svc` (RFC 9114 §3.1).
pub const ALPN: &str = "h3";

/// Why a connection or a stream ends (RFC 9114 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// All is well.
    NoError,
    /// The server failed.
    InternalError,
    /// The client asks for too much that brings nothing.
    ExcessiveLoad,
    /// The request was not looked at, and may be made elsewhere.
    Rejected,
    /// The request is malformed.
    Malformed,
}

impl Reason {
    fn code(self) -> h3::error::Code {
        use h3::error::Code;
        match self {
            Self::NoError => Code::H3_NO_ERROR,
            Self::InternalError => Code::H3_INTERNAL_ERROR,
            Self::ExcessiveLoad => Code::H3_EXCESSIVE_LOAD,
            Self::Rejected => Code::H3_REQUEST_REJECTED,
            Self::Malformed => Code::H3_MESSAGE_ERROR,
        }
    }

    fn number(self) -> quinn::VarInt {
        quinn::VarInt::from_u64(self.code().value()).expect("all codes are small")
    }
}
