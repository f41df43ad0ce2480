//! Streams between nodes: this node's ways to the others, and what it does with streams that others open to it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ServerConfig};
use temps_api::{ApiHandle, Nodes};
use temps_mesh::{
    Arrival, Incoming, Mesh, MeshConfig, MeshError, MeshStream, MeshTls, Offer, Target,
};
use temps_proxy::{Duplex, LocalEndpoints, Reach};
use temps_raft::{Cluster, PeerTls};
use temps_state::{NodeId, Observed, ReplicaId, State};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

/// How long a replica of this node may take to take a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A connection on which nothing moves for so long is over; it may take twice as long to find out. The edge at the
/// other end is stricter.
const IDLE_MAX: Duration = Duration::from_secs(3_600);
/// How many nodes are connected to at once by a process that follows another.
const GREETED_AT_ONCE: usize = 32;
/// What is held of a connection on its way, each way, in octets.
const BUFFER_BYTES: usize = 16 << 10;

/// The ways to other nodes.
#[derive(Debug, Clone)]
pub struct Peers {
    mesh: Mesh,
}

impl Peers {
    /// Takes the peer port for streams, with the certificates that the cluster knows nodes by.
    pub fn bind(listen: SocketAddr, tls: PeerTls) -> Result<(Self, Incoming), MeshError> {
        let (mesh, incoming) = Mesh::bind(MeshConfig { listen, tls: Arc::new(Papers(tls)) })?;
        Ok((Self { mesh }, incoming))
    }

    /// Leaves the peer port to a successor; it is free on return. Streams go on over other connections; those under way
    /// have up to `within` to end. See [`Mesh::step_aside`].
    pub async fn step_aside(&self, within: Duration) -> Result<(), MeshError> {
        self.mesh.step_aside(within).await
    }

    /// Lets streams end, and has other nodes open theirs to the successor. Returns after `within` at the latest.
    pub async fn drain(&self, within: Duration) {
        self.mesh.drain(within).await;
    }

    /// Ends every stream.
    pub async fn stop(&self) {
        self.mesh.stop().await;
    }

    /// Connects to every other node, so that they open their streams to this process and not to the one before. Returns
    /// once each has answered, or is not there.
    pub async fn greet(&self, state: &State, here: NodeId) {
        let others = state.nodes.keys().filter(|node| **node != here);
        let asked = others.map(|node| self.admission(*node));
        futures::stream::iter(asked).buffer_unordered(GREETED_AT_ONCE).count().await;
    }

    /// What another node says to this one's wish to connect; `None` when it says nothing.
    pub async fn admission(&self, node: NodeId) -> Option<Admission> {
        match self.mesh.open(node.0, Target::Api).await {
            Ok(_) => Some(Admission::Granted),
            Err(MeshError::NotAdmitted { .. }) => Some(Admission::Refused),
            Err(_) => None,
        }
    }

    async fn open(&self, node: NodeId, target: Target) -> io::Result<MeshStream> {
        self.mesh.open(node.0, target).await.map_err(|error| match error.is_unreachable() {
            true => io::Error::new(io::ErrorKind::HostUnreachable, error),
            false => io::Error::other(error),
        })
    }
}

/// Whether another node lets this one in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It does.
    Granted,
    /// It does not: to its knowledge, this node does not belong to the cluster.
    Refused,
}

impl Nodes for Peers {
    fn open(&self, node: NodeId) -> BoxFuture<'_, io::Result<Box<dyn temps_api::Duplex>>> {
        Box::pin(async move {
            let stream = self.open(node, Target::Api).await?;
            Ok(Box::new(stream) as Box<dyn temps_api::Duplex>)
        })
    }
}

impl Reach for Peers {
    fn open(&self, node: NodeId, replica: ReplicaId) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            let stream = self.open(node, Target::Replica(replica.to_string())).await?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

/// Certificates and addresses, as the mesh asks for them.
struct Papers(PeerTls);

impl MeshTls for Papers {
    fn server(&self) -> Arc<ServerConfig> {
        self.0.server(&[])
    }

    fn client(&self, node: u64) -> Arc<ClientConfig> {
        self.0.client(NodeId(node), &[])
    }

