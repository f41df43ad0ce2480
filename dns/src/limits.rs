//! The bounds of everything the resolver holds.

use std::time::Duration;

/// Queries under way in all.
pub(crate) const QUERIES_MAX: usize = 1_024;
/// Queries of one client under way.
pub(crate) const QUERIES_PER_CLIENT_MAX: usize = 128;
/// Connections open in all.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// Connections of one client.
pub(crate) const CONNECTIONS_PER_CLIENT_MAX: usize = 16;
/// How long a connection may be silent.
pub(crate) const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(10);
/// Octets of a query.
pub(crate) const QUERY_BYTES_MAX: usize = 4_096;
/// Octets of an answer in one datagram, whatever the client would take.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 4_096;
/// How many of the machine's resolvers are asked; as many as resolv.conf(5) allows.
pub(crate) const UPSTREAMS_MAX: usize = 3;
/// How long one of them may take.
pub(crate) const TRY_MAX: Duration = Duration::from_millis(1_200);
/// How often they are asked in all.
pub(crate) const TRIES_MAX: usize = 4;
/// How long a query may take. Shorter than what container engines wait for (4 s).
pub(crate) const FORWARD_MAX: Duration = Duration::from_millis(3_500);
/// How long answers about apps may be remembered, in seconds.
pub(crate) const TTL_SECONDS: u32 = 5;
/// How often the machine's configuration is read.
pub(crate) const REREAD_PAUSE: Duration = Duration::from_secs(5);
/// How long to wait before an address is tried again that could not be had, or a socket that failed.
pub(crate) const BIND_PAUSE: Duration = Duration::from_millis(500);
/// How often that fails before containers are told to ask others.
pub(crate) const BIND_FAILURES: u32 = 4;
/// How long to wait after a failure to receive.
pub(crate) const RECEIVE_PAUSE: Duration = Duration::from_millis(100);
