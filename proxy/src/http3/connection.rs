//! One HTTP/3 connection: what [`http2`](crate::http2) is for that version, with the same bounds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{Digest, SocketDigest};
use temps_http3::{Arrival, Caller, Connection, Reason, RequestError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Http3;
use super::head;
use super::session::Http3Session;
use crate::budget::{Budget, RESET_COST};
use crate::connection_count::Admission;
use crate::limits::{H2_MALFORMED_MAX, H3_LEAVE_MAX, Limits};
use crate::overtime::bounded;
use crate::seat::Seat;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// An answer, or the connection's end.
    Served,
    /// The client wanted none any more.
    GivenUp,
    /// It was malformed.
    Malformed,
}

/// How many requests of a connection brought nothing.
struct Tally {
    malformed: usize,
    budget: Budget,
}

impl Tally {
    fn new() -> Self {
        Self { malformed: 0, budget: Budget::new() }
    }

    /// Notes what came of a request, `at` this age of the connection; false once that is too much.
    fn bears(&mut self, outcome: Outcome, at: Duration) -> bool {
        self.budget.fill(at);
        self.malformed += usize::from(outcome == Outcome::Malformed);
        let paid = outcome == Outcome::Served || self.budget.pay(RESET_COST);
        paid && self.malformed < H2_MALFORMED_MAX
    }
}

/// What happened on a connection.
#[allow(
    clippy::large_enum_variant,
    reason = "it lives for one turn, and a box would be allocated for each request"
)]
enum Event {
    /// A request.
    Arrived(Arrival),
    /// The end of one.
    Done(Outcome),
    /// The client should leave: the edge stops, or the connection is old.
    Leave,
    /// Nothing has been under way for long, or for longer than on any other connection where there are too many.
    Idle,
    /// The client has left.
    Gone,
}

impl Http3 {
    /// Shakes hands with a caller and serves it, where it has not too many connections already.
    pub(super) async fn greet(
        &self,
        caller: Caller,
        handshake: OwnedSemaphorePermit,
        admission: Option<Admission>,
        leave: CancellationToken,
    ) {
        let (limits, client) = (self.listener.table.limits(), caller.address());
        let greeted = tokio::select! {
            greeted = timeout(limits.header_time_max, caller.greet()) => greeted,
            () = lost(admission.as_ref()) => return,
        };
        let connection = match greeted {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return debug!(%client, %error, "an HTTP/3 handshake failed"),
            Err(_) => return debug!(%client, "an HTTP/3 handshake took too long"),
        };
        drop(handshake);
        // The handshake has shown that it is at that address.
        let Some(admission) = admission.or_else(|| self.count(client.ip(), &limits)) else {
            return connection.end(Reason::ExcessiveLoad);
        };
        self.listener.metrics.connections.inc();
        self.serve(connection, leave, &admission.seat(), &limits).await;
    }

    async fn serve(
        &self,
        mut connection: Connection,
        leave: CancellationToken,
        seat: &Seat,
        limits: &Limits,
    ) {
        let mut requests = JoinSet::new();
        let taken = self.take_requests(&mut connection, &mut requests, leave, seat, limits);
        let end = bounded(limits, taken).await.unwrap_or(Reason::NoError);
        debug!(reason = ?end, "ends an HTTP/3 connection");
        connection.end(end);
        // They see that it is over.
        while requests.join_next().await.is_some() {}
    }

