//! A UDP port and what speaks QUIC on it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::{
    MeshError,
    config::{self, MeshTls},
    core::Close,
    limits::FREED_WITHIN,
    socket::Socket,
};

/// Where connections begin and end. Replaced by another when its endpoint breaks, and when the node steps aside.
pub(crate) struct Port {
    pub(crate) endpoint: Endpoint,
    /// One reference for each link that is here.
    pub(crate) links: TaskTracker,
    socket: Arc<Socket>,
    listens: bool,
}

impl Port {
    /// Takes the port, for connections both ways. Needs a Tokio runtime.
    pub(crate) fn listen(address: SocketAddr, tls: &dyn MeshTls) -> Result<Self, MeshError> {
        Self::build(Socket::bind(address)?, Some(tls))
    }

    /// The same port with a new endpoint.
    pub(crate) fn again(&self, tls: &dyn MeshTls) -> Result<Self, MeshError> {
        Self::build(self.socket.again()?, self.listens.then_some(tls))
    }

    /// One on the same address that nobody knows and nobody can connect to.
    pub(crate) fn beside(&self) -> Result<Self, MeshError> {
        Self::build(self.socket.beside()?, None)
    }

    /// Whether others can connect to it.
    pub(crate) fn listens(&self) -> bool {
        self.listens
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.address()
    }

    /// Ends all connections here, waits up to `within` for the peers to hear it, and frees the port.
    pub(crate) async fn close(&self, within: Duration) {
        self.endpoint.close(Close::Stopping.code(), b"");
        let _ = timeout(within, self.endpoint.wait_idle()).await;
        self.give_up();
        if timeout(FREED_WITHIN, self.socket.freed()).await.is_err() {
            tracing::warn!(address = %self.address(), "the system is slow to take a UDP port back");
        }
    }

    /// Leaves the socket to a port that was built from this one.
    pub(crate) fn give_up(&self) {
        self.socket.give_up();
    }

    fn build(socket: Arc<Socket>, server: Option<&dyn MeshTls>) -> Result<Self, MeshError> {
        let listens = server.is_some();
        let server = server.map(config::server).transpose()?;
        let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        let endpoint = Endpoint::new_with_abstract_socket(config, server, socket.clone(), runtime)
            .map_err(MeshError::Setup)?;
        let links = TaskTracker::new();
        links.close();
        Ok(Self { endpoint, links, socket, listens })
    }
}
