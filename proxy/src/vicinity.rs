//! What a node knows of itself when it makes its routes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use temps_state::{Intent, Node, Observed, Replica, ReplicaId, State};
use tokio::sync::watch;

use crate::connector::{Connector, Place};
use crate::inner::{Inner, Inside};

/// Where the healthy replicas of this node listen, as the node itself sees it; `None` until it has looked.
pub type LocalEndpoints = Option<Arc<BTreeMap<ReplicaId, SocketAddr>>>;

/// This node: how it connects, and what it knows of its own replicas.
pub(crate) struct Vicinity {
    /// How it connects.
    pub(crate) connector: Arc<Connector>,
    /// Where its own replicas listen; the state is asked while it is not known.
    pub(crate) endpoints: LocalEndpoints,
    updates: Option<watch::Receiver<LocalEndpoints>>,
    inner: Option<Inner>,
}

impl Vicinity {
    /// A node that learns of its replicas by `updates`, if at all.
    pub(crate) fn new(
        connector: Arc<Connector>,
        updates: Option<watch::Receiver<LocalEndpoints>>,
    ) -> Self {
        let mut vicinity = Self { connector, endpoints: None, updates, inner: None };
        vicinity.look();
        vicinity
    }

    /// Its containers reach each other's apps that way.
    pub(crate) fn with_inner(self, inner: Option<Inner>) -> Self {
        Self { inner, ..self }
    }

    /// What decides about requests to internal names in a state.
    pub(crate) fn inside(&self, state: &State) -> Inside {
        self.inner.as_ref().map(|inner| inner.inside(&state.projects)).unwrap_or_default()
    }

    /// Waits for news of this node's containers.
    pub(crate) async fn changed(&mut self) {
        let inner = self.inner.as_mut();
        let (gateway, residents) = inner.map(|i| (&mut i.gateway, &mut i.residents)).unzip();
        tokio::select! {
            () = news(self.updates.as_mut()) => {}
            () = news(gateway) => {}
            () = news(residents) => {}
        }
        self.look();
    }

    fn look(&mut self) {
        if let Some(updates) = &mut self.updates {
            self.endpoints.clone_from(&updates.borrow_and_update());
        }
    }

    /// Where a replica takes requests, when it should and can. Of its own replicas this node knows better than the
    /// state, which it cannot change while there is no quorum.
    pub(crate) fn place_of(&self, state: &State, replica: &Replica) -> Option<Place> {
        let addr = match self.seen(replica) {
            Some(seen) => seen.filter(|_| replica.intent == Intent::Serve)?,
            None if self.reaches(state, replica) => replica.serving_endpoint()?,
            None => return None,
        };
        Some(Place { node: replica.node, addr })
    }

    /// Whether connections to a replica that was at `place` may go on although it takes no more requests: while it
    /// drains, or fails its health check. One that is kept is about to be frozen.
    pub(crate) fn may_linger(&self, state: &State, replica: &Replica, place: Place) -> bool {
        let gone = match (self.seen(replica).flatten(), &replica.observed) {
            (Some(addr), _) => addr != place.addr,
            (None, Observed::Healthy { endpoint }) => *endpoint != place.addr,
            (None, Observed::Down { .. }) => true,
            (None, _) => false,
        };
        !gone && replica.intent != Intent::Keep && self.reaches(state, replica)
    }

    /// What this node itself sees of a replica's endpoint; nothing where it is not for it to say.
    fn seen(&self, replica: &Replica) -> Option<Option<SocketAddr>> {
        let own = replica.node == self.connector.node;
        let endpoints = self.endpoints.as_ref().filter(|_| own)?;
        Some(endpoints.get(&replica.id).copied())
    }

    /// Whether the replica's node is there, as far as the cluster knows.
    fn reaches(&self, state: &State, replica: &Replica) -> bool {
        replica.node == self.connector.node
            || state.nodes.get(&replica.node).is_some_and(Node::is_reachable)
    }
}

/// Waits until something else is told; for ever where nobody tells. What was told last holds.
pub(crate) async fn news<T>(told: Option<&mut watch::Receiver<T>>) {
    let told = match told {
        Some(told) => told.changed().await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending().await
    }
}
