//! Whether the port of a node that hands over is open. Its listening socket goes from one process to the next, so it stays
//! open while either lives, though nobody answers there for a while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use temps_state::NodeId;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How often a port is tried. What connects waits in the socket's queue until the next process takes it.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How long a try may take.
const TRY_FOR: Duration = Duration::from_millis(500);

/// The ports of the nodes that hand over.
#[derive(Debug, Default)]
pub struct Doors {
    seen: BTreeMap<NodeId, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When it was open the last time; when it was first tried, if never.
    open: Instant,
    tried: Instant,
}

impl Doors {
    /// Tries the ports of the nodes that hand over, if it is time, and forgets those of others.
    pub async fn look(&mut self, handing: BTreeMap<NodeId, SocketAddr>, now: Instant) {
        self.seen.retain(|node, _| handing.contains_key(node));
        let due = handing.into_iter().filter(|(node, _)| {
            self.seen.get(node).is_none_or(|seen| now.duration_since(seen.tried) >= TRY_EVERY)
        });
        let tries = due.map(async |(node, address)| (node, is_open(address).await));
        for (node, is_open) in join_all(tries).await {
            let seen = self.seen.entry(node).or_insert(Seen { open: now, tried: now });
            seen.tried = now;
            if is_open {
                seen.open = now;
            }
        }
    }

    /// For how long the port of a node has not been open at `now`.
    pub fn shut_for(&self, node: NodeId, now: Instant) -> Option<Duration> {
        self.seen.get(&node).map(|seen| now.duration_since(seen.open))
    }
}

async fn is_open(address: SocketAddr) -> bool {
    matches!(timeout(TRY_FOR, TcpStream::connect(address)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_port_is_open_while_somebody_has_its_socket() {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (node, address) = (NodeId(1), socket.local_addr().expect("an address"));
        let (mut doors, begun) = (Doors::default(), Instant::now());
        let mut socket = Some(socket);
        // When it is looked, whether the socket is there, and for how long the port is shut then.
        let cases = [(0, true, 0), (5, true, 0), (7, false, 2), (12, false, 7)];
        for (second, is_there, shut_for) in cases {
            socket = socket.filter(|_| is_there);
            let now = begun + Duration::from_secs(second);
            doors.look(BTreeMap::from([(node, address)]), now).await;
            let shut_for = Some(Duration::from_secs(shut_for));
            assert_eq!(doors.shut_for(node, now), shut_for, "at second {second}");
        }
        doors.look(BTreeMap::new(), begun).await;
        assert_eq!(doors.shut_for(node, begun), None);
    }
}
