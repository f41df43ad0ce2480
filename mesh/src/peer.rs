//! The nodes this one is or was connected to.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::{
    MeshError,
    backoff::Backoff,
    core::{Close, Core},
    endpoint,
    limits::LINKS_PER_NODE_MAX,
    link::Link,
};

/// All of them. Read on the request path without a lock; copied when a node is first met.
#[derive(Default)]
pub(crate) struct Peers {
    by_node: ArcSwap<HashMap<u64, Arc<Peer>>>,
}

impl Peers {
    pub(crate) fn get(&self, node: u64) -> Arc<Peer> {
        if let Some(peer) = self.by_node.load().get(&node) {
            return peer.clone();
        }
        let new = Arc::new(Peer::default());
        self.by_node.rcu(|peers| {
            let mut peers = HashMap::clone(peers);
            peers.entry(node).or_insert_with(|| new.clone());
            peers
        });
        self.by_node.load().get(&node).cloned().unwrap_or(new)
    }

    /// Begins to use a connection and to take its streams.
    pub(crate) fn add(core: &Arc<Core>, link: Link) -> Arc<Link> {
        let link = Arc::new(link);
        core.peers.get(link.node).push(&link);
        core.tasks.spawn(link.clone().serve(core.clone()));
        link
    }

    /// Ends all connections.
    pub(crate) fn close(&self, why: Close) {
        for peer in self.by_node.load().values() {
            peer.links.load().iter().for_each(|link| link.close(why));
        }
    }

    pub(crate) fn knows(&self, link: &Link) -> bool {
        let peers = self.by_node.load();
        peers.get(&link.node).is_some_and(|peer| peer.knows(link))
    }

    pub(crate) fn forget(&self, link: &Link) {
        if let Some(peer) = self.by_node.load().get(&link.node) {
            peer.forget(link);
        }
    }
}

/// One node: the connections to it, newest first, and when it may be dialled again.
#[derive(Default)]
pub(crate) struct Peer {
    links: ArcSwap<Vec<Arc<Link>>>,
    dialling: Mutex<Dialling>,
}

#[derive(Default)]
struct Dialling {
    address: Option<SocketAddr>,
    backoff: Backoff,
}

impl Peer {
    /// A live connection to `node`, which must be this peer; dials when there is none. Many may call at once: one
    /// dials, the others get its outcome.
    pub(crate) async fn link(&self, core: &Arc<Core>, node: u64) -> Result<Arc<Link>, MeshError> {
        if let Some(link) = self.live() {
            return Ok(link);
        }
        let mut dialling = self.dialling.lock().await;
        if let Some(link) = self.live() {
            return Ok(link);
        }
        let address = core.tls.address(node).ok_or(MeshError::NoAddress { node })?;
        dialling.may_try(node, address)?;
        match endpoint::dial(core, node, address).await {
            Ok(link) => {
                dialling.backoff.reset();
                Ok(Peers::add(core, link))
            }
            Err(error) => {
                dialling.backoff.fail(Instant::now());
                // The peer may have come to us meanwhile.
                self.live().ok_or(error)
            }
        }
    }

    /// Stops opening streams in a connection. It goes on for the streams it has, and is closed once it has none.
    pub(crate) fn forget(&self, link: &Link) {
        self.links.rcu(|links| {
            links.iter().filter(|known| !same(known, link)).cloned().collect::<Vec<_>>()
        });
    }

    /// The newest comes first: a node that connects anew has no use for the older ones.
    fn push(&self, link: &Arc<Link>) {
        let before = self.links.rcu(|links| {
            let kept = links.iter().take(LINKS_PER_NODE_MAX - 1);
            std::iter::once(link).chain(kept).cloned().collect::<Vec<_>>()
        });
        for superseded in before.iter().skip(LINKS_PER_NODE_MAX - 1) {
            superseded.close(Close::Superseded);
        }
    }

    fn live(&self) -> Option<Arc<Link>> {
        self.links.load().iter().find(|link| link.is_alive()).cloned()
    }

    fn knows(&self, link: &Link) -> bool {
        self.links.load().iter().any(|known| same(known, link))
    }
}

fn same(known: &Arc<Link>, link: &Link) -> bool {
    std::ptr::eq(Arc::as_ptr(known), link)
}

impl Dialling {
    /// Whether it is time to try; a node that has moved is tried at once.
    fn may_try(&mut self, node: u64, address: SocketAddr) -> Result<(), MeshError> {
        if self.address.replace(address) != Some(address) {
            self.backoff.reset();
        }
        match self.backoff.wait(Instant::now()) {
            Some(retry_in) => Err(MeshError::Unreachable { node, retry_in }),
            None => Ok(()),
        }
    }
}
