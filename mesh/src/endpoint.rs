//! Connections out, connections in, and the port they use: building it again when it breaks, leaving it for another.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{Connection, ConnectionError, TransportErrorCode};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    MeshError, config,
    core::{Close, Core},
    limits::{
        DIAL_WITHIN, HANDSHAKE_WITHIN, HANDSHAKES_MAX, HANDSHAKES_TRUSTING, REBUILD_PAUSE,
        RENEW_EVERY, STOP_WITHIN,
    },
    link::Link,
    peer::Peers,
    port::Port,
};

/// Sent by who accepted a connection, on a stream of its own, once it knows who connected. Without it the dialler
/// could not tell an open door from a certificate still being looked at. The version of what follows.
const GREETING: &[u8] = b"1";
/// The alert of TLS that says that a certificate is valid and its owner may not come in (RFC 8446 §6.2).
const ACCESS_DENIED: u8 = 49;

/// Takes connections until the mesh stops or leaves the port. An endpoint that breaks is replaced on the same port.
pub(crate) async fn run(core: Arc<Core>, mut port: Arc<Port>) {
    loop {
        // A task of its own: should it panic, the endpoint is as good as broken.
        let _ = core.tasks.spawn(listen(core.clone(), port.clone())).await;
        if core.stopping.is_cancelled() || !core.uses(&port) {
            return;
        }
        tracing::error!("the endpoint for other nodes broke; building it again");
        // They hear nothing any more.
        core.peers.close(&port, Close::Broken);
        match rebuild(&core, &port).await {
            Some(new) => port = new,
            None => return,
        }
    }
}

/// Tries until it succeeds or the port is of no use any more.
async fn rebuild(core: &Core, broken: &Arc<Port>) -> Option<Arc<Port>> {
    while core.uses(broken) {
        tokio::select! {
            () = sleep(REBUILD_PAUSE) => {}
            () = core.stopping.cancelled() => return None,
        }
        match broken.again(&*core.tls).map(Arc::new) {
            Ok(port) => {
                broken.give_up();
                return core.replace(broken, &port).then_some(port);
            }
            Err(error) => tracing::error!(%error, "cannot build the endpoint again yet"),
        }
    }
    None
}

/// Returns when the mesh stops or the endpoint is of no use any more.
async fn listen(core: Arc<Core>, port: Arc<Port>) {
    loop {
        tokio::select! {
            incoming = port.endpoint.accept() => match incoming {
                Some(incoming) => admit(&core, &port, incoming),
                None => return,
            },
            () = core.stopping.cancelled() => return,
        }
    }
}

/// Moves on to a port that nobody can connect to, if that has not been done.
pub(crate) fn step_aside(core: &Arc<Core>, within: Duration) -> Result<(), MeshError> {
    loop {
        let port = core.port.load_full();
        if !port.listens() {
            return Ok(());
        }
        let new = Arc::new(port.beside()?);
        if core.replace(&port, &new) {
            core.tasks.spawn(run(core.clone(), new));
            core.tasks.spawn(leave(core.clone(), port, within));
            return Ok(());
        }
    }
}

