//! The port that other nodes call: connections come in, and show who they are.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use super::ALPN;
use super::bounds::Bounds;
use super::connection::Connection;
use crate::trust::{Caller, Trust, peer_of};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// How many connections may wait for the server to take them.
pub const BACKLOG: usize = 16;
/// How long the port pauses when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound port, before and while it accepts.
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Takes the port.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands on connections until nobody takes them any more. Whoever comes beyond a bound is dropped, not queued.
    pub async fn accept(
        self,
        trust: Arc<Trust>,
        connections: mpsc::Sender<io::Result<Connection>>,
    ) {
        let bounds = Bounds::new();
        while !connections.is_closed() {
            let Some((stream, remote)) = self.next().await else { continue };
            let Some((counted, turn)) = bounds.take(is_of_node(remote, &trust)) else {
                debug!(%remote, "too many connections to the peer port");
                continue;
            };
            let (trust, connections, bounds) = (trust.clone(), connections.clone(), bounds.clone());
            tokio::spawn(async move {
                let greeted = greet(stream, remote, &trust).await;
                drop(turn);
                let Some((stream, caller)) = greeted else { return };
                let Some(connection) = bounds.admit(stream, caller, counted) else { return };
                // Once the server has ended, so has the connection.
                let _ = connections.send(Ok(connection)).await;
            });
        }
    }

    async fn next(&self) -> Option<(TcpStream, SocketAddr)> {
        match self.listener.accept().await {
            Ok(accepted) => Some(accepted),
            Err(error) => {
                warn!(%error, "the peer port cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// Whether a connection comes from where a node is. That lets nobody in; it only decides whom it can crowd out.
fn is_of_node(remote: SocketAddr, trust: &Trust) -> bool {
    let from = remote.ip().to_canonical();
    let applied = trust.applied();
    applied.nodes.values().any(|node| node.address.is_some_and(|at| at.ip().to_canonical() == from))
}

async fn greet(
    stream: TcpStream,
    remote: SocketAddr,
    trust: &Trust,
) -> Option<(TlsStream<TcpStream>, Caller)> {
    match timeout(HANDSHAKE_TIMEOUT, handshake(stream, remote, trust)).await {
        Ok(Ok(greeted)) => Some(greeted),
        Ok(Err(error)) => {
            debug!(%remote, %error, "a peer connection was refused");
            None
        }
        Err(_) => {
            debug!(%remote, "a handshake with the peer port took too long");
            None
        }
    }
}

async fn handshake(
    stream: TcpStream,
    remote: SocketAddr,
    trust: &Trust,
) -> io::Result<(TlsStream<TcpStream>, Caller)> {
    let local = stream.local_addr()?;
    stream.set_nodelay(true)?;
    let stream = TlsAcceptor::from(trust.server(ALPN)).accept(stream).await?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let identity = peer_of(certificates).ok_or(io::ErrorKind::PermissionDenied)?;
    Ok((stream, Caller { identity, remote, local }))
}
