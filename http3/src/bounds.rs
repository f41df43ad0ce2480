//! How much a client may have, and what quinn is told of it.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// A client that was not heard of for so long is gone.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// How often a client is asked whether it is there, so that a quiet answer is not cut by [`SILENT_MAX`].
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Streams besides requests that a client may open: three are in use, and some are opened to see that they are ignored.
const OTHER_STREAMS_MAX: u32 = 8;
/// Handshakes that wait to be looked at.
pub(crate) const WAITING_MAX: usize = 256;
/// Octets of first packets that wait, in all.
pub(crate) const WAITING_BYTES_MAX: u64 = 2 << 20;
/// Octets that the kernel may hold of the socket's, each way.
pub(crate) const SOCKET_BUFFER: usize = 4 << 20;
/// How long clients may take to hear that the port closes.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(1);

/// What one connection may have.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests that may be under way.
    pub requests_max: u32,
    /// Octets of a request's headers; of those, and of its trailers, as many are gathered.
    pub header_bytes_max: u32,
    /// Octets that the client may send ahead on one stream.
    pub stream_window: u32,
    /// Octets that the client may send ahead in all.
    pub connection_window: u32,
    /// Octets of answers that wait for the client to acknowledge them.
    pub send_window: u32,
}

impl Bounds {
    pub(crate) fn transport(&self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        config
            .max_concurrent_bidi_streams(self.requests_max.into())
            .max_concurrent_uni_streams(OTHER_STREAMS_MAX.into())
            .stream_receive_window(self.stream_window.into())
            .receive_window(self.connection_window.into())
            .send_window(self.send_window.into())
            .datagram_receive_buffer_size(None)
            .max_idle_timeout(Some(IdleTimeout::from(milliseconds(SILENT_MAX))))
            .keep_alive_interval(Some(KEEP_ALIVE));
        Arc::new(config)
    }
}

fn milliseconds(time: Duration) -> VarInt {
    VarInt::from_u32(u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
}
