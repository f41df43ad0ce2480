//! The nodes this one is or was connected to.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use arc_swap::ArcSwap;
use futures::{StreamExt, stream};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    MeshError,
    backoff::Backoff,
    core::{Close, Core},
    endpoint,
    limits::{
        LINKS_FOR_STREAMS, LINKS_PER_NODE_MAX, RENEWALS_MAX, SPREAD_WITHIN, STALLED_STREAMS_MAX,
    },
    link::Link,
    port::Port,
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
        core.tasks.spawn(core.links.track_future(link.clone().serve(core.clone())));
        link
    }

    /// Ends all connections that are on a port.
    pub(crate) fn close(&self, port: &Arc<Port>, why: Close) {
        for peer in self.by_node.load().values() {
            let links = peer.links.load();
            let there = links.iter().filter(|link| Arc::ptr_eq(&link.port, port));
            there.for_each(|link| link.close(why));
        }
    }

    /// Moves every node that is connected over to the port that is used now.
    pub(crate) async fn renew(core: &Arc<Core>) {
        let peers = core.peers.by_node.load_full();
        let renew = |(node, peer): (&u64, &Arc<Peer>)| {
            let (node, peer) = (*node, peer.clone());
            async move { peer.renew(core, node).await }
        };
        stream::iter(peers.iter()).for_each_concurrent(RENEWALS_MAX, renew).await;
    }

    pub(crate) fn forget(&self, link: &Link) {
        if let Some(peer) = self.by_node.load().get(&link.node) {
            peer.forget(link);
        }
    }

    /// Stops opening streams in the connections that there are.
    pub(crate) fn forget_all(&self) {
        self.by_node.load().values().for_each(|peer| peer.forget_those(|_| true));
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
    /// A connection to `node`, which must be this peer, for one more stream; dials when there is none, or all are crowded.
    /// Many may call at once: one dials, the others get its outcome.
    pub(crate) async fn link(
        self: &Arc<Self>,
        core: &Arc<Core>,
        node: u64,
    ) -> Result<Arc<Link>, MeshError> {
        if let Some(link) = self.fit() {
            return Ok(link);
        }
        if self.least_crowded().is_none() {
            // The peer may come to us meanwhile.
            let dialled = self.another(core, node).await;
            return dialled.or_else(|error| self.least_crowded().ok_or(error));
        }
        // It goes on, so that whoever comes next has its outcome.
        let (peer, shared) = (self.clone(), core.clone());
        let dialled = core.tasks.spawn(async move { peer.another(&shared, node).await });
        match timeout(SPREAD_WITHIN, dialled).await {
            Ok(Ok(Ok(link))) => Ok(link),
            _ => self.least_crowded().ok_or(MeshError::Silent { node }),
        }
    }

    async fn another(&self, core: &Arc<Core>, node: u64) -> Result<Arc<Link>, MeshError> {
        let mut dialling = self.dialling.lock().await;
        if let Some(link) = self.fit() {
            return Ok(link);
        }
        // Where the node came from last: behind its address may be a process that is on its way out.
        let latest = self.live().filter(|link| !link.is_superseded());
        match latest.and_then(|link| link.remote()) {
            Some(address) => dialling.dial_at(core, node, address).await,
            None => dialling.dial(core, node).await,
        }
    }

    /// Connects anew to `node`, which must be this peer, when its newest connection is on a port that was left, and
    /// forgets those that are. Keeps them while there is no other.
    pub(crate) async fn renew(&self, core: &Arc<Core>, node: u64) {
        let mut dialling = self.dialling.lock().await;
        let Some(link) = self.live() else { return };
        if !core.uses(&link.port)
            && let Err(error) = dialling.dial(core, node).await
        {
            return tracing::warn!(node, %error, "cannot move a node to another connection");
        }
        self.forget_those(|link| !core.uses(&link.port));
    }

    /// Stops opening streams in a connection. It goes on for the streams it has, and is closed once it has none.
    pub(crate) fn forget(&self, link: &Link) {
        self.forget_those(|known| std::ptr::eq(known, link));
    }

    fn forget_those(&self, forgotten: impl Fn(&Link) -> bool) {
        let before = self
            .links
            .rcu(|links| links.iter().filter(|link| !forgotten(link)).cloned().collect::<Vec<_>>());
        before.iter().filter(|link| forgotten(link)).for_each(|link| link.retire());
    }

    /// The newest comes first: a node that connects anew, from another port, has no use for the older ones.
    fn push(&self, link: &Arc<Link>) {
        if self.live().is_some_and(|newest| newest.remote() != link.remote()) {
            self.links.load().iter().for_each(|older| older.supersede());
        }
        let mut surplus = None;
        self.links.rcu(|links| {
            let mut links = links.iter().cloned().collect::<VecDeque<_>>();
            surplus = (links.len() >= LINKS_PER_NODE_MAX).then(|| remove_oldest(&mut links));
            links.push_front(link.clone());
            Vec::from(links)
        });
        if let Some(surplus) = surplus.flatten() {
            surplus.close(Close::Superseded);
        }
    }

    /// The newest connection that slow readers cannot fill; where there is none and there are enough, the least crowded.
    fn fit(&self) -> Option<Arc<Link>> {
        let links = self.links.load();
        let mut in_use = links.iter().filter(|link| link.is_alive() && !link.is_superseded());
        let free = in_use.clone().find(|link| link.streams() < STALLED_STREAMS_MAX as usize);
        match free {
            Some(link) => Some(link.clone()),
            None => in_use.nth(LINKS_FOR_STREAMS - 1).and_then(|_| self.least_crowded()),
        }
    }

    /// Of those to a process that is on its way out, only where there is no other.
    fn least_crowded(&self) -> Option<Arc<Link>> {
        let links = self.links.load();
        let alive = links.iter().filter(|link| link.is_alive());
        alive.min_by_key(|link| (link.is_superseded(), link.streams())).cloned()
    }

    /// The newest connection.
    pub(crate) fn live(&self) -> Option<Arc<Link>> {
        self.links.load().iter().find(|link| link.is_alive()).cloned()
    }
}

/// Those with streams under way go last.
fn remove_oldest(links: &mut VecDeque<Arc<Link>>) -> Option<Arc<Link>> {
    let idle = links.iter().rposition(|link| link.is_idle());
    links.remove(idle.unwrap_or(links.len().saturating_sub(1)))
}

impl Dialling {
    async fn dial(&mut self, core: &Arc<Core>, node: u64) -> Result<Arc<Link>, MeshError> {
        let address = core.tls.address(node).ok_or(MeshError::NoAddress { node })?;
        self.dial_at(core, node, address).await
    }

    async fn dial_at(
        &mut self,
        core: &Arc<Core>,
        node: u64,
        address: SocketAddr,
    ) -> Result<Arc<Link>, MeshError> {
        self.may_try(node, address)?;
        match endpoint::dial(core, node, address).await {
            Ok(link) => {
                self.backoff.reset();
                Ok(Peers::add(core, link))
            }
            Err(error) => {
                self.backoff.fail(Instant::now());
                Err(error)
            }
        }
    }

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