/// Empties a port that is not used for new connections any more, and frees it. Who connects to it meanwhile is let in
/// and moved on like the others.
async fn leave(core: Arc<Core>, port: Arc<Port>, within: Duration) {
    let _aside = core.aside.clone().drop_guard();
    let deadline = Instant::now() + within;
    let emptied = async {
        loop {
            // Again, for a node that did not answer may do so later.
            Peers::renew(&core).await;
            let pause = deadline.min(Instant::now() + RENEW_EVERY);
            if timeout_at(pause, port.links.wait()).await.is_ok() || pause == deadline {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = core.stopping.cancelled() => {}
        () = emptied => {}
    }
    port.close(STOP_WITHIN).await;
}

/// Begins a handshake with whoever it is, if there is room.
fn admit(core: &Arc<Core>, port: &Arc<Port>, incoming: quinn::Incoming) {
    let free = core.handshakes.available_permits();
    if !incoming.remote_address_validated() && free <= HANDSHAKES_MAX - HANDSHAKES_TRUSTING {
        // Fails only for an address that is proven, which was just asked.
        let _ = incoming.retry();
        return;
    }
    let Ok(handshake) = core.handshakes.clone().try_acquire_owned() else {
        return incoming.ignore();
    };
    let Ok(permit) = core.connections.clone().try_acquire_owned() else {
        return incoming.refuse();
    };
    let accepting = accept(core.clone(), port.clone(), incoming, permit);
    core.tasks.spawn(async move {
        if timeout(HANDSHAKE_WITHIN, accepting).await.is_err() {
            tracing::debug!("a handshake took too long");
        }
        drop(handshake);
    });
}

async fn accept(
    core: Arc<Core>,
    port: Arc<Port>,
    incoming: quinn::Incoming,
    permit: OwnedSemaphorePermit,
) {
    let remote = incoming.remote_address();
    match greet(&core, &port, incoming, permit).await {
        Ok(Some(link)) => {
            let node = link.node;
            tracing::debug!(node, %remote, "a node has connected");
            Peers::add(&core, link);
            if !core.uses(&port) {
                core.peers.get(node).renew(&core, node).await;
            }
        }
        Ok(None) => tracing::debug!(%remote, "turned a stranger away"),
        Err(error) => tracing::debug!(%remote, %error, "a handshake failed"),
    }
}

/// Finishes the handshake and tells the dialler that it is known.
async fn greet(
    core: &Core,
    port: &Arc<Port>,
    incoming: quinn::Incoming,
    permit: OwnedSemaphorePermit,
) -> io::Result<Option<Link>> {
    let config = config::server(&*core.tls).map_err(io::Error::other)?;
    let connection = incoming.accept_with(Arc::new(config))?.await?;
    let Some(link) = Link::identify(&*core.tls, &connection, port, permit) else {
        Close::Stranger.of(&connection);
        return Ok(None);
    };
    let mut greeting = connection.open_uni().await?;
    greeting.write_all(GREETING).await?;
    greeting.finish()?;
    Ok(Some(link))
}

/// Connects to a node and makes sure that it is the one, and that it lets us in.
pub(crate) async fn dial(core: &Core, node: u64, address: SocketAddr) -> Result<Link, MeshError> {
    timeout(DIAL_WITHIN, connect(core, node, address))
        .await
        .map_err(|_| MeshError::Silent { node })?
}

async fn connect(core: &Core, node: u64, address: SocketAddr) -> Result<Link, MeshError> {
    let permit = core.connections.clone().try_acquire_owned();
    let permit = permit.map_err(|_| MeshError::TooMany { what: "connections", node })?;
    let config = config::client(&*core.tls, node)?;
    let port = core.port.load_full();
    let connecting = port
        .endpoint
        .connect_with(config, address, &config::server_name(node))
        .map_err(|source| MeshError::Dial { node, address, source })?;
    let connection =
        connecting.await.map_err(|source| MeshError::Connect { node, address, source })?;
    let link =
        Link::identify(&*core.tls, &connection, &port, permit).filter(|link| link.node == node);
    let Some(link) = link else {
        Close::WrongNode.of(&connection);
        return Err(MeshError::WrongNode { node, address });
    };
    match hear_greeting(&connection).await {
        Ok(()) => Ok(link),
        Err(_) => {
            let source = connection.close_reason().unwrap_or(ConnectionError::LocallyClosed);
            Close::Garbled.of(&connection);
            match says_no(&source) {
                true => Err(MeshError::NotAdmitted { node, address, source }),
                false => Err(MeshError::Connect { node, address, source }),
            }
        }
    }
}

/// Whether a peer knows who we are and does not let us in. That a clock is wrong, so that a certificate is not valid yet or
/// no longer, is something else (RFC 8446 §6.2, RFC 9001 §4.8).
fn says_no(reason: &ConnectionError) -> bool {
    match reason {
        ConnectionError::ConnectionClosed(close) => {
            close.error_code == TransportErrorCode::crypto(ACCESS_DENIED)
        }
        ConnectionError::ApplicationClosed(close) => close.error_code == Close::Stranger.code(),
        _ => false,
    }
}

async fn hear_greeting(connection: &Connection) -> io::Result<()> {
    let mut greeting = connection.accept_uni().await?;
    let heard = greeting.read_to_end(GREETING.len()).await.map_err(io::Error::other)?;
    if heard != GREETING {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a greeting"));
    }
    Ok(())
}
