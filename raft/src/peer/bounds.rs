//! How many connections the peer port takes, with a bound on each of their stages.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::connection::Connection;
use crate::trust::{Caller, PeerIdentity};

/// How many connections there may be.
const CONNECTIONS_MAX: usize = 2048;
/// How many of them may be in their handshake: from addresses of nodes, and from all others. So strangers that never end
/// theirs keep no node out.
const HANDSHAKES_MAX: usize = 64;
/// How many of them may be of whoever shows a join token, and how long each may last.
const JOINERS_MAX: usize = 16;
const JOINER_TIMEOUT: Duration = Duration::from_secs(60);

/// How many more of everything there may be. Clones share it.
#[derive(Clone)]
pub struct Bounds {
    connections: Arc<Semaphore>,
    nodes: Arc<Semaphore>,
    others: Arc<Semaphore>,
    joiners: Arc<Semaphore>,
}

/// What a connection takes of the bounds, for as long as it lasts.
pub struct Counted {
    _connection: OwnedSemaphorePermit,
    _joiner: Option<OwnedSemaphorePermit>,
}

impl Bounds {
    /// Room for everything.
    pub fn new() -> Self {
        let room = |max| Arc::new(Semaphore::new(max));
        Self {
            connections: room(CONNECTIONS_MAX),
            nodes: room(HANDSHAKES_MAX),
            others: room(HANDSHAKES_MAX),
            joiners: room(JOINERS_MAX),
        }
    }

    /// Room for one more connection, and for its handshake, among those of nodes or of all others.
    pub fn take(&self, of_node: bool) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let handshakes = if of_node { &self.nodes } else { &self.others };
        take(&self.connections).zip(take(handshakes))
    }

    /// A joiner has less time and room than a node.
    pub fn admit(
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
        Some(Connection::new(stream, caller, end, counted))
    }
}

fn take(from: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    from.clone().try_acquire_owned().ok()
}
