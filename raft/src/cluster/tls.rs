//! How nodes know each other, for connections that are not calls of this crate.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ServerConfig};
use temps_state::NodeId;

use crate::peer::Peers;
use crate::trust::{PeerIdentity, Trust, peer_of};

/// Certificates and addresses of the nodes. Clones share them.
#[derive(Debug, Clone)]
pub struct PeerTls {
    trust: Arc<Trust>,
    peers: Arc<Peers>,
}

impl PeerTls {
    pub(super) fn new(trust: Arc<Trust>, peers: Arc<Peers>) -> Self {
        Self { trust, peers }
    }

    /// How this node takes connections in one of the protocols.
    pub fn server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        self.trust.server(alpn)
    }

    /// How this node connects to another one; fails if it reaches anybody else.
    pub fn client(&self, node: NodeId, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        self.trust.client(node, alpn)
    }

    /// Where a node is, if that is known.
    pub fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.peers.address(node)
    }

    /// The node with these certificates, if it belongs to the cluster still. They were checked in the handshake.
    pub fn node_of(&self, certificates: &[CertificateDer<'_>]) -> Option<NodeId> {
        match peer_of(certificates)? {
            PeerIdentity::Node(node) if self.trust.belongs(node) => Some(node),
            _ => None,
        }
    }
}
