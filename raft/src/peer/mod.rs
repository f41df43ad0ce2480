//! Calls between members: the port they come in by, and the channels they go out by.

mod bounds;
mod channels;
mod connection;
mod error;
mod port;
mod server;
pub mod snapshot_parts;
mod wire;

pub use channels::{Lane, Peers, Target, Wire};
#[cfg(test)]
pub use error::NotConnected;
pub use error::PeerError;
pub use port::{BACKLOG, Port};
pub use server::PeerService;
pub use wire::{pack, unpack};

/// The longest message of a call. Octets.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// The protocol that calls are made in, as TLS negotiates it.
pub const ALPN: &[&[u8]] = &[b"h2"];
/// What may be under way of one call before the receiver asks for more. Octets.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same for all calls of a connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
