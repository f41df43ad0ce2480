//! The route table that holds now, swapped whole when the state changes.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use temps_raft::Applied;
use tokio::sync::watch;

use crate::limits::Limits;
use crate::route_table::RouteTable;
use crate::vicinity::Vicinity;

/// The current [`RouteTable`]. Readers take it without waiting.
pub(crate) struct LiveTable {
    current: ArcSwap<RouteTable>,
    /// The index of the state that the table is made from.
    applied: watch::Sender<u64>,
    /// How often the routes changed.
    changes: watch::Sender<u64>,
}

impl LiveTable {
    /// A table without routes.
    pub(crate) fn new() -> Self {
        Self {
            current: ArcSwap::default(),
            applied: watch::Sender::new(0),
            changes: watch::Sender::new(0),
        }
    }

    /// The table that holds now.
    pub(crate) fn load(&self) -> Guard<Arc<RouteTable>> {
        self.current.load()
    }

    /// The bounds that hold now.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.current.load().limits.clone()
    }

    /// Tells of every change of the routes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells which state the table is made from.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// The table of a newer state.
    pub(crate) fn next(&self, state: &Applied, vicinity: &Vicinity) -> RouteTable {
        RouteTable::new(state, &self.current.load(), vicinity)
    }

    /// Puts a table in force, and ends the connections to endpoints that it does not have.
    pub(crate) fn swap(&self, table: RouteTable) {
        let table = Arc::new(table);
        let previous = self.current.swap(table.clone());
        self.changes.send_modify(|changes| *changes += 1);
        for endpoint in previous.gone(&table) {
            endpoint.line.cut();
        }
    }

    /// Tells that the table in force is that of the state at `index`.
    pub(crate) fn reached(&self, index: u64) {
        self.applied.send_replace(index);
    }
}
