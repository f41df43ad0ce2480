//! What all parts of a running mesh share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use quinn::{Connection, VarInt};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::MeshTls,
    incoming::Arrival,
    limits::{ARRIVALS_MAX, CONNECTIONS_MAX, HANDSHAKES_MAX},
    peer::Peers,
    port::Port,
};

/// Why this side closes a connection, as the peer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The node stops.
    Stopping = 0,
    /// The certificate is nobody's.
    Stranger = 1,
    /// The certificate is not that of the node addressed.
    WrongNode = 2,
    /// The nodes have a better connection.
    Superseded = 3,
    /// The greeting was not understood.
    Garbled = 4,
    /// This side's endpoint broke.
    Broken = 5,
    /// The peer is silent, and nobody listens on its port.
    Gone = 6,
}

impl Close {
    pub(crate) fn of(self, connection: &Connection) {
        connection.close(self.code(), b"");
    }

    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }
}

/// Shared by the handle and the tasks. Lives until the tasks have ended.
pub(crate) struct Core {
    pub(crate) tls: Arc<dyn MeshTls>,
    /// Where new connections begin.
    pub(crate) port: ArcSwap<Port>,
    pub(crate) peers: Peers,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) handshakes: Arc<Semaphore>,
    /// The port that others know is free.
    pub(crate) aside: CancellationToken,
    pub(crate) stopping: CancellationToken,
    /// After `stopping`: no connection is left.
    pub(crate) ended: CancellationToken,
    /// Those that take streams, one for each connection.
    pub(crate) links: TaskTracker,
    pub(crate) tasks: TaskTracker,
}

impl Core {
    pub(crate) fn new(tls: Arc<dyn MeshTls>, port: Arc<Port>) -> (Self, mpsc::Receiver<Arrival>) {
        let (arrivals, arrived) = mpsc::channel(ARRIVALS_MAX);
        let links = TaskTracker::new();
        links.close();
        let core = Self {
            tls,
            port: ArcSwap::new(port),
            peers: Peers::default(),
            arrivals,
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            aside: CancellationToken::new(),
            stopping: CancellationToken::new(),
            ended: CancellationToken::new(),
            links,
            tasks: TaskTracker::new(),
        };
        (core, arrived)
    }

    /// Whether new connections begin there.
    pub(crate) fn uses(&self, port: &Arc<Port>) -> bool {
        Arc::ptr_eq(&self.port.load(), port)
    }

    /// Uses another port from now on; `false` when somebody else was faster.
    pub(crate) fn replace(&self, port: &Arc<Port>, by: &Arc<Port>) -> bool {
        Arc::ptr_eq(&self.port.compare_and_swap(port, by.clone()), port)
    }

    /// Tells when the mesh has ended. Streams must not be turned away before: their openers are to see a connection
    /// that closes, for then they look for another way.
    pub(crate) async fn end(self: Arc<Self>) {
        self.stopping.cancelled().await;
        self.links.wait().await;
        self.ended.cancel();
    }
}
