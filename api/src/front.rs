//! The API's TCP port: accepts connections, no more than there is room for, and closes those that nobody is behind.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::places::Places;
use crate::relay::Duplex;

/// How many connections the API holds open at once, where as many files may be open.
pub const API_CONNECTIONS_MAX: usize = 2_048;
/// How long a client may take for the head of its first request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take for the head of each next one. Longer than clients keep a connection that they do not use.
const NEXT_WITHIN: Duration = Duration::from_secs(120);
/// How long to wait when the system gives no more connections, as when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// After how much silence the system asks whether a client's machine is there, and how often.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES_MAX: u32 = 3;
/// How long a client's machine may leave what was sent to it unacknowledged, or take none of it.
const UNTAKEN_MAX: Duration = Duration::from_secs(60);
/// Bits of an IPv6 address that count as one client: the largest network that is given to one customer.
const SITE_BITS: u32 = 48;

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For the head of the first request.
    head: Duration,
    /// For that of each next one.
    next: Duration,
}

/// Serves routes to whoever connects.
pub(crate) struct Front {
    router: Router,
    places: Arc<Places<IpAddr>>,
    patience: Patience,
}

impl Front {
    /// Serves `router` on no more than so many connections at once.
    pub fn new(router: Router, connections_max: usize) -> Self {
        let patience = Patience { head: HEAD_WITHIN, next: NEXT_WITHIN };
        Self { router, places: Places::new(connections_max), patience }
    }

    /// Answers on `listener` until `stop`, then ends what is under way.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let clients = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, client)) => self.admit(stream, client, &clients, &stop),
                Err(error) => {
                    warn!(%error, "the API cannot accept connections; is the limit of open files too low?");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        clients.close();
        clients.wait().await;
    }

    fn admit(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        clients: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Some(place) = self.places.take(site_of(client.ip())) else {
            debug!(%client, "refused a connection to the API: too many are open");
            return;
        };
        if let Err(error) = watch_over(&stream) {
            debug!(%client, %error, "whether a client of the API is there will not be asked");
        }
        // What a connection is upgraded to keeps its place, too.
        let stream = InspectReader::new(stream, move |_: &[u8]| {
            let _held = &place;
        });
        let (router, patience, stop) = (self.router.clone(), self.patience, stop.clone());
        clients.spawn(async move { converse(router, stream, client, patience, stop).await });
    }
}

/// Answers one request after the other.
async fn converse(
    router: Router,
    stream: impl Duplex,
    client: SocketAddr,
    patience: Patience,
    stop: CancellationToken,
) {
    let asked = Arc::new(Notify::new());
    let silent = never_asks(Arc::clone(&asked), patience.head);
    let router = TowerToHyperService::new(router);
    // Login limits and the audit log need the client's address.
    let service = service_fn(move |mut request: Request<Incoming>| {
        asked.notify_one();
        request.extensions_mut().insert(ConnectInfo(client));
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience.next);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let (mut connection, mut silent) = (pin!(connection), pin!(silent));
    let mut stopping = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => {
                if let Err(error) = served {
                    debug!(%client, %error, "a connection to the API ended early");
                }
                return;
            }
            () = silent.as_mut() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Done if no request comes in time.
async fn never_asks(asked: Arc<Notify>, within: Duration) {
    if timeout(within, asked.notified()).await.is_ok() {
        pending().await
    }
}

/// Whose share a connection takes. Those from this machine, such as what its edge passes on, may be anybody's.
fn site_of(client: IpAddr) -> Option<IpAddr> {
    match client.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => {
            let site = address.to_bits() & (u128::MAX << (128 - SITE_BITS));
            Some(Ipv6Addr::from_bits(site).into())
        }
        address => Some(address),
    }
}

/// Has the system end a connection whose client went away without a word.
fn watch_over(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, PROBES_MAX)?;
    let untaken = u32::try_from(UNTAKEN_MAX.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(stream, untaken)?)
}

#[cfg(test)]
mod tests;
