//! What a mesh is told at the start, and the TLS settings it makes of that.

use std::{net::SocketAddr, sync::Arc};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    client::Resumption,
    pki_types::{CertificateDer, ServerName},
    quic,
    server::{NoServerSessionStorage, ServerConfig},
};

use crate::{
    MeshError,
    limits::{self, HANDSHAKE_BYTES_MAX, HANDSHAKES_MAX},
};

/// What two ends of a connection must agree on to understand each other.
pub const ALPN: &[u8] = b"temps-mesh/1";

/// How to build a [`Mesh`](crate::Mesh).
pub struct MeshConfig {
    /// UDP address to listen on and to send from.
    pub listen: SocketAddr,
    /// Who this node is and whom it trusts.
    pub tls: Arc<dyn MeshTls>,
}

/// Who this node is, whom it trusts, and where others are. Asked anew for every connection, so that renewed
/// certificates and changed members count at once. Must answer from memory: it is called in async tasks.
pub trait MeshTls: Send + Sync + 'static {
    /// For peers that connect: this node's certificate, TLS 1.3, and a demand for the peer's certificate.
    /// ALPN, tickets and early data are set by the mesh.
    fn server(&self) -> Arc<ServerConfig>;
    /// For connecting to `node`: this node's certificate, TLS 1.3, and a verifier that accepts only that node.
    /// The verifier must not rely on the server name, which is always `node-<id>`.
    fn client(&self, node: u64) -> Arc<rustls::ClientConfig>;
    /// Whose certificate this is, leaf first. `None` when it is nobody's, or of a node that was removed: asked at the
    /// handshake and every two seconds of a connection's life, and a connection whose answer changes is closed.
    fn node_of(&self, certs: &[CertificateDer<'static>]) -> Option<u64>;
    /// Where the node listens for the mesh. `None` when there is no such node.
    fn address(&self, node: u64) -> Option<SocketAddr>;
}

/// Settings for connections that come in.
pub(crate) fn server(tls: &dyn MeshTls) -> Result<quinn::ServerConfig, MeshError> {
    let mut crypto = ServerConfig::clone(&tls.server());
    crypto.alpn_protocols = vec![ALPN.to_vec()];
    crypto.max_early_data_size = 0;
    // A resumed session would skip the check of the peer's certificate.
    crypto.send_tls13_tickets = 0;
    crypto.session_storage = Arc::new(NoServerSessionStorage {});
    let crypto = Arc::new(crypto);
    // quinn panics, with its endpoint locked, where this fails.
    quic::ServerConnection::new(crypto.clone(), quic::Version::V1, vec![])?;
    let crypto = QuicServerConfig::try_from(crypto).map_err(MeshError::Cipher)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(limits::transport())
        .migration(false)
        .max_incoming(HANDSHAKES_MAX)
        .incoming_buffer_size(HANDSHAKE_BYTES_MAX / HANDSHAKES_MAX as u64)
        .incoming_buffer_size_total(HANDSHAKE_BYTES_MAX);
    Ok(config)
}

/// Settings for a connection to `node`.
pub(crate) fn client(tls: &dyn MeshTls, node: u64) -> Result<quinn::ClientConfig, MeshError> {
    let mut crypto = rustls::ClientConfig::clone(&tls.client(node));
    crypto.alpn_protocols = vec![ALPN.to_vec()];
    crypto.enable_early_data = false;
    crypto.resumption = Resumption::disabled();
    let crypto = Arc::new(crypto);
    let name = ServerName::try_from(server_name(node)).expect("letters, a hyphen and digits");
    // As for the server.
    quic::ClientConnection::new(crypto.clone(), quic::Version::V1, name, vec![])?;
    let crypto = QuicClientConfig::try_from(crypto).map_err(MeshError::Cipher)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(limits::transport());
    Ok(config)
}

/// The name under which a node is asked for in the handshake.
pub(crate) fn server_name(node: u64) -> String {
    format!("node-{node}")
}
