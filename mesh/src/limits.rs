//! What the mesh allows itself: every bound and time limit, and quinn's transport settings made of them.

use std::{sync::Arc, time::Duration};

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// Streams one side may have open in one connection. Once all connections to a node have so many, the next [`open`](crate::Mesh::open) waits for others
/// to end; quinn tells the opener so an eighth of the cap at a time.
pub const STREAMS_MAX: u32 = 1024;
/// How long [`open`](crate::Mesh::open) tries to hear from the node at all: connecting, and the stream's header.
pub const REACH_WITHIN: Duration = Duration::from_secs(1);
/// How long a node that was reached may take to accept or refuse a stream.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Connections at once, in and out, of all nodes together.
pub(crate) const CONNECTIONS_MAX: usize = 1024;
/// Connections kept for one node. Two nodes that dial each other at the same moment have two, and so has each of the
/// two processes that a node is while it hands over; one that dies leaves its own behind until they time out. Beyond
/// this the oldest that has no streams is closed.
pub(crate) const LINKS_PER_NODE_MAX: usize = 16;
/// Connections to one node that streams are spread over. Another is made once those there are have
/// [`STALLED_STREAMS_MAX`] streams each.
pub const LINKS_FOR_STREAMS: usize = 4;
/// Handshakes with strangers under way at once; more are ignored, their senders try again by themselves.
pub(crate) const HANDSHAKES_MAX: usize = 64;
/// From this many handshakes on, a stranger must first show that it receives at the address it sends from.
pub(crate) const HANDSHAKES_TRUSTING: usize = 16;
/// How long a stranger may take for its handshake.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(3);
/// First packets buffered for handshakes that were not looked at yet, bytes in all.
pub(crate) const HANDSHAKE_BYTES_MAX: u64 = 1024 * 1024;
/// How long one attempt to connect may take; a little less than `REACH_WITHIN`, so that its outcome is told.
pub(crate) const DIAL_WITHIN: Duration = Duration::from_millis(900);
/// Streams that wait for [`Incoming::next`](crate::Incoming::next); more are refused.
pub(crate) const ARRIVALS_MAX: usize = 256;
/// How long the header of a stream may take to come in once the stream is there.
pub(crate) const HEADER_WITHIN: Duration = Duration::from_secs(2);
/// How often a connection's right to exist is looked at: is its certificate still accepted.
pub(crate) const RECHECK_EVERY: Duration = Duration::from_secs(2);
/// How long `stop` waits for the peers to be told.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(1);
/// How long the system may take to take a port back.
pub(crate) const FREED_WITHIN: Duration = Duration::from_secs(1);
/// Nodes that are connected to at once when this one leaves its port.
pub(crate) const RENEWALS_MAX: usize = 64;
/// How often a node that could not be moved to the new port is tried again, while the old one is still there.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Pause before a broken endpoint is built again.
pub(crate) const REBUILD_PAUSE: Duration = Duration::from_millis(100);

/// A silent peer is given up after this long; all its streams then end with an error.
const IDLE_TIMEOUT_MS: u32 = 4_000;
/// How often an otherwise silent connection is probed: many probes may be lost before the peer is given up.
const KEEP_ALIVE: Duration = Duration::from_millis(400);
/// A peer that is silent for so long is suspected: two probes at least were lost, or took half a second each way. It is
/// given up at once if its machine says that nobody listens there.
pub(crate) const SILENT_FOR: Duration = Duration::from_millis(1_000);
/// How often is looked whether a connection with streams is silent.
pub(crate) const LISTEN_EVERY: Duration = Duration::from_millis(200);
/// How long a machine may take to say so.
pub(crate) const PROBE_WITHIN: Duration = Duration::from_millis(600);
/// How long a stream waits for another connection where there are others, though crowded.
pub(crate) const SPREAD_WITHIN: Duration = Duration::from_millis(200);
/// What is assumed before the first measurement. The default, 333 ms, makes one lost first packet cost a second.
const INITIAL_RTT: Duration = Duration::from_millis(20);

/// What one stream may have received and not yet read, bytes. It bounds a stream's speed to this much each round
/// trip: 256 MB/s at 1 ms.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;
/// Streams that may be stalled by a slow reader, each with a full window, before others in the connection feel it.
pub const STALLED_STREAMS_MAX: u32 = 256;
/// What one connection may have received and not yet read, bytes.
pub(crate) const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STALLED_STREAMS_MAX;
/// What one connection may have sent and not yet seen acknowledged, bytes.
pub(crate) const SEND_WINDOW: u64 = 16 * 1024 * 1024;
/// Bytes the kernel may hold for the socket, each way, so that a burst is not dropped while the process is busy.
pub(crate) const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

// The memory one peer can make this node hold by one connection: a full window of unread data and a full window of
// unacknowledged data, 80 MiB; by all that streams are spread over, 320 MiB. Only slow readers fill the first and only a slow network the second; an idle connection holds neither.
const _: () = assert!(CONNECTION_WINDOW as u64 + SEND_WINDOW <= 80 * 1024 * 1024);
// No stream may starve the others: sending needs room for many full streams too.
const _: () = assert!(SEND_WINDOW >= 16 * STREAM_WINDOW as u64);
const _: () = assert!(STALLED_STREAMS_MAX <= STREAMS_MAX);
// Both nodes may make so many at the same moment, and one of them be two processes, of which the first has left its port.
const _: () = assert!(4 * LINKS_FOR_STREAMS <= LINKS_PER_NODE_MAX);
// A peer is not given up because of one or two lost probes, nor suspected because of one.
const _: () = assert!(SILENT_FOR.as_millis() >= 2 * KEEP_ALIVE.as_millis());
const _: () = assert!(IDLE_TIMEOUT_MS as u128 >= 3 * KEEP_ALIVE.as_millis());
const _: () = assert!(DIAL_WITHIN.as_millis() < REACH_WITHIN.as_millis());

/// quinn's settings for both sides of every connection.
pub(crate) fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(1)) // the greeting
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT);
    Arc::new(config)
}
