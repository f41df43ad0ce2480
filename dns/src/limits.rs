//! The bounds of everything that the resolver and the authority hold.

use std::time::Duration;

/// Queries under way in all.
pub(crate) const QUERIES_MAX: usize = 1_024;
/// Queries of one client under way.
pub(crate) const QUERIES_PER_CLIENT_MAX: usize = 128;
/// Connections open in all.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// Connections of one client.
pub(crate) const CONNECTIONS_PER_CLIENT_MAX: usize = 16;
/// How many clients' shares those of one site have in all: an IPv6 network of 48 bits may be one customer.
pub(crate) const SITE_SHARES: usize = 4;
/// How long a connection may be silent.
pub(crate) const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(10);
/// How long a connection may last to the authority, which anybody may open.
pub(crate) const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(60);
/// How long connections last once the authority stops.
pub(crate) const LINGER: Duration = Duration::from_secs(1);
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
/// The longest answer in one datagram that clients are asked to take, and the authority gives; see dnsflagday.net of 2020.
pub(crate) const PAYLOAD_MAX: u16 = 1_232;
/// How long the world may remember where edges are, in seconds.
pub(crate) const EDGE_TTL_SECONDS: u32 = 30;
/// The same of which nodes answer for a zone.
pub(crate) const SERVER_TTL_SECONDS: u32 = 300;
/// The same of what authorities for certificates look for, and of names that are not there.
pub(crate) const BRIEF_TTL_SECONDS: u32 = 5;
/// The most addresses of an answer: a client tries no more than a few.
pub(crate) const ADDRESSES_MAX: usize = 24;
/// The most texts of an answer.
pub(crate) const TEXTS_MAX: usize = 12;
/// How many servers of the zone above a zone are asked how that is handed over.
pub(crate) const PARENT_SERVERS_MAX: usize = 4;
/// How many servers of a zone are looked at; few have more than a dozen.
pub(crate) const DELEGATED_MAX: usize = 32;
/// How long it may take to find out how a zone is handed over.
pub(crate) const DELEGATION_LOOK_MAX: Duration = Duration::from_secs(12);
/// How much of that the zone above may take to tell it itself, before the machine's resolvers are asked.
pub(crate) const ABOVE_MAX: Duration = Duration::from_secs(6);
/// How often that is looked at while it is as it should be.
pub(crate) const DELEGATION_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The same while it is not.
pub(crate) const DELEGATION_PAUSE_WRONG: Duration = Duration::from_secs(2 * 60);
/// How many queries a network of clients may ask the authority within a second, for long.
pub(crate) const NETWORK_RATE: u32 = 250;
/// How many more it may ask at once.
pub(crate) const NETWORK_BURST: u32 = 1_000;
/// How many networks are told apart; more share a place.
pub(crate) const NETWORKS_MAX: usize = 1 << 16;
/// How often the machine's configuration is read.
pub(crate) const REREAD_PAUSE: Duration = Duration::from_secs(5);
/// How long to wait before an address is tried again that could not be had, or a socket that failed.
pub(crate) const BIND_PAUSE: Duration = Duration::from_millis(500);
/// How often that fails before containers are told to ask others.
pub(crate) const BIND_FAILURES: u32 = 4;
/// How long to wait after a failure to receive.
pub(crate) const RECEIVE_PAUSE: Duration = Duration::from_millis(100);
