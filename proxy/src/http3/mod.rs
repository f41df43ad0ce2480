//! HTTP/3 at the port of HTTPS, while the settings say so. Its requests go through the phases as all others do.

mod connection;
mod head;
mod session;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::ServerConfig;
use temps_http3::{Bounds, Caller, Port};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::connection_count::Admission;
use crate::limits::{
    H2_CONNECTION_WINDOW, H2_HEADER_BYTES_MAX, H2_STREAM_WINDOW, H2_STREAMS_MAX, H3_DRAIN_MAX,
    H3_HANDSHAKES_MAX, H3_HANDSHAKES_TRUSTING, H3_OPEN_FAILURES, H3_OPEN_PAUSE, H3_SEND_WINDOW,
    Limits,
};
use crate::listener::Listener;

/// What a connection may have: as much as one of HTTP/2.
const BOUNDS: Bounds = Bounds {
    requests_max: H2_STREAMS_MAX,
    header_bytes_max: H2_HEADER_BYTES_MAX,
    stream_window: H2_STREAM_WINDOW,
    connection_window: H2_CONNECTION_WINDOW,
    send_window: H3_SEND_WINDOW,
};

/// Takes HTTP/3.
pub(crate) struct Http3 {
    /// What it shares with the listeners of the other versions.
    pub(crate) listener: Arc<Listener>,
    pub(crate) tls: ServerConfig,
    /// Where HTTPS is.
    pub(crate) address: SocketAddr,
    /// Whether it listens.
    pub(crate) listens: Arc<AtomicBool>,
}

/// What the connections of one port have in common.
struct Hall {
    connections: TaskTracker,
    /// Cancelled when their clients should leave.
    leave: CancellationToken,
    handshakes: Arc<Semaphore>,
}

impl Http3 {
    /// Listens whenever the settings say so, until the edge stops.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut stop = self.listener.stop.clone();
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.wanted(true) => {}
            }
            if let Some(port) = self.open().await {
                self.attend(port).await;
            }
        }
    }

    /// Takes the port as soon as it is free; nothing once it is not wanted any more.
    async fn open(&self) -> Option<Port> {
        for failures in 1_u32.. {
            match Port::open(self.address, self.tls.clone(), BOUNDS) {
                Ok(port) => {
                    info!(address = %self.address, "the edge takes HTTP/3");
                    return Some(port);
                }
                // A process that this one follows lets go in a moment.
                Err(error) if failures == H3_OPEN_FAILURES => {
                    warn!(%error, "there is no HTTP/3 at this node: free the UDP port, or set edge.http3=false; it is tried again");
                }
                Err(error) => debug!(%error, "cannot take HTTP/3 yet"),
            }
            tokio::select! {
                () = sleep(H3_OPEN_PAUSE) => {}
                () = self.over() => return None,
            }
        }
        None
    }

    /// Takes connections until that is not wanted any more, and lets their requests end.
    async fn attend(self: &Arc<Self>, port: Port) {
        let hall = Hall {
            connections: TaskTracker::new(),
            leave: CancellationToken::new(),
            handshakes: Arc::new(Semaphore::new(H3_HANDSHAKES_MAX)),
        };
        self.listens.store(true, Ordering::Relaxed);
        self.listener.metrics.http3_listens.set(1);
        tokio::select! {
            () = self.take(&port, &hall) => error!("HTTP/3 broke down; it is begun again"),
            () = self.over() => {}
        }
        self.listens.store(false, Ordering::Relaxed);
        self.listener.metrics.http3_listens.set(0);
        hall.leave.cancel();
        hall.connections.close();
        tokio::select! {
            () = hall.connections.wait() => {}
            () = port.refuse() => {}
            () = sleep(H3_DRAIN_MAX) => {
                warn!(connections = hall.connections.len(), "cut HTTP/3 that did not end in time");
            }
        }
        port.close().await;
        info!("the edge takes no more HTTP/3");
    }

    async fn take(self: &Arc<Self>, port: &Port, hall: &Hall) {
        while let Some(caller) = port.next().await {
            self.admit(caller, hall);
        }
    }

    /// Begins a handshake, where there is room. The more are under way, the more must a caller do first.
    fn admit(self: &Arc<Self>, caller: Caller, hall: &Hall) {
        let free = hall.handshakes.available_permits();
        if !caller.is_proven() && free <= H3_HANDSHAKES_MAX - H3_HANDSHAKES_TRUSTING {
            return caller.prove();
        }
        let Ok(permit) = hall.handshakes.clone().try_acquire_owned() else {
            return caller.ignore();
        };
        let limits = self.listener.table.limits();
        if limits.proxy_protocol && limits.trusted.contains(caller.address().ip()) {
            // It must say for whom it comes, which QUIC has no place for.
            return caller.refuse();
        }
        // Who has shown the address counts already, so that no address has more handshakes than connections.
        let admission = match caller.is_proven().then(|| self.count(caller.address().ip(), &limits))
        {
            Some(None) => return caller.refuse(),
            counted => counted.flatten(),
        };
        let (http3, leave) = (self.clone(), hall.leave.clone());
        let served = async move { http3.greet(caller, permit, admission, leave).await };
        self.listener.tasks.spawn(hall.connections.track_future(served));
    }

    /// Counts a client's connection with those of the other versions, unless there are too many.
    fn count(&self, client: IpAddr, limits: &Limits) -> Option<Admission> {
        let counted = (!limits.trusted.contains(client)).then_some(client);
        let admission = self.listener.count.admit(counted, limits);
        if admission.is_none() {
            self.listener.metrics.connections_refused.inc();
            debug!(%client, "refused a connection: too many are open");
        }
        admission
    }

    /// Resolves once it should listen no more.
    async fn over(&self) {
        let mut stop = self.listener.stop.clone();
        tokio::select! {
            () = self.wanted(false) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Resolves once the settings say so.
    async fn wanted(&self, wanted: bool) {
        let mut changes = self.listener.table.changes();
        while self.listener.table.limits().http3 != wanted {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
