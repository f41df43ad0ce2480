//! Accepts connections and serves them until the edge stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
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
use crate::limits::{
    H2_CONNECTION_WINDOW, H2_HEADER_BYTES_MAX, H2_STREAM_WINDOW, H2_STREAMS_MAX, KEEPALIVE, Limits,
};
use crate::live_table::LiveTable;
use crate::metrics::Metrics;
use crate::phases::Phases;
use crate::request;
use crate::tls::CHALLENGE_PROTOCOL;

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
        let Some(admission) = self.count.admit(client.ip(), &limits) else {
            self.metrics.connections_refused.inc();
            debug!(%client, "refused a connection: too many are open");
            return;
        };
        self.metrics.connections.inc();
        let _ = stream.set_nodelay(true);
        let _ = set_tcp_keepalive(&stream, &KEEPALIVE);
        let listener = self.clone();
        self.tasks.spawn(async move {
            if let Some(connection) = handshake(stream, client, tls, admission, &limits).await {
                listener.serve(connection).await;
            }
        });
    }

    /// Serves one request after the other.
    async fn serve(&self, mut connection: Connection) {
        let mut stop = self.stop.clone();
        loop {
            let limits = self.table.limits();
            let next = tokio::select! {
                biased;
                next = connection.next_head(&limits) => next,
                () = linger(&mut stop) => return,
            };
            match next {
                Next::Nothing => return,
                Next::Refuse(fault) => return self.refuse(connection, &fault).await,
                Next::H2 => return self.serve_h2(connection, &limits).await,
                Next::Request => match self.serve_http1(connection).await {
                    Some(reused) => connection = reused,
                    None => return,
                },
            }
        }
    }

    /// Serves one HTTP/1 request; gives the connection back where it can take another.
    async fn serve_http1(&self, connection: Connection) -> Option<Connection> {
        let mut session = ServerSession::new_http1(Box::new(connection));
        session.set_keepalive(Some(0));
        let reused = self.proxy.process_new_http(session, &self.stop).await?;
        let (stream, _) = reused.consume();
        stream.into_any().downcast().ok().map(|connection| *connection)
    }

    async fn serve_h2(&self, connection: Connection, limits: &Limits) {
        let app = Arc::new(Http2::new(self.proxy.clone(), limits));
        app.process_new(Box::new(connection), &self.stop).await;
    }

    async fn refuse(&self, connection: Connection, fault: &Fault) {
        let id = request::fresh_id();
        debug!(request_id = id, code = fault.code(), ?fault, "refused a request's head");
        self.metrics.answered(fault.status());
        connection.refuse(Page::new(fault, &id, "").to_http1(&id).as_bytes()).await;
    }
}

async fn handshake(
    stream: TcpStream,
    client: SocketAddr,
    tls: Option<TlsAcceptor>,
    admission: Admission,
    limits: &Limits,
) -> Option<Connection> {
    let Some(tls) = tls else {
        return Some(Connection::plain(stream, client, admission));
    };
    match timeout(limits.header_time_max, tls.accept(stream)).await {
        Ok(Ok(mut stream)) if stream.get_ref().1.alpn_protocol() == Some(CHALLENGE_PROTOCOL) => {
            // The certificate was the answer; nothing is spoken (RFC 8737 §3).
            let _ = timeout(limits.header_time_max, stream.shutdown()).await;
            None
        }
        Ok(Ok(stream)) => Some(Connection::tls(stream, client, admission)),
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

/// Resolves a while after the edge has begun to stop.
async fn linger(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(LINGER).await;
}

/// Pingora's HTTP/2 server over one connection, with the bounds that hold when it begins.
struct Http2 {
    proxy: Arc<HttpProxy<Phases>>,
    server: HttpServerOptions,
    h2: H2Options,
}

impl Http2 {
    fn new(proxy: Arc<HttpProxy<Phases>>, limits: &Limits) -> Self {
        let mut server = HttpServerOptions::default();
        server.h2_idle_timeout = Some(limits.idle_max);
        let mut h2 = default_h2_options();
        h2.max_header_list_size(H2_HEADER_BYTES_MAX)
            .max_concurrent_streams(H2_STREAMS_MAX)
            .initial_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW);
        Self { proxy, server, h2 }
    }
}

#[async_trait]
impl HttpServerApp for Http2 {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &watch::Receiver<bool>,
    ) -> Option<ReusedHttpStream> {
        self.proxy.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.h2.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.server)
    }
}

/// Pingora's name for a boxed connection; here so that the compiler checks that ours is one.
const _: fn(Connection) -> Stream = |connection| Box::new(connection);
