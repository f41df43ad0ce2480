//! The bounds of everything the edge holds: the cluster's settings in their own types, and what is fixed.

use std::time::Duration;

use pingora_core::protocols::TcpKeepalive;
use temps_state::EdgeSettings;

/// How long a client may stall in the middle of a request body.
pub(crate) const BODY_STALL_MAX: Duration = Duration::from_secs(60);
/// How long a client may take none of the answer.
pub(crate) const ANSWER_STALL_MAX: Duration = Duration::from_secs(60);
/// How long the rest of a refused request body is read, so that the client sees the answer and not a reset.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(2);
/// How many octets of it are read.
pub(crate) const LINGER_BYTES_MAX: usize = 4 << 20;
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
/// How often one request is tried in all; [`SWITCH_WAIT_MAX`] ends it earlier.
pub(crate) const ATTEMPTS_MAX: usize = 64;
/// How long an endpoint that failed is left alone before it is looked at; doubled each time that it fails again.
pub(crate) const PROBE_PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest time between two looks at it.
pub(crate) const PROBE_PAUSE_MAX: Duration = Duration::from_secs(8);
/// Streams that one HTTP/2 connection may have open.
pub(crate) const H2_STREAMS_MAX: u32 = 100;
/// Octets of one HTTP/2 request's headers, whatever the settings allow.
pub(crate) const H2_HEADER_BYTES_MAX: u32 = 64 << 10;
/// Octets that an HTTP/2 client may send ahead on one stream.
pub(crate) const H2_STREAM_WINDOW: u32 = 256 << 10;
/// Octets that an HTTP/2 client may send ahead on one connection.
pub(crate) const H2_CONNECTION_WINDOW: u32 = 1 << 20;

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
}

impl From<&EdgeSettings> for Limits {
    fn from(settings: &EdgeSettings) -> Self {
        let seconds = |n: u64| Duration::from_secs(n.max(1));
        Self {
            body_bytes_max: settings.body_bytes_max,
            header_bytes_max: usize::try_from(settings.header_bytes_max).unwrap_or(usize::MAX),
            headers_max: settings.headers_max,
            header_time_max: seconds(settings.header_seconds_max),
            connections_max: settings.connections_max,
            connections_per_client_max: settings.connections_per_client_max,
            idle_max: seconds(settings.idle_seconds_max),
            upstream_read_max: seconds(settings.upstream_read_seconds_max),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&EdgeSettings::default())
    }
}
