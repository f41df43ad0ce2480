//! Finds out early that a peer's process is gone: the connection is silent, and the machine refuses calls to the peer's
//! port, which others call over TCP. Either alone proves nothing: a node that hands over or starts again has its port
//! closed and still answers in connections that it has, and one that is slow, or behind a broken link, keeps it open.

use std::{io, net::SocketAddr};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::limits::{PROBE_WITHIN, SILENT_FOR};

/// Since when nothing has come from a peer.
pub(crate) struct Silence {
    received: u64,
    since: Instant,
}

impl Silence {
    pub(crate) fn begin(now: Instant) -> Self {
        Self { received: 0, since: now }
    }

    /// Whether nothing has come for long, given how many packets have come so far. It is so once; then it begins anew.
    pub(crate) fn is_long(&mut self, received: u64, now: Instant) -> bool {
        let long = self.received == received && now.duration_since(self.since) >= SILENT_FOR;
        if long || self.received != received {
            *self = Self { received, since: now };
        }
        long
    }
}

/// Whether the machine is there and nobody listens on the port.
pub(crate) async fn is_refused(address: SocketAddr) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let connected = timeout(PROBE_WITHIN, TcpStream::connect(address)).await;
    connected.is_ok_and(|connected| connected.is_err_and(refused))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn silence_is_long_once_nothing_has_come_for_a_while() {
        let start = Instant::now();
        let mut silence = Silence::begin(start);
        assert!(!silence.is_long(7, start), "something has come");
        assert!(!silence.is_long(7, start + SILENT_FOR / 2));
        assert!(silence.is_long(7, start + SILENT_FOR));
        assert!(!silence.is_long(7, start + SILENT_FOR), "it begins anew");
        assert!(!silence.is_long(8, start + SILENT_FOR * 2), "something has come");
        assert!(silence.is_long(8, start + SILENT_FOR * 3));
    }

    #[tokio::test]
    async fn only_a_port_that_is_closed_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!is_refused(address).await);
        drop(listener);
        assert!(is_refused(address).await);
    }
}
