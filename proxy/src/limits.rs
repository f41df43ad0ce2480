//! The bounds of everything the edge holds: the cluster's settings in their own types, and what is fixed.

use std::time::Duration;

use pingora_core::protocols::TcpKeepalive;
use temps_state::{EdgeSettings, SECONDS_MAX};

use crate::networks::Networks;

/// Connections that wait at a port to be accepted, as far as the system allows so many: a crowd of slow clients must not
/// keep a good one out.
pub(crate) const WAITING_MAX: i32 = 4_096;
/// How long a client may stall in the middle of a request body.
pub(crate) const BODY_STALL_MAX: Duration = Duration::from_secs(60);
/// How long a client may take none of the answer.
pub(crate) const ANSWER_STALL_MAX: Duration = Duration::from_secs(60);
/// How long the rest of a refused request body is read, so that the client sees the answer and not a reset.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(2);
/// How long a client may take to take the end of an answer.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(1);
/// How many octets of it are read.
pub(crate) const LINGER_BYTES_MAX: usize = 4 << 20;
/// How long a connection that has reached its age may go on with what is under way, be it an answer that never ends: no client
/// keeps a seat for longer by reading slowly.
pub(crate) const OVERTIME_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How long an upgraded connection, such as a WebSocket, or a gRPC stream may be silent.
pub(crate) const UPGRADED_IDLE_MAX: Duration = Duration::from_secs(3_600);
/// How long a replica may take to accept a connection.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How long another node may take to open a stream to its replica.
pub(crate) const REACH_MAX: Duration = Duration::from_secs(3);
/// How long a connection to a replica is kept for the next request. Shorter than the shortest keep-alive of common
/// app servers (gunicorn: 2 s, Node.js: 5 s), so that no request meets a connection that the app is closing.
pub(crate) const UPSTREAM_IDLE_MAX: Duration = Duration::from_millis(1_500);
/// How many idle connections to replicas are kept in all.
pub(crate) const UPSTREAM_POOL_MAX: usize = 4_096;
/// How long a request waits for a replica to appear, as when a route is being switched.
pub(crate) const SWITCH_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long it waits before it asks an endpoint again that refused it.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long a request of a container that is not known yet waits for it to become known, as one that began just now.
pub(crate) const CALLER_WAIT_MAX: Duration = Duration::from_secs(1);
/// Requests of one client that apps of other nodes may have at once, if its bound of all is not lower: half of what
/// standing readers of one node may be before others feel it, which is what the mesh spreads over its connections.
pub(crate) const REMOTE_PER_CLIENT_MAX: usize = 512;
/// How often one request is tried in all; [`SWITCH_WAIT_MAX`] ends it earlier.
pub(crate) const ATTEMPTS_MAX: usize = 64;
/// How long an endpoint that failed is left alone before it is looked at; doubled each time that it fails again.
pub(crate) const PROBE_PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest time between two looks at it.
pub(crate) const PROBE_PAUSE_MAX: Duration = Duration::from_secs(8);
/// How long a client of HTTP/2 that has nothing under way may take to leave, once told to.
pub(crate) const H2_LEAVE_MAX: Duration = Duration::from_secs(5);
/// Malformed requests that one HTTP/2 connection may send before it is closed.
pub(crate) const H2_MALFORMED_MAX: usize = 32;
/// Streams of one connection that clients may reset before the edge has taken them on (CVE-2023-44487); what is reset after
/// that is paid for from a [`FrameBudget`](crate::frame_budget::FrameBudget).
pub(crate) const H2_RESETS_UNSEEN_MAX: usize = 20;
/// Streams of one connection that may be reset because the client broke the protocol (CVE-2025-8671).
pub(crate) const H2_RESETS_FOR_ERRORS_MAX: usize = 100;
/// Streams of one connection that were reset and are remembered, for what is still on its way.
pub(crate) const H2_RESETS_KEPT_MAX: usize = 50;
/// Octets of an answer that wait for a slow client on one stream.
pub(crate) const H2_SEND_BUFFER: usize = 64 << 10;
/// Streams that one HTTP/2 connection may have open.
pub(crate) const H2_STREAMS_MAX: u32 = 100;
/// Octets of one HTTP/2 request's headers, whatever the settings allow.
pub(crate) const H2_HEADER_BYTES_MAX: u32 = 64 << 10;
/// Octets that an HTTP/2 client may send ahead on one stream.
pub(crate) const H2_STREAM_WINDOW: u32 = 256 << 10;
/// Octets that an HTTP/2 client may send ahead on one connection.
pub(crate) const H2_CONNECTION_WINDOW: u32 = 1 << 20;
/// Octets of a request body that are kept to send it again elsewhere, as Pingora does it for other versions.
pub(crate) const RETRY_BYTES_MAX: usize = 64 << 10;
/// Octets of answers that one HTTP/3 client may leave unacknowledged; on one stream as on all.
pub(crate) const H3_SEND_WINDOW: u32 = 2 << 20;
/// Handshakes of HTTP/3 under way at once; more are passed over, and their clients try again by themselves.
pub(crate) const H3_HANDSHAKES_MAX: usize = 512;
/// From this many on, a client must first show that it receives at the address it sends from.
pub(crate) const H3_HANDSHAKES_TRUSTING: usize = 64;
/// How long a client of HTTP/3 that has nothing under way may take to leave, once told to.
pub(crate) const H3_LEAVE_MAX: Duration = Duration::from_secs(1);
/// How long requests over HTTP/3 may take once it ends. A little less than a node's drain, so that their clients hear of it.
pub(crate) const H3_DRAIN_MAX: Duration = Duration::from_secs(12);
/// How long to wait before the UDP port is tried again that could not be had.
pub(crate) const H3_OPEN_PAUSE: Duration = Duration::from_millis(250);
/// How often that fails before it is logged: a process that this one follows may take [`H3_DRAIN_MAX`].
pub(crate) const H3_OPEN_FAILURES: u32 = 60;

