//! How the edge connects to replicas: by TCP to those of this node, by a [`Reach`] to those of others. What it opened it
//! can also end.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::ext::set_tcp_keepalive;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::VirtualSocketStream;
use pingora_core::upstreams::peer::{Tracer, Tracing};
use pingora_core::{Error, ErrorType};
use temps_state::{NodeId, ReplicaId};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::limits::{CONNECT_MAX, KEEPALIVE, REACH_MAX};
use crate::line_stream::LineStream;
use crate::reach::{Duplex, Reach};

/// The kind of error when the replica's node cannot be reached, so that nothing is known of the replica.
pub(crate) const NODE_UNREACHABLE: ErrorType = ErrorType::Custom("NodeUnreachable");

/// Where a replica listens. Nodes number their containers alike, so an address alone says little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The node that runs it.
    pub(crate) node: NodeId,
    /// Its address there.
    pub(crate) addr: SocketAddr,
}

/// What all lines of an edge share.
pub(crate) struct Connector {
    /// The node that the edge belongs to.
    pub(crate) node: NodeId,
    /// The way to the others.
    pub(crate) reach: Arc<dyn Reach>,
}

/// The way to one replica. All connections made over it end when it is cut.
#[derive(Debug)]
pub(crate) struct Line {
    /// The replica.
    pub(crate) replica: ReplicaId,
    /// Where it listens.
    pub(crate) place: Place,
    connector: Arc<Connector>,
    cut: CancellationToken,
}

impl Line {
    /// A line without connections.
    pub(crate) fn new(connector: Arc<Connector>, replica: ReplicaId, place: Place) -> Self {
        Self { replica, place, connector, cut: CancellationToken::new() }
    }

    /// Whether the replica runs on this node.
    pub(crate) fn is_local(&self) -> bool {
        self.place.node == self.connector.node
    }

    /// Ends its connections, and lets none be made.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Ends when the line is cut.
    pub(crate) async fn until_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Whether the replica takes a connection now.
    pub(crate) async fn answers(&self) -> bool {
        if self.is_local() { self.dial().await.is_ok() } else { self.reach().await.is_ok() }
    }

    async fn open(&self) -> io::Result<Stream> {
        if self.is_local() {
            return revocable(self.dial().await?, &self.cut);
        }
        Ok(self.tied(self.reach().await?))
    }

    async fn open_upgradable(&self) -> io::Result<Stream> {
        if !self.is_local() {
            return self.open().await;
        }
        let stream = self.dial().await?;
        stream.set_nodelay(true)?;
        set_tcp_keepalive(&stream, &KEEPALIVE).map_err(io::Error::other)?;
        Ok(self.tied(Box::new(stream)))
    }

    fn tied(&self, stream: Box<dyn Duplex>) -> Stream {
        VirtualSocketStream::new(Box::new(LineStream::new(stream, self.cut.clone()))).into()
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        timeout(CONNECT_MAX, TcpStream::connect(self.place.addr)).await?
    }

    async fn reach(&self) -> io::Result<Box<dyn Duplex>> {
        timeout(REACH_MAX, self.connector.reach.open(self.place.node, self.replica)).await?
    }

    fn failure(&self, error: io::Error) -> Box<Error> {
        let what = match error.kind() {
            io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut if !self.is_local() => {
                NODE_UNREACHABLE
            }
            io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
            io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
            _ => ErrorType::ConnectError,
        };
        Error::because(what, format!("connecting to {}", self.place), error)
    }
}

#[async_trait]
impl Connect for Line {
    async fn connect(&self, _: &PingoraAddr) -> Result<Stream, Box<Error>> {
        self.open().await.map_err(|error| self.failure(error))
    }
}

/// The same way, for requests that may turn into another protocol. Its connections serve one request each.
#[derive(Debug)]
pub(crate) struct Upgradable(pub(crate) Arc<Line>);

#[async_trait]
impl Connect for Upgradable {
    async fn connect(&self, _: &PingoraAddr) -> Result<Stream, Box<Error>> {
        self.0.open_upgradable().await.map_err(|error| self.0.failure(error))
    }
}

/// A connection that ends when the line is cut. Pingora needs the real socket to use it for more than one request, so a
/// second descriptor of it waits for the cut, for as long as Pingora has the first.
fn revocable(stream: TcpStream, cut: &CancellationToken) -> io::Result<Stream> {
    let handle = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
    let over = cut.child_token();
    let mut stream = Stream::from(stream);
    stream.tracer = Some(Tracer(Box::new(InUse(Arc::new(over.clone().drop_guard())))));
    tokio::spawn(async move {
        over.cancelled().await;
        // Where Pingora dropped the first, there is nothing left to end.
        let _ = handle.shutdown(Shutdown::Both);
    });
    Ok(stream)
}

/// Rides on a connection and is dropped with it.
#[derive(Debug, Clone)]
struct InUse(#[expect(dead_code, reason = "it acts when dropped")] Arc<DropGuard>);

impl Tracing for InUse {
    fn on_connected(&self) {}

    fn on_disconnected(&self) {}

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(self.clone())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on node {}", self.addr, self.node)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connector of node {}", self.node)
    }
}
