//! The handle: opens streams to other nodes.

use std::{fmt, io, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::DropGuard;

use crate::{
    config::MeshConfig,
    core::Core,
    endpoint,
    error::MeshError,
    header::{self, Answer, Target},
    incoming::Incoming,
    limits::{ANSWER_WITHIN, REACH_WITHIN, STOP_WITHIN},
    link::Link,
    port::Port,
    stream::MeshStream,
};

/// A node's streams to all others. Cheap to clone; the last clone dropped ends it.
#[derive(Clone)]
pub struct Mesh {
    core: Arc<Core>,
    address: SocketAddr,
    _stop: Arc<DropGuard>,
}

impl Mesh {
    /// Takes the UDP port and begins to accept connections. Must be called within a Tokio runtime.
    pub fn bind(config: MeshConfig) -> Result<(Self, Incoming), MeshError> {
        Handle::try_current().map_err(|error| MeshError::Setup(io::Error::other(error)))?;
        let port = Arc::new(Port::listen(config.listen, &*config.tls)?);
        let address = port.address();
        let (core, arrived) = Core::new(config.tls, port.clone());
        let core = Arc::new(core);
        core.tasks.spawn(endpoint::run(core.clone(), port));
        core.tasks.spawn(core.clone().end());
        let incoming = Incoming::new(arrived, core.ended.clone());
        let _stop = Arc::new(core.stopping.clone().drop_guard());
        Ok((Self { core, address, _stop }, incoming))
    }

    /// Opens a stream to a target on another node, connecting first if need be. Fails within [`REACH_WITHIN`] when
    /// the node is dead, and within [`ANSWER_WITHIN`] more when it is alive but does not decide; it begins anew, once,
    /// when the node closes the connection before it has decided. A failed stream has carried no data: trying elsewhere
    /// is safe.
    pub async fn open(&self, node: u64, target: Target) -> Result<MeshStream, MeshError> {
        let header = target.encode()?;
        let opening = async {
            match self.ask(node, &header).await {
                Err(MeshError::Lost { .. }) => self.ask(node, &header).await,
                outcome => outcome,
            }
        };
        AssertUnwindSafe(opening).catch_unwind().await.unwrap_or(Err(MeshError::Broken { node }))
    }

    /// The address it listens on, with the port that was chosen if none was asked for. Another process may have it
    /// after [`step_aside`](Self::step_aside).
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Leaves the UDP port to a successor, another process with the same certificate; on return the port is free.
    ///
    /// Streams still go both ways, over connections that this node makes at once, from another port of the same
    /// address, to every node that is connected. Streams under way go on until they end, at most `within`; if they end
    /// before, so does the wait. Nodes that are not connected do not find this one afterwards. May be called again, and
    /// then waits for the same. Fails, and changes nothing, when there is no other port.
    pub async fn step_aside(&self, within: Duration) -> Result<(), MeshError> {
        endpoint::step_aside(&self.core, within)?;
        self.core.aside.cancelled().await;
        Ok(())
    }

    /// Gives up each connection there is as soon as it has no streams, which moves the peers' next streams to the
    /// node's other process, if it has one. Returns when none is left, after `within` at the latest.
    pub async fn drain(&self, within: Duration) {
        self.core.peers.forget_all();
        let _ = timeout(within, self.core.links.wait()).await;
    }

    /// Ends all streams and connections, tells the peers, and frees the port. Streams that matter should have ended
    /// before: see [`drain`](Self::drain). A stream that a peer is just opening is opened anew by it elsewhere.
    pub async fn stop(&self) {
        self.core.stopping.cancel();
        self.core.tasks.close();
        self.core.port.load_full().close(STOP_WITHIN).await;
        let _ = timeout(STOP_WITHIN, self.core.tasks.wait()).await;
    }

    /// A stream that was accepted.
    async fn ask(&self, node: u64, header: &[u8]) -> Result<MeshStream, MeshError> {
        answered(node, self.reach(node, header).await?).await
    }

    /// A stream whose header was heard. A connection that turns out to be lost is replaced once.
    async fn reach(&self, node: u64, header: &[u8]) -> Result<MeshStream, MeshError> {
        let deadline = Instant::now() + REACH_WITHIN;
        match self.try_reach(node, header, deadline).await {
            Err(MeshError::Lost { .. }) => self.try_reach(node, header, deadline).await,
            outcome => outcome,
        }
    }

    async fn try_reach(
        &self,
        node: u64,
        header: &[u8],
        deadline: Instant,
    ) -> Result<MeshStream, MeshError> {
        let peer = self.core.peers.get(node);
        let silent = MeshError::Silent { node };
        let Ok(link) = timeout_at(deadline, peer.link(&self.core, node)).await else {
            return Err(silent);
        };
        let link = link?;
        let received = link.received();
        let outcome = knock(&link, header, deadline).await;
        let useless = match outcome {
            Err(MeshError::Lost { .. }) => true,
            // A node that is merely slow still acknowledges what it gets.
            Err(MeshError::Silent { .. }) => link.received() == received,
            _ => false,
        };
        if useless {
            peer.forget(&link);
        }
        outcome
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Opens a stream in a connection, and waits until the peer has read the header.
async fn knock(link: &Link, header: &[u8], deadline: Instant) -> Result<MeshStream, MeshError> {
    let node = link.node;
    let Ok(opened) = timeout_at(deadline, link.open()).await else {
        return Err(MeshError::TooMany { what: "streams", node });
    };
    let mut stream = opened.map_err(|source| MeshError::Lost { node, source })?;
    let heard = async {
        stream.write_all(header).await?;
        stream.read_u8().await
    };
    match timeout_at(deadline, heard).await {
        Err(_) => Err(MeshError::Silent { node }),
        Ok(Ok(header::HEARD)) => Ok(stream),
        Ok(Ok(_)) => Err(broken_off(node, io::Error::other("the node speaks another language"))),
        Ok(Err(source)) => Err(broken_off(node, source)),
    }
}

/// Waits for the decision.
async fn answered(node: u64, mut stream: MeshStream) -> Result<MeshStream, MeshError> {
    match timeout(ANSWER_WITHIN, header::read_answer(&mut stream)).await {
        Err(_) => Err(MeshError::Silent { node }),
        Ok(Ok(Answer::Accepted)) => Ok(stream),
        Ok(Ok(Answer::Refused(reason))) => Err(MeshError::Refused { node, reason }),
        Ok(Err(source)) => Err(broken_off(node, source)),
    }
}

/// Tells a lost connection from a stream that the peer ended.
fn broken_off(node: u64, source: io::Error) -> MeshError {
    match source.kind() {
        io::ErrorKind::NotConnected => MeshError::Lost { node, source },
        _ => MeshError::Dropped { node, source },
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, sync::Arc, time::Duration};

    use quinn::VarInt;
    use tokio::time::timeout;

    use crate::{
        common::{Cluster, echo_node, reached_again, reaches},
        header::Target,
        limits::STALLED_STREAMS_MAX,
    };

    #[tokio::test]
    async fn an_endpoint_that_ended_is_built_again_on_the_same_port() {
        let cluster = Cluster::new();
        let (one, two) = (echo_node(&cluster, 1), echo_node(&cluster, 2));
        assert!(reaches(&one, 2).await);
        two.core.port.load().endpoint.close(VarInt::from_u32(0), b"");
        reached_again(&one, 2, Duration::from_secs(3)).await;
        reached_again(&two, 1, Duration::from_secs(3)).await;
    }

    #[tokio::test]
    async fn streams_go_where_the_node_came_from_last_also_where_many_are_open() {
        let cluster = Cluster::new();
        let (one, two) = (echo_node(&cluster, 1), echo_node(&cluster, 2));
        let held = one.open(2, Target::Api).await.unwrap();
        let before = one.core.peers.get(2).live().unwrap();
        let leaves = two.clone();
        let left = tokio::spawn(async move { leaves.step_aside(Duration::from_secs(60)).await });
        let moved = async {
            while one.core.peers.get(2).live().is_none_or(|link| Arc::ptr_eq(&link, &before)) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(5), moved).await.unwrap();
        let mut open = Vec::new();
        for _ in 0..STALLED_STREAMS_MAX + 8 {
            open.push(one.open(2, Target::Api).await.unwrap());
        }
        assert_eq!(before.streams(), 1, "but for the one that was there");
        drop(held);
        timeout(Duration::from_secs(5), left)
            .await
            .expect("nothing else held it")
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn an_endpoint_that_ended_after_stepping_aside_leaves_the_port_alone() {
        let cluster = Cluster::new();
        let (one, two) = (echo_node(&cluster, 1), echo_node(&cluster, 2));
        assert!(reaches(&one, 2).await);
        two.step_aside(Duration::from_secs(1)).await.unwrap();
        let beside = two.core.port.load_full();
        beside.endpoint.close(VarInt::from_u32(0), b"");
        reached_again(&two, 1, Duration::from_secs(3)).await;
        assert!(reaches(&one, 2).await, "over the connection that the other made");
        assert_eq!(two.core.port.load().address(), beside.address());
        UdpSocket::bind(two.local_addr()).unwrap();
    }
}