/// How a silent peer is told from a dead one.
pub(crate) const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    count: 4,
    user_timeout: Duration::ZERO,
};

/// The cluster's bounds of the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Octets of a request body.
    pub(crate) body_bytes_max: u64,
    /// Octets of a request's line and headers.
    pub(crate) header_bytes_max: usize,
    /// Headers of a request.
    pub(crate) headers_max: usize,
    /// How long a client may take for its headers, and for its TLS handshake.
    pub(crate) header_time_max: Duration,
    /// Connections in all.
    pub(crate) connections_max: usize,
    /// Connections of one client.
    pub(crate) connections_per_client_max: usize,
    /// How long a connection may idle between requests.
    pub(crate) idle_max: Duration,
    /// How long an app may take between two octets of its answer.
    pub(crate) upstream_read_max: Duration,
    /// Proxies that are believed about whom a request comes from.
    pub(crate) trusted: Networks,
    /// Whether they begin their connections with a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    /// How old a connection may become before its client is told to open another.
    pub(crate) connection_time_max: Duration,
    /// How many requests it may bring until then.
    pub(crate) connection_requests_max: u32,
    /// Octets that a request body must bring each second, on average; 0 for any.
    pub(crate) body_rate_min: u64,
    /// Whether HTTP/3 is taken.
    pub(crate) http3: bool,
}

impl Limits {
    /// Whether a body of so many octets so far has taken too long: it has the time of a head to begin.
    pub(crate) fn is_too_slow(&self, octets: u64, taken: Duration) -> bool {
        let due = octets.checked_div(self.body_rate_min).map(Duration::from_secs);
        due.is_some_and(|due| taken > self.header_time_max + due)
    }
}

impl From<&EdgeSettings> for Limits {
    fn from(settings: &EdgeSettings) -> Self {
        let seconds = |n: u64| Duration::from_secs(n.clamp(1, SECONDS_MAX));
        Self {
            body_bytes_max: settings.body_bytes_max,
            header_bytes_max: usize::try_from(settings.header_bytes_max).unwrap_or(usize::MAX),
            headers_max: settings.headers_max,
            header_time_max: seconds(settings.header_seconds_max),
            connections_max: settings.connections_max,
            connections_per_client_max: settings.connections_per_client_max,
            idle_max: seconds(settings.idle_seconds_max),
            upstream_read_max: seconds(settings.upstream_read_seconds_max),
            trusted: settings.trusted_proxies.iter().collect(),
            proxy_protocol: settings.proxy_protocol,
            connection_time_max: seconds(settings.connection_seconds_max),
            connection_requests_max: settings.connection_requests_max.max(1),
            body_rate_min: settings.body_rate_min,
            http3: settings.http3,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&EdgeSettings::default())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn times_can_be_counted_with_whatever_the_settings_say() {
        for n in [0, u64::MAX] {
            let settings = EdgeSettings {
                header_seconds_max: n,
                idle_seconds_max: n,
                upstream_read_seconds_max: n,
                connection_seconds_max: n,
                ..EdgeSettings::default()
            };
            let limits = Limits::from(&settings);
            let Limits { header_time_max, idle_max, upstream_read_max, .. } = limits;
            let longest = limits.connection_time_max + OVERTIME_MAX;
            for time in [header_time_max, idle_max, upstream_read_max, longest] {
                assert!(
                    time >= Duration::from_secs(1) && Instant::now().checked_add(time).is_some()
                );
            }
        }
    }

    #[test]
    fn a_body_must_keep_its_pace() {
        let limits = Limits::default();
        for (octets, seconds, slow) in [
            (0, 9, false),
            (1, 11, true),
            (50_000, 100, false),
            (50_000, 111, true),
            (u64::MAX, 1_000_000, false),
        ] {
            assert_eq!(limits.is_too_slow(octets, Duration::from_secs(seconds)), slow, "{octets}");
        }
    }
}