    /// Starts every request that comes, and gives why the connection ends.
    async fn take_requests(
        &self,
        connection: &mut Connection,
        requests: &mut JoinSet<Outcome>,
        leave: CancellationToken,
        seat: &Seat,
        limits: &Limits,
    ) -> Reason {
        let digest = self.digest_of(connection);
        let began = Instant::now();
        let (old, mut quiet_since) = (began + limits.connection_time_max, began);
        let (mut taken, mut leaving, mut tally) = (0, false, Tally::new());
        loop {
            let patience = if leaving { H3_LEAVE_MAX } else { limits.idle_max };
            let event = tokio::select! {
                biased;
                Some(done) = requests.join_next() => Event::Done(done.unwrap_or(Outcome::Served)),
                () = leave_at(&leave, old), if !leaving => Event::Leave,
                arrival = connection.next() => {
                    arrival.ok().flatten().map_or(Event::Gone, Event::Arrived)
                }
                () = sleep_until(quiet_since + patience), if requests.is_empty() => Event::Idle,
                () = seat.lost(), if requests.is_empty() => Event::Idle,
            };
            let leaves = match event {
                Event::Arrived(arrival) => {
                    seat.work();
                    requests.spawn(self.process(arrival, digest.clone()));
                    taken += 1;
                    taken >= limits.connection_requests_max || seat.is_lost()
                }
                Event::Done(outcome) => {
                    quiet_since = Instant::now();
                    if requests.is_empty() {
                        seat.rest();
                    }
                    if !tally.bears(outcome, began.elapsed()) {
                        return Reason::ExcessiveLoad;
                    }
                    false
                }
                Event::Leave => true,
                Event::Idle | Event::Gone => return Reason::NoError,
            };
            if leaves && !leaving {
                (leaving, quiet_since) = (true, Instant::now());
                if connection.leave().await.is_err() {
                    return Reason::NoError;
                }
            }
        }
    }

    /// Reads a request's head and has it answered.
    fn process(
        &self,
        arrival: Arrival,
        digest: Digest,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let (proxy, stop) = (self.listener.proxy.clone(), self.listener.stop.clone());
        let deadline = Instant::now() + self.listener.table.limits().header_time_max;
        async move {
            let session = match timeout_at(deadline, begin(arrival, digest)).await {
                Ok(Ok(session)) => session,
                Ok(Err(outcome)) => return outcome,
                Err(_) => return Outcome::GivenUp,
            };
            let given_up = session.given_up();
            proxy.process_new_http(ServerSession::new_custom(Box::new(session)), &stop).await;
            if given_up.load(Ordering::Relaxed) { Outcome::GivenUp } else { Outcome::Served }
        }
    }

    fn digest_of(&self, connection: &Connection) -> Digest {
        let socket = SocketDigest::from_raw_fd(-1);
        let known = |address: std::net::SocketAddr| {
            let ip = address.ip().to_canonical();
            Some(PingoraAddr::Inet(std::net::SocketAddr::new(ip, address.port())))
        };
        let called = connection.called().unwrap_or(self.address.ip());
        let _ = socket.peer_addr.set(known(connection.client()));
        let _ = socket.local_addr.set(known((called, self.address.port()).into()));
        let tls = SslDigest::new("", "TLSv1.3", None, None, Vec::new());
        Digest {
            ssl_digest: Some(Arc::new(tls)),
            socket_digest: Some(Arc::new(socket)),
            ..Digest::default()
        }
    }
}

async fn begin(arrival: Arrival, digest: Digest) -> Result<Http3Session, Outcome> {
    let (request, mut exchange) = arrival.read().await.map_err(|error| match error {
        RequestError::GivenUp => Outcome::GivenUp,
        RequestError::Over(_) => Outcome::Served,
        RequestError::Malformed(_) | RequestError::Disordered => Outcome::Malformed,
    })?;
    let Some(head) = head::read(request) else {
        exchange.abort(Reason::Malformed);
        return Err(Outcome::Malformed);
    };
    let mut session = Http3Session::new(head, exchange, digest);
    match session.begin().await {
        Ok(()) => Ok(session),
        Err(_) if session.given_up().load(Ordering::Relaxed) => Err(Outcome::GivenUp),
        Err(_) => Err(Outcome::Malformed),
    }
}

/// Resolves once the connection's place is lost, where it has one yet.
async fn lost(admission: Option<&Admission>) {
    match admission {
        Some(admission) => admission.seat().lost().await,
        None => std::future::pending().await,
    }
}

/// Resolves when clients should leave, and when the connection has become old.
async fn leave_at(leave: &CancellationToken, old: Instant) {
    tokio::select! {
        () = leave.cancelled() => {}
        () = sleep_until(old) => {}
    }
}
