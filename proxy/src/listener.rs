//! Accepts connections and serves them until the edge stops.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::ext::set_tcp_keepalive;
use pingora_proxy::HttpProxy;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::connection::{Connection, Next};
use crate::connection_count::{Admission, ConnectionCount};
use crate::error_page::{Fault, Page};
use crate::http2::Http2;
use crate::limits::{KEEPALIVE, Limits};
use crate::live_table::LiveTable;
use crate::metrics::Metrics;
use crate::overtime::bounded;
use crate::phases::Phases;
use crate::seat::Seat;
use crate::tls::CHALLENGE_PROTOCOL;
use crate::{proxy_protocol, request};

/// How long to wait when the system gives no more connections, as when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long an idle connection is kept once the edge stops: a request may be on its way already. It is answered, and its
/// answer says that it was the last (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);

/// What all listeners of an edge share.
pub(crate) struct Listener {
    pub(crate) proxy: Arc<HttpProxy<Phases>>,
    pub(crate) table: Arc<LiveTable>,
    pub(crate) count: Arc<ConnectionCount>,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskTracker,
    /// Becomes true when the edge stops.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Listener {
    /// Accepts until the edge stops. With `tls`, every connection begins with a handshake.
    pub(crate) async fn accept(self: Arc<Self>, socket: TcpListener, tls: Option<TlsAcceptor>) {
        let mut stop = self.stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, client)) => self.admit(stream, client, tls.clone()),
                Err(error) => {
                    warn!(%error, "cannot accept connections; is the limit of open files too low?");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, client: SocketAddr, tls: Option<TlsAcceptor>) {
        let limits = self.table.limits();
        let proxied = self.is_proxied(&stream, client, &limits);
        let counted = (!proxied).then(|| client.ip());
        let Some(admission) = self.count.admit(counted, &limits) else {
            self.metrics.connections_refused.inc();
            debug!(%client, "refused a connection: too many are open");
            return;
        };
        self.metrics.connections.inc();
        let _ = stream.set_nodelay(true);
        let _ = set_tcp_keepalive(&stream, &KEEPALIVE);
        let (listener, stop) = (self.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let seat = admission.seat();
            let opened = Opened { stream, client, admission };
            let begun = async {
                let opened = match proxied && limits.proxy_protocol {
                    true => listener.introduce(opened, &limits).await?,
                    false => opened,
                };
                handshake(opened, tls, &limits, stop).await
            };
            let connection = tokio::select! {
                connection = begun => connection,
                () = seat.lost() => None,
            };
            let Some(connection) = connection else { return };
            if bounded(&limits, listener.serve(connection, &seat)).await.is_none() {
                debug!(%client, "ended a connection whose last answer took too long");
            }
        });
    }

    /// Whether a connection is that of a proxy which is believed about its clients. Containers that ask each other are
    /// not.
    fn is_proxied(&self, stream: &TcpStream, client: SocketAddr, limits: &Limits) -> bool {
        limits.trusted.contains(client.ip())
            && stream.local_addr().is_ok_and(|door| !self.table.load().inside.is_door(door))
    }

    /// Hears from a proxy whom it speaks for.
    async fn introduce(&self, opened: Opened, limits: &Limits) -> Option<Opened> {
        let Opened { mut stream, client, admission } = opened;
        match proxy_protocol::read(&mut stream, limits.header_time_max).await {
            Ok(None) => Some(Opened { stream, client, admission }),
            Ok(Some(client)) => match admission.on_behalf_of(client.ip(), limits) {
                Some(admission) => Some(Opened { stream, client, admission }),
                None => {
                    self.metrics.connections_refused.inc();
                    debug!(%client, "refused a connection: too many are open");
                    None
                }
            },
            Err(fault) => {
                let stop = self.stop.clone();
                self.refuse(Connection::plain(stream, client, admission, stop), &fault).await;
                None
            }
        }
    }

    /// Serves one request after the other, while the connection has its seat.
    async fn serve(&self, connection: Connection, seat: &Seat) {
        let mut connection = Box::new(connection);
        let mut stops = pin!(stops(self.stop.clone()).fuse());
        loop {
            let limits = self.table.limits();
            let next = tokio::select! {
                biased;
                next = connection.next_head(&limits) => next,
                () = linger(stops.as_mut()) => return,
                () = seat.lost() => return,
            };
            // Until a request is whole, nothing is under way.
            if !matches!(next, Next::H2(_)) {
                seat.work();
            }
            match next {
                Next::Nothing => return,
                Next::Refuse(fault) => return self.refuse(*connection, &fault).await,
                Next::H2(flooded) => {
                    let http2 = Http2 { proxy: self.proxy.clone(), stop: self.stop.clone() };
                    return http2.serve(*connection, flooded, seat, &limits).await;
                }
                Next::Request => {
                    let last = connection.is_spent(&limits) || seat.is_lost();
                    match self.serve_http1(connection, last).await {
                        Some(reused) => connection = reused,
                        None => return,
                    }
                }
            }
            seat.rest();
        }
    }

    /// Serves one HTTP/1 request, perhaps the last; gives the connection back where it can take another.
    async fn serve_http1(
        &self,
        connection: Box<Connection>,
        last: bool,
    ) -> Option<Box<Connection>> {
        let mut session = ServerSession::new_http1(connection);
        session.set_keepalive(Some(0));
        session.set_keepalive_reuses_remaining(last.then_some(0));
        let reused = self.proxy.process_new_http(session, &self.stop).await?;
        let (stream, _) = reused.consume();
        stream.into_any().downcast().ok()
    }

    async fn refuse(&self, connection: Connection, fault: &Fault) {
        let id = request::fresh_id();
        debug!(request_id = id, code = fault.code(), ?fault, "refused a request's head");
        self.metrics.answered(fault.status());
        connection.refuse(Page::new(fault, &id, "").to_http1(&id).as_bytes()).await;
    }
}

/// A connection of which nothing was read, or what a proxy says of its client.
struct Opened {
    stream: TcpStream,
    client: SocketAddr,
    admission: Admission,
}

async fn handshake(
    opened: Opened,
    tls: Option<TlsAcceptor>,
    limits: &Limits,
    stop: watch::Receiver<bool>,
) -> Option<Connection> {
    let Opened { stream, client, admission } = opened;
    let Some(tls) = tls else {
        return Some(Connection::plain(stream, client, admission, stop));
    };
    match timeout(limits.header_time_max, tls.accept(stream)).await {
        Ok(Ok(mut stream)) if stream.get_ref().1.alpn_protocol() == Some(CHALLENGE_PROTOCOL) => {
            // The certificate was the answer; nothing is spoken (RFC 8737 §3).
            let _ = timeout(limits.header_time_max, stream.shutdown()).await;
            None
        }
        Ok(Ok(stream)) => Some(Connection::tls(stream, client, admission, stop)),
        Ok(Err(error)) => {
            debug!(%client, %error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            debug!(%client, "a TLS handshake took too long");
            None
        }
    }
}

/// Resolves when the edge begins to stop.
async fn stops(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Resolves a while after the edge has begun to stop, or after now if it has.
async fn linger(mut stops: Pin<&mut impl FusedFuture<Output = ()>>) {
    if !stops.is_terminated() {
        stops.as_mut().await;
    }
    tokio::time::sleep(LINGER).await;
}

/// Pingora's name for a boxed connection; here so that the compiler checks that ours is one.
const _: fn(Connection) -> Stream = |connection| Box::new(connection);
