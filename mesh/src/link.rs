//! One connection to another node.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use quinn::{Connection, RecvStream, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::AsyncWriteExt,
    sync::OwnedSemaphorePermit,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use crate::{
    config::MeshTls,
    core::{Close, Core},
    header::{self, Asked},
    incoming::{Arrival, Offer},
    limits::{HEADER_WITHIN, LISTEN_EVERY, RECHECK_EVERY},
    port::Port,
    shield::{broken, drop_after, shield},
    silence::{Silence, is_refused},
    stream::MeshStream,
};

/// A connection whose other end is known to be `node`.
pub(crate) struct Link {
    pub(crate) node: u64,
    /// `None` only while being dropped.
    connection: Option<Connection>,
    certs: Vec<CertificateDer<'static>>,
    pub(crate) port: Arc<Port>,
    /// One reference for each stream that is open here.
    streams: TaskTracker,
    retired: CancellationToken,
    /// Whether the node has come from another port since, as it does when its process is followed by another.
    superseded: AtomicBool,
    _counted: TaskTrackerToken,
    _permit: OwnedSemaphorePermit,
}

impl Link {
    /// Finds out who is at the other end. `None` when it is nobody we know; the caller closes it.
    pub(crate) fn identify(
        tls: &dyn MeshTls,
        connection: &Connection,
        port: &Arc<Port>,
        permit: OwnedSemaphorePermit,
    ) -> Option<Self> {
        let certs = *connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let node = tls.node_of(&certs)?;
        let streams = TaskTracker::new();
        streams.close();
        Some(Self {
            node,
            connection: Some(connection.clone()),
            certs,
            port: port.clone(),
            streams,
            retired: CancellationToken::new(),
            superseded: AtomicBool::new(false),
            _counted: port.links.token(),
            _permit: permit,
        })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.call(|connection| connection.close_reason().is_none()).unwrap_or(false)
    }

    /// Where the other end is now.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.call(Connection::remote_address)
    }

    pub(crate) fn supersede(&self) {
        self.superseded.store(true, Ordering::Relaxed);
    }

    /// Whether streams go elsewhere, where they can.
    pub(crate) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Relaxed)
    }

    /// Packets that came from the peer so far.
    pub(crate) fn received(&self) -> u64 {
        self.call(|connection| connection.stats().udp_rx.datagrams).unwrap_or(0)
    }

    pub(crate) fn close(&self, why: Close) {
        self.call(|connection| why.of(connection));
    }

    /// Nobody will open streams here any more. The connection is closed once it has none.
    pub(crate) fn retire(&self) {
        self.retired.cancel();
    }

    /// How many streams are under way, whoever opened them.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether no stream is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// A new stream. Waits while the peer's cap of streams is reached.
    pub(crate) async fn open(&self) -> io::Result<MeshStream> {
        let connection = self.connection.as_ref().ok_or_else(broken)?;
        let halves = shield(|| connection.open_bi()).ok_or_else(broken)?;
        Ok(self.stream(halves.await?))
    }

    /// Takes the peer's streams until the connection ends. It is closed here and nowhere else for being idle: no stream
    /// can have come in between looking and closing.
    pub(crate) async fn serve(self: Arc<Self>, core: Arc<Core>) {
        let mut recheck = interval(RECHECK_EVERY);
        let (mut listen, mut silence) = (interval(LISTEN_EVERY), Silence::begin(Instant::now()));
        listen.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = core.stopping.cancelled() => break self.close(Close::Stopping),
                () = self.unused() => if self.is_idle() {
                    break self.close(Close::Superseded);
                },
                _ = recheck.tick() => self.recheck(&core),
                _ = listen.tick() => if silence.is_long(self.received(), Instant::now()) && !self.is_idle() {
                    core.tasks.spawn(self.clone().probe(core.clone()));
                },
                accepted = self.accept() => match accepted {
                    Ok(stream) => drop(core.tasks.spawn(receive(core.clone(), stream))),
                    Err(error) => break tracing::debug!(node = self.node, %error, "connection ended"),
                },
            }
        }
        core.peers.forget(&self);
    }

    /// Closes the connection if the peer's process is gone: what waits for an answer there need not wait on.
    async fn probe(self: Arc<Self>, core: Arc<Core>) {
        let (Some(address), received) = (core.tls.address(self.node), self.received()) else {
            return;
        };
        if is_refused(address).await && self.received() == received {
            tracing::debug!(node = self.node, "the node is silent, and nobody listens there");
            self.close(Close::Gone);
        }
    }

    async fn accept(&self) -> io::Result<MeshStream> {
        let connection = self.connection.as_ref().ok_or_else(broken)?;
        Ok(self.stream(connection.accept_bi().await?))
    }

    /// Completes when no stream is under way and none will be opened here.
    async fn unused(&self) {
        self.retired.cancelled().await;
        self.streams.wait().await;
    }

    /// Closes the connection when the node was removed.
    fn recheck(&self, core: &Core) {
        if core.tls.node_of(&self.certs) != Some(self.node) {
            tracing::info!(
                node = self.node,
                "closing the connection of a node that is no longer one of us"
            );
            self.close(Close::Stranger);
        }
    }

    fn stream(&self, halves: (SendStream, RecvStream)) -> MeshStream {
        MeshStream::new(self.node, halves, self.streams.token())
    }

    fn call<T>(&self, call: impl FnOnce(&Connection) -> T) -> Option<T> {
        let connection = self.connection.as_ref()?;
        shield(|| call(connection))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop_after(connection, |connection| drop(connection.close_reason()));
        }
    }
}

/// Reads where a stream wants to go and offers it. A stream that does not say so properly is reset by being dropped.
async fn receive(core: Arc<Core>, mut stream: MeshStream) {
    let node = stream.node();
    match timeout(HEADER_WITHIN, header::read(&mut stream)).await {
        Ok(Ok(asked)) => offer(&core, asked, stream).await,
        Ok(Err(error)) => tracing::debug!(node, %error, "closed a stream with a bad header"),
        Err(_) => tracing::debug!(node, "closed a stream whose header did not come"),
    }
}

async fn offer(core: &Core, asked: Asked, mut stream: MeshStream) {
    let from = stream.node();
    if stream.write_u8(header::HEARD).await.is_err() {
        return;
    }
    let offer = Offer::new(stream);
    let target = match asked {
        Asked::For(target) => target,
        Asked::Unknown => return offer.refuse("this node does not know such targets").await,
    };
    // `Full` and `Closed` say the same to the peer: not here, not now.
    if let Err(error) = core.arrivals.try_send(Arrival { from, target, stream: offer }) {
        error.into_inner().stream.refuse("this node takes no streams now").await;
    }
}