    fn node_of(&self, certificates: &[CertificateDer<'static>]) -> Option<u64> {
        self.0.node_of(certificates).map(|node| node.0)
    }

    fn address(&self, node: u64) -> Option<SocketAddr> {
        self.0.address(NodeId(node))
    }
}

/// What streams from other nodes may reach.
#[derive(Clone)]
pub struct Desk {
    /// The API.
    pub api: ApiHandle,
    /// What the cluster agrees on.
    pub cluster: Cluster,
    /// Where this node's replicas listen, as it sees them itself.
    pub local: watch::Receiver<LocalEndpoints>,
}

impl Desk {
    /// Takes streams until the mesh stops. Their number is bounded by the mesh.
    pub async fn serve(self, mut incoming: Incoming) {
        while let Some(arrival) = incoming.next().await {
            tokio::spawn(self.clone().take(arrival));
        }
    }

    async fn take(self, Arrival { from, target, stream }: Arrival) {
        let taken = match target {
            Target::Api => match stream.accept().await {
                Ok(stream) => {
                    self.api.serve_peer(stream, NodeId(from)).await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Target::Replica(id) => self.connect(&id, stream).await,
        };
        if let Err(error) = taken {
            debug!(node = from, %error, "a stream of another node ended early");
        }
    }

    /// Connects the stream to a replica, which is reached before the stream is accepted.
    async fn connect(&self, id: &str, offer: Offer) -> io::Result<()> {
        let Some(endpoint) = id.parse().ok().and_then(|id| self.endpoint(id)) else {
            offer.refuse("the replica takes no connections on this node").await;
            return Ok(());
        };
        let connected = timeout(CONNECT_WITHIN, TcpStream::connect(endpoint)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match connected {
            Err(error) => {
                offer.refuse(&format!("the replica takes no connection: {error}")).await;
                Err(error)
            }
            Ok(replica) => {
                replica.set_nodelay(true)?;
                carry(offer.accept().await?, replica).await
            }
        }
    }

    /// Where a replica of this node listens. What the state says is older, and holds only until the node has looked: the
    /// engine may have given the address to another container since.
    fn endpoint(&self, id: ReplicaId) -> Option<SocketAddr> {
        if let Some(seen) = &*self.local.borrow() {
            return seen.get(&id).copied();
        }
        let state = self.cluster.state();
        let replica = state.replicas.get(&id).filter(|r| r.node == self.cluster.node_id())?;
        match replica.observed {
            Observed::Healthy { endpoint } => Some(endpoint),
            _ => None,
        }
    }
}

/// Carries octets both ways until both ends have ended, one breaks, or nothing moves any more.
async fn carry(far: impl Wire, near: impl Wire) -> io::Result<()> {
    let moved = Arc::new(AtomicBool::new(true));
    let mut far = Watched { stream: far, moved: moved.clone() };
    let mut near = Watched { stream: near, moved: moved.clone() };
    let idle = async {
        while moved.swap(false, Ordering::Relaxed) {
            sleep(IDLE_MAX).await;
        }
    };
    tokio::select! {
        carried = copy_bidirectional_with_sizes(&mut far, &mut near, BUFFER_BYTES, BUFFER_BYTES) => carried.map(drop),
        () = idle => Err(io::ErrorKind::TimedOut.into()),
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// A stream that tells when something moves on it.
struct Watched<S> {
    stream: S,
    moved: Arc<AtomicBool>,
}

impl<S: Wire> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.moved.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: Wire> AsyncWrite for Watched<S> {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn octets_go_both_ways_and_each_way_ends_by_itself() {
        let ((mut far, far_end), (mut near, near_end)) = (duplex(64), duplex(64));
        let carrying = tokio::spawn(carry(far_end, near_end));
        far.write_all(b"ask").await.unwrap();
        far.shutdown().await.unwrap();
        let mut asked = String::new();
        near.read_to_string(&mut asked).await.unwrap();
        near.write_all(b"answer").await.unwrap();
        near.shutdown().await.unwrap();
        let mut answered = String::new();
        far.read_to_string(&mut answered).await.unwrap();
        assert_eq!((asked.as_str(), answered.as_str()), ("ask", "answer"));
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends() {
        let ((_far, far_end), (_near, near_end)) = (duplex(64), duplex(64));
        let ended = carry(far_end, near_end).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
