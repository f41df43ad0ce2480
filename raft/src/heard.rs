//! Whom this node has heard as their leader: every answer to a call with entries, or to a heartbeat, counts, however
//! late it comes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use temps_state::NodeId;
use tokio::time::Instant;

/// When the last call that was answered began, by node.
#[derive(Debug, Default)]
pub struct Heard {
    calls: Mutex<HashMap<NodeId, Instant>>,
}

impl Heard {
    /// A call that began at `begun` was answered.
    pub fn record(&self, node: NodeId, begun: Instant) {
        let mut calls = self.lock();
        let last = calls.entry(node).or_insert(begun);
        *last = begun.max(*last);
    }

    /// How long ago the last call began that the node answered.
    pub fn ago(&self, node: NodeId) -> Option<Duration> {
        self.lock().get(&node).map(Instant::elapsed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Instant>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
