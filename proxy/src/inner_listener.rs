//! Accepts the connections of this node's containers, at the address that the node has on their network.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::inner::Inner;
use crate::listener::Listener;
use crate::vicinity::news;

/// How long to wait before an address is tried again that could not be had.
const BIND_PAUSE: Duration = Duration::from_millis(500);
/// How often that fails before it is logged.
const BIND_FAILURES: u32 = 4;

/// Accepts at the door wherever it is, until the edge stops. Where the edge takes plain HTTP at `outer` anyway, the
/// containers' connections come in there.
pub(crate) async fn keep(listener: Arc<Listener>, mut inner: Inner, outer: SocketAddr) {
    loop {
        inner.gateway.mark_unchanged();
        let door = inner.door().filter(|door| !covers(outer, *door));
        tokio::select! {
            () = attend(&listener, door) => return,
            () = news(Some(&mut inner.gateway)) => {}
        }
    }
}

async fn attend(listener: &Arc<Listener>, door: Option<SocketAddr>) {
    let Some(door) = door else { return pending().await };
    let mut failures = 0;
    loop {
        match TcpListener::bind(door).await {
            Ok(socket) => {
                info!(%door, "apps reach each other by their internal names");
                return listener.clone().accept(socket, None).await;
            }
            // A process that this one follows lets go in a moment.
            Err(error) if failures == BIND_FAILURES => {
                warn!(%door, %error, "apps do not reach each other by their internal names: the address cannot be had; it is tried again");
            }
            Err(_) => {}
        }
        failures += 1;
        sleep(BIND_PAUSE).await;
    }
}

/// Whether a listener takes what comes to `door`.
fn covers(listener: SocketAddr, door: SocketAddr) -> bool {
    let ip = listener.ip().to_canonical();
    listener.port() == door.port() && (ip.is_unspecified() || ip == door.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_has_the_door_too() {
        for (listener, covered) in [
            ("0.0.0.0:80", true),
            ("[::]:80", true),
            ("172.19.0.1:80", true),
            ("[::ffff:172.19.0.1]:80", true),
            ("0.0.0.0:8080", false),
            ("192.0.2.7:80", false),
            ("[2001:db8::1]:80", false),
        ] {
            let covers = covers(listener.parse().unwrap(), "172.19.0.1:80".parse().unwrap());
            assert_eq!(covers, covered, "{listener}");
        }
    }
}
