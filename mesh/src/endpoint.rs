//! The UDP socket and what speaks QUIC on it: connections out, connections in, and building it again when it breaks.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use quinn::{Connection, Endpoint, EndpointConfig, TokioRuntime};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};

use crate::{
    MeshError,
    config::{self, MeshTls},
    core::{Close, Core},
    limits::{
        DIAL_WITHIN, HANDSHAKE_WITHIN, HANDSHAKES_MAX, HANDSHAKES_TRUSTING, REBUILD_PAUSE,
        SOCKET_BUFFER,
    },
    link::Link,
    peer::Peers,
};

/// Sent by who accepted a connection, on a stream of its own, once it knows who connected. Without it the dialler
/// could not tell an open door from a certificate still being looked at. The version of what follows.
const GREETING: &[u8] = b"1";

/// Takes the port, with buffers as large as the system allows.
pub(crate) fn bind(address: SocketAddr) -> Result<UdpSocket, MeshError> {
    let socket = UdpSocket::bind(address).map_err(|source| MeshError::Bind { address, source })?;
    enlarge(&socket);
    Ok(socket)
}

/// Best effort: small buffers cost speed, not correctness. Only a privileged process may exceed the system's limit.
fn enlarge(socket: &UdpSocket) {
    use rustix::net::sockopt;
    let received = sockopt::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER));
    let sent = sockopt::set_socket_send_buffer_size_force(socket, SOCKET_BUFFER)
        .or_else(|_| sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER));
    if let Err(error) = received.and(sent) {
        tracing::debug!(%error, "the mesh's socket keeps the system's default buffers");
    }
}

/// An endpoint on (a copy of) the socket. Needs a Tokio runtime.
pub(crate) fn build(socket: &UdpSocket, tls: &dyn MeshTls) -> Result<Endpoint, MeshError> {
    let socket = socket.try_clone().map_err(MeshError::Setup)?;
    let server = Some(config::server(tls)?);
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))
        .map_err(MeshError::Setup)
}

/// Takes connections until the mesh stops. An endpoint that breaks is replaced on the same socket.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let endpoint = Endpoint::clone(&core.endpoint.load());
        let listening = core.tasks.spawn(listen(core.clone(), endpoint));
        if listening.await.is_ok() && core.stopping.is_cancelled() {
            return;
        }
        tracing::error!("the endpoint for other nodes broke; building it again");
        // They hear nothing any more.
        core.peers.close(Close::Broken);
        sleep(REBUILD_PAUSE).await;
        match build(&core.socket, &*core.tls) {
            Ok(endpoint) => core.endpoint.store(Arc::new(endpoint)),
            Err(error) => tracing::error!(%error, "cannot build the endpoint again yet"),
        }
    }
}

/// Returns when the mesh stops or the endpoint is of no use any more.
async fn listen(core: Arc<Core>, endpoint: Endpoint) {
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => admit(&core, incoming),
                None => return,
            },
            () = core.stopping.cancelled() => return,
        }
    }
}

/// Begins a handshake with whoever it is, if there is room.
fn admit(core: &Arc<Core>, incoming: quinn::Incoming) {
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
    let accepting = accept(core.clone(), incoming, permit);
    core.tasks.spawn(async move {
        if timeout(HANDSHAKE_WITHIN, accepting).await.is_err() {
            tracing::debug!("a handshake took too long");
        }
        drop(handshake);
    });
}

async fn accept(core: Arc<Core>, incoming: quinn::Incoming, permit: OwnedSemaphorePermit) {
    let remote = incoming.remote_address();
    match greet(&core, incoming, permit).await {
        Ok(Some(link)) => {
            tracing::debug!(node = link.node, %remote, "a node has connected");
            Peers::add(&core, link);
        }
        Ok(None) => tracing::debug!(%remote, "turned a stranger away"),
        Err(error) => tracing::debug!(%remote, %error, "a handshake failed"),
    }
}

/// Finishes the handshake and tells the dialler that it is known.
async fn greet(
    core: &Core,
    incoming: quinn::Incoming,
    permit: OwnedSemaphorePermit,
) -> io::Result<Option<Link>> {
    let config = config::server(&*core.tls).map_err(io::Error::other)?;
    let connection = incoming.accept_with(Arc::new(config))?.await?;
    let Some(link) = Link::identify(&*core.tls, &connection, permit) else {
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
    let endpoint = core.endpoint.load_full();
    let connecting = endpoint
        .connect_with(config, address, &config::server_name(node))
        .map_err(|source| MeshError::Dial { node, address, source })?;
    let connection =
        connecting.await.map_err(|source| MeshError::Connect { node, address, source })?;
    let link = Link::identify(&*core.tls, &connection, permit).filter(|link| link.node == node);
    let Some(link) = link else {
        Close::WrongNode.of(&connection);
        return Err(MeshError::WrongNode { node, address });
    };
    match hear_greeting(&connection).await {
        Ok(()) => Ok(link),
        Err(source) => {
            Close::Garbled.of(&connection);
            let source = connection.close_reason().map_or(source, io::Error::from);
            Err(MeshError::NotAdmitted { node, address, source })
        }
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

/// Tells all peers that this node stops, and waits a little for them to hear it.
pub(crate) async fn close(endpoint: &Endpoint, within: Duration) {
    endpoint.close(Close::Stopping.code(), b"");
    let _ = timeout(within, endpoint.wait_idle()).await;
}
