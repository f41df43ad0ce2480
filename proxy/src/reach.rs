//! How replicas of other nodes are reached: by what the node gives the edge.

use std::fmt::Debug;
use std::io;

use futures::future::BoxFuture;
use temps_state::{NodeId, ReplicaId};
use tokio::io::{AsyncRead, AsyncWrite};

/// A two-way stream of octets that is not a socket of this machine. What is written must go out without a delay that
/// waits for more.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug + 'static> Duplex for T {}

/// Opens streams to replicas of other nodes.
pub trait Reach: Send + Sync + 'static {
    /// A new stream to where `replica`, which `node` runs, takes connections. Nothing but the app's own octets flows
    /// over it. The edge gives up by itself after a few seconds. An error means that nothing was sent to the app;
    /// `HostUnreachable` that the node itself could not be reached.
    fn open(&self, node: NodeId, replica: ReplicaId) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>>;
}

/// Reaches no other node: the edge of a node that is alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Reach for Nowhere {
    fn open(&self, node: NodeId, _: ReplicaId) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>> {
        let error = io::Error::new(
            io::ErrorKind::HostUnreachable,
            format!("this node does not reach others, so not node {node}"),
        );
        Box::pin(std::future::ready(Err(error)))
    }
}
