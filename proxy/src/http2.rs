//! One HTTP/2 connection: its streams are Pingora's, its bounds are ours.
//!
//! Pingora's own loop waits for a client's preface, and after a farewell for its leave, as long as the client likes, and
//! knows no age at which a connection ends.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::Connection as Session;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession, default_h2_options, handshake,
};
use pingora_core::protocols::{
    Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Ssl, Stream,
};
use pingora_proxy::HttpProxy;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::connection::Connection;
use crate::limits::{
    CLOSE_MAX, H2_CONNECTION_WINDOW, H2_HEADER_BYTES_MAX, H2_LEAVE_MAX, H2_MALFORMED_MAX,
    H2_RESETS_FOR_ERRORS_MAX, H2_RESETS_KEPT_MAX, H2_RESETS_UNSEEN_MAX, H2_SEND_BUFFER,
    H2_STREAM_WINDOW, H2_STREAMS_MAX, Limits,
};
use crate::phases::Phases;
use crate::seat::Seat;

/// Serves the streams of HTTP/2 connections.
pub(crate) struct Http2 {
    pub(crate) proxy: Arc<HttpProxy<Phases>>,
    /// Becomes true when the edge stops.
    pub(crate) stop: watch::Receiver<bool>,
}

/// What happened on a connection.
#[allow(
    clippy::large_enum_variant,
    reason = "it lives for one turn, and a box would be allocated for each request"
)]
enum Event {
    /// A request, none, or the end.
    Accepted(Option<H2Accept>),
    /// The client should leave: the edge stops, or the connection is old.
    Leave,
    /// Nothing has been under way for long, or for longer than on any other connection where there are too many.
    Idle,
    /// The client asks for too much work that brings nothing.
    Flood,
}

impl Http2 {
    /// Serves a connection until it ends; `flooded` ends it at once.
    pub(crate) async fn serve(
        &self,
        connection: Connection,
        flooded: CancellationToken,
        seat: &Seat,
        limits: &Limits,
    ) {
        let digest = digest_of(&connection);
        let stream: Stream = Box::new(connection);
        let begun = tokio::select! {
            begun = timeout(limits.header_time_max, handshake(stream, Some(options()))) => begun,
            () = seat.lost() => return,
        };
        let Ok(Ok(mut session)) = begun else { return };
        let end = self.take_streams(&mut session, digest, &flooded, seat, limits).await;
        if let Some(reason) = end {
            debug!(?reason, "ends an HTTP/2 connection");
            session.abrupt_shutdown(reason);
            let _ = timeout(CLOSE_MAX, poll_fn(|cx| session.poll_closed(cx))).await;
        }
    }

    /// Starts every stream that comes, and gives why the edge ends the connection, where the client does not.
    async fn take_streams(
        &self,
        session: &mut Session<Stream, Bytes>,
        digest: Arc<Digest>,
        flooded: &CancellationToken,
        seat: &Seat,
        limits: &Limits,
    ) -> Option<Reason> {
        let (streams, old) = (TaskTracker::new(), Instant::now() + limits.connection_time_max);
        streams.close();
        let (mut taken, mut malformed, mut leaving) = (0, 0, false);
        loop {
            let patience = if leaving { H2_LEAVE_MAX } else { limits.idle_max };
            let event = tokio::select! {
                biased;
                () = flooded.cancelled() => Event::Flood,
                () = self.leave_at(old), if !leaving => Event::Leave,
                accepted = HttpSession::from_h2_conn(session, digest.clone()) => {
                    Event::Accepted(accepted.ok()?)
                }
                () = idle(&streams, seat, patience) => Event::Idle,
            };
            let leave = match event {
                Event::Accepted(None) => return None,
                Event::Accepted(Some(H2Accept::Session(stream))) => {
                    seat.work();
                    streams.spawn(self.process(stream));
                    taken += 1;
                    // One that came just when its place was given to another is the last.
                    taken >= limits.connection_requests_max || seat.is_lost()
                }
                Event::Accepted(Some(H2Accept::Rejected)) => {
                    malformed += 1;
                    false
                }
                Event::Leave => true,
                Event::Idle => return Some(Reason::NO_ERROR),
                Event::Flood => return Some(Reason::ENHANCE_YOUR_CALM),
            };
            if malformed >= H2_MALFORMED_MAX {
                return Some(Reason::ENHANCE_YOUR_CALM);
            }
            if leave && !leaving {
                session.graceful_shutdown();
                leaving = true;
            }
        }
    }

    fn process(&self, stream: HttpSession) -> impl Future<Output = ()> + Send + 'static {
        let (proxy, stop) = (self.proxy.clone(), self.stop.clone());
        async move {
            proxy.process_new_http(ServerSession::new_http2(stream), &stop).await;
        }
    }

    /// Resolves when the edge stops, and when the connection has become old.
    async fn leave_at(&self, old: Instant) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = sleep_until(old) => {}
        }
    }
}

/// Resolves once no stream has been open for this long, or none is and the seat is lost.
async fn idle(streams: &TaskTracker, seat: &Seat, patience: Duration) {
    streams.wait().await;
    seat.rest();
    tokio::select! {
        () = sleep(patience) => {}
        () = seat.lost() => {}
    }
}

fn options() -> H2Options {
    let mut options = default_h2_options();
    options
        .max_header_list_size(H2_HEADER_BYTES_MAX)
        .max_concurrent_streams(H2_STREAMS_MAX)
        .initial_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_send_buffer_size(H2_SEND_BUFFER)
        .max_pending_accept_reset_streams(H2_RESETS_UNSEEN_MAX)
        .max_local_error_reset_streams(Some(H2_RESETS_FOR_ERRORS_MAX))
        .max_concurrent_reset_streams(H2_RESETS_KEPT_MAX);
    options
}

fn digest_of(connection: &Connection) -> Arc<Digest> {
    Arc::new(Digest {
        ssl_digest: connection.get_ssl_digest(),
        timing_digest: connection.get_timing_digest(),
        proxy_digest: connection.get_proxy_digest(),
        socket_digest: connection.get_socket_digest(),
    })
}
