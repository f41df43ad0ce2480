//! What all parts of a running mesh share.

use std::{net::UdpSocket, sync::Arc};

use arc_swap::ArcSwap;
use quinn::{Connection, Endpoint, VarInt};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::MeshTls,
    incoming::Arrival,
    limits::{ARRIVALS_MAX, CONNECTIONS_MAX, HANDSHAKES_MAX},
    peer::Peers,
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
    /// A second handle on the endpoint's socket, so that a new endpoint can take it over.
    pub(crate) socket: UdpSocket,
    pub(crate) endpoint: ArcSwap<Endpoint>,
    pub(crate) peers: Peers,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Core {
    pub(crate) fn new(
        tls: Arc<dyn MeshTls>,
        socket: UdpSocket,
        endpoint: Endpoint,
    ) -> (Self, mpsc::Receiver<Arrival>) {
        let (arrivals, arrived) = mpsc::channel(ARRIVALS_MAX);
        let core = Self {
            tls,
            socket,
            endpoint: ArcSwap::from_pointee(endpoint),
            peers: Peers::default(),
            arrivals,
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        (core, arrived)
    }
}
