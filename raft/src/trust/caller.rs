//! Who is at the other end of a connection.

use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;
use temps_state::NodeId;

use super::certificate::Facts;

/// Whom a certificate stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerIdentity {
    /// A node of the cluster.
    Node(NodeId),
    /// Whoever holds the join token with this key: SHA-256 of its `SubjectPublicKeyInfo`, in hex.
    Token(String),
}

/// Whom the certificates of a finished handshake stand for. They were checked in the handshake; here they are only
/// read, by the same rules.
pub fn peer_of(certificates: &[CertificateDer<'_>]) -> Option<PeerIdentity> {
    let facts = Facts::read(certificates.first()?).ok()?;
    if facts.of_token {
        return Some(PeerIdentity::Token(facts.key));
    }
    facts.node().map(|(node, _)| PeerIdentity::Node(node))
}

/// Who made a connection, and between which addresses: what the services find in a request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub identity: PeerIdentity,
    /// From where.
    pub remote: SocketAddr,
    /// To which of this node's addresses.
    pub local: SocketAddr,
}
