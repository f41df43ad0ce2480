//! What can go wrong in the mesh.

use std::{io, net::SocketAddr, time::Duration};

use quinn::{ConnectError, ConnectionError, crypto::rustls::NoInitialCipherSuite};

/// Why a mesh could not be built, or a stream not be opened.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The UDP port is taken or not ours to take.
    #[error("cannot listen for other nodes on UDP {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The endpoint could not be set up on its socket.
    #[error("cannot set up the endpoint for other nodes")]
    Setup(#[source] io::Error),
    /// The TLS settings are not fit for QUIC: TLS 1.3 is missing, say.
    #[error("the TLS settings do not allow QUIC")]
    Tls(#[from] rustls::Error),
    /// The TLS settings lack the cipher that QUIC begins with, AES-128-GCM.
    #[error("the TLS settings lack a cipher that QUIC needs")]
    Cipher(#[source] NoInitialCipherSuite),
    /// Nobody knows where this node is, or it was removed.
    #[error("no address is known for node {node}")]
    NoAddress {
        /// The node asked for.
        node: u64,
    },
    /// Connecting failed a moment ago; it is not tried again for now.
    #[error("node {node} could not be reached; it is tried again in {retry_in:?}")]
    Unreachable {
        /// The node asked for.
        node: u64,
        /// How long until the next attempt.
        retry_in: Duration,
    },
    /// The attempt could not even begin.
    #[error("cannot begin to connect to node {node} at {address}")]
    Dial {
        /// The node asked for.
        node: u64,
        /// Where it should be.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: ConnectError,
    },
    /// The node, or who is at its address, did not let us in.
    #[error("cannot connect to node {node} at {address}")]
    Connect {
        /// The node asked for.
        node: u64,
        /// Where it should be.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: ConnectionError,
    },
    /// Somebody else answered at the node's address.
    #[error("the certificate at {address} is not that of node {node}")]
    WrongNode {
        /// The node asked for.
        node: u64,
        /// Where it should be.
        address: SocketAddr,
    },
    /// The node found out who we are and closed the connection.
    #[error("node {node} at {address} did not let this node in")]
    NotAdmitted {
        /// The node asked for.
        node: u64,
        /// Where it is.
        address: SocketAddr,
        /// What it said.
        #[source]
        source: ConnectionError,
    },
    /// The node is connected but said nothing in time, or never answered at all.
    #[error("node {node} is silent")]
    Silent {
        /// The node asked for.
        node: u64,
    },
    /// The connection broke while the stream was being opened.
    #[error("lost node {node} while opening a stream")]
    Lost {
        /// The node asked for.
        node: u64,
        /// How it broke.
        #[source]
        source: io::Error,
    },
    /// The connection is fine, but the node ended the stream without a decision.
    #[error("node {node} closed the stream without an answer")]
    Dropped {
        /// The node asked for.
        node: u64,
        /// How it ended.
        #[source]
        source: io::Error,
    },
    /// All connections or all streams are in use.
    #[error("too many {what} to node {node}")]
    TooMany {
        /// `"connections"` or `"streams"`.
        what: &'static str,
        /// The node asked for.
        node: u64,
    },
    /// The node was reached and does not want the stream.
    #[error("node {node} refused: {reason}")]
    Refused {
        /// The node asked for.
        node: u64,
        /// In its words.
        reason: String,
    },
    /// The target's name does not fit into a header.
    #[error("a target of {length} bytes is too long; {max} are allowed")]
    TargetTooLong {
        /// Its length.
        length: usize,
        /// What is allowed.
        max: usize,
    },
    /// The QUIC library failed within. Trying again is right.
    #[error("a connection to node {node} broke inside")]
    Broken {
        /// The node asked for.
        node: u64,
    },
}

impl MeshError {
    /// Whether the node itself could not be reached, so that nothing is known of what was sought there.
    pub fn is_unreachable(&self) -> bool {
        use MeshError::*;
        matches!(
            self,
            NoAddress { .. }
                | Unreachable { .. }
                | Dial { .. }
                | Connect { .. }
                | WrongNode { .. }
                | Silent { .. }
                | Lost { .. }
        )
    }
}
