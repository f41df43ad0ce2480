//! One connection to another node.

use std::{io, sync::Arc};

use quinn::{Connection, RecvStream, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::AsyncWriteExt,
    sync::OwnedSemaphorePermit,
    time::{interval, timeout},
};

use crate::{
    config::MeshTls,
    core::{Close, Core},
    header::{self, Asked},
    incoming::{Arrival, Offer},
    limits::{HEADER_WITHIN, RECHECK_EVERY},
    shield::{broken, drop_after, shield},
    stream::MeshStream,
};

/// A connection whose other end is known to be `node`.
pub(crate) struct Link {
    pub(crate) node: u64,
    /// `None` only while being dropped.
    connection: Option<Connection>,
    certs: Vec<CertificateDer<'static>>,
    /// One more reference for each stream that is open here.
    counted: Arc<()>,
    _permit: OwnedSemaphorePermit,
}

impl Link {
    /// Finds out who is at the other end. `None` when it is nobody we know; the caller closes it.
    pub(crate) fn identify(
        tls: &dyn MeshTls,
        connection: &Connection,
        permit: OwnedSemaphorePermit,
    ) -> Option<Self> {
        let certs = *connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let node = tls.node_of(&certs)?;
        let connection = Some(connection.clone());
        Some(Self { node, connection, certs, counted: Arc::new(()), _permit: permit })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.call(|connection| connection.close_reason().is_none()).unwrap_or(false)
    }

    /// Packets that came from the peer so far.
    pub(crate) fn received(&self) -> u64 {
        self.call(|connection| connection.stats().udp_rx.datagrams).unwrap_or(0)
    }

    pub(crate) fn close(&self, why: Close) {
        self.call(|connection| why.of(connection));
    }

    /// A new stream. Waits while the peer's cap of streams is reached.
    pub(crate) async fn open(&self) -> io::Result<MeshStream> {
        let connection = self.connection.as_ref().ok_or_else(broken)?;
        let halves = shield(|| connection.open_bi()).ok_or_else(broken)?;
        Ok(self.stream(halves.await?))
    }

    /// Takes the peer's streams until the connection ends.
    pub(crate) async fn serve(self: Arc<Self>, core: Arc<Core>) {
        let mut recheck = interval(RECHECK_EVERY);
        loop {
            tokio::select! {
                accepted = self.accept() => match accepted {
                    Ok(stream) => drop(core.tasks.spawn(receive(core.clone(), stream))),
                    Err(error) => break tracing::debug!(node = self.node, %error, "connection ended"),
                },
                _ = recheck.tick() => self.recheck(&core),
                () = core.stopping.cancelled() => break self.close(Close::Stopping),
            }
        }
        core.peers.forget(&self);
    }

    async fn accept(&self) -> io::Result<MeshStream> {
        let connection = self.connection.as_ref().ok_or_else(broken)?;
        Ok(self.stream(connection.accept_bi().await?))
    }

    /// Closes the connection when the node was removed, and when nobody uses or would use it.
    fn recheck(&self, core: &Core) {
        if core.tls.node_of(&self.certs) != Some(self.node) {
            tracing::info!(
                node = self.node,
                "closing the connection of a node that is no longer one of us"
            );
            self.close(Close::Stranger);
        } else if Arc::strong_count(&self.counted) == 1 && !core.peers.knows(self) {
            self.close(Close::Superseded);
        }
    }

    fn stream(&self, halves: (SendStream, RecvStream)) -> MeshStream {
        MeshStream::new(self.node, halves, self.counted.clone())
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
