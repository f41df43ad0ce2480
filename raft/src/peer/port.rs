//! The port that other nodes call: connections in, with a bound on each of their stages.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use super::ALPN;
use crate::trust::{Caller, PeerIdentity, Trust, peer_of};

/// How many connections there may be.
const CONNECTIONS_MAX: usize = 2048;
/// How many of them may be in their handshake: from addresses of nodes, and from all others. So strangers that never end
/// theirs keep no node out.
const HANDSHAKES_MAX: usize = 64;
/// How many of them may be of whoever shows a join token, and how long each may last.
const JOINERS_MAX: usize = 16;
const JOINER_TIMEOUT: Duration = Duration::from_secs(60);
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

/// A connection whose other end is known.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    end: Option<Pin<Box<Sleep>>>,
    _counted: Counted,
}

/// What a connection takes of the bounds, for as long as it lasts.
struct Counted {
    _connection: OwnedSemaphorePermit,
    _joiner: Option<OwnedSemaphorePermit>,
}

/// How many more of everything there may be. Clones share it.
#[derive(Clone)]
struct Bounds {
    connections: Arc<Semaphore>,
    nodes: Arc<Semaphore>,
    others: Arc<Semaphore>,
    joiners: Arc<Semaphore>,
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
            let handshakes = bounds.handshakes(is_of_node(remote, &trust));
            let (Some(counted), Some(turn)) = (take(&bounds.connections), take(handshakes)) else {
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

impl Bounds {
    fn new() -> Self {
        let room = |max| Arc::new(Semaphore::new(max));
        Self {
            connections: room(CONNECTIONS_MAX),
            nodes: room(HANDSHAKES_MAX),
            others: room(HANDSHAKES_MAX),
            joiners: room(JOINERS_MAX),
        }
    }

    fn handshakes(&self, of_node: bool) -> &Arc<Semaphore> {
        if of_node { &self.nodes } else { &self.others }
    }

    /// A joiner has less time and room than a node.
    fn admit(
        &self,
        stream: TlsStream<TcpStream>,
        caller: Caller,
        connection: OwnedSemaphorePermit,
    ) -> Option<Connection> {
        let is_joiner = matches!(caller.identity, PeerIdentity::Token(_));
        let joiner = is_joiner.then(|| take(&self.joiners));
        if let Some(None) = joiner {
            debug!(remote = %caller.remote, "too many machines join at once");
            return None;
        }
        let end = is_joiner.then(|| Box::pin(sleep(JOINER_TIMEOUT)));
        let counted = Counted { _connection: connection, _joiner: joiner.flatten() };
        Some(Connection { stream, caller, end, _counted: counted })
    }
}

fn take(from: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    from.clone().try_acquire_owned().ok()
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

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(end) = &mut self.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
