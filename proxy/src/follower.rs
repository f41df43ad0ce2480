//! Keeps what the edge serves as the state says.

use std::sync::Arc;

use temps_raft::Applied;
use tokio::sync::watch;
use tracing::error;

use crate::live_table::LiveTable;
use crate::route_table::RouteTable;
use crate::sites::Sites;
use crate::tls::Certificates;
use crate::vicinity::Vicinity;

/// Puts the route table, the sites and the certificates of each state in force.
pub(crate) struct Follower {
    pub(crate) table: Arc<LiveTable>,
    pub(crate) sites: Arc<Sites>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) applied: watch::Receiver<Arc<Applied>>,
    pub(crate) vicinity: Vicinity,
}

impl Follower {
    /// Puts the state in force that is there now.
    pub(crate) async fn begin(&mut self) -> Arc<Applied> {
        let state = self.applied.borrow_and_update().clone();
        let table = self.table.next(&state, &self.vicinity);
        self.show(&state, Some(table), true).await;
        state
    }

    /// Follows the state from the one that was `shown` last, until no more come.
    pub(crate) async fn follow(&mut self, mut shown: Arc<Applied>) {
        loop {
            let moved = tokio::select! {
                changed = self.applied.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                () = self.vicinity.changed() => true,
            };
            let newer = self.applied.borrow_and_update().clone();
            let routes = moved || !RouteTable::same(&shown, &newer);
            let table = routes.then(|| self.table.next(&newer, &self.vicinity));
            let certificates = !Certificates::same(&shown, &newer);
            self.show(&newer, table, certificates).await;
            shown = newer;
        }
    }

    /// Puts what changed of a state in force. What a route needs is there before the route is.
    async fn show(&self, state: &Arc<Applied>, table: Option<RouteTable>, certificates: bool) {
        if table.is_some() || certificates {
            match self.prepare(state.clone(), table, certificates).await {
                Ok(table) => table.into_iter().for_each(|table| self.table.swap(table)),
                Err(error) => return error!(%error, "cannot make ready what a route needs"),
            }
        }
        self.table.reached(state.index);
    }

    async fn prepare(
        &self,
        state: Arc<Applied>,
        table: Option<RouteTable>,
        certificates: bool,
    ) -> Result<Option<RouteTable>, tokio::task::JoinError> {
        let (sites, shown) = (self.sites.clone(), self.certificates.clone());
        let prepare = move || {
            if certificates {
                shown.follow(&state);
            }
            if let Some(table) = &table {
                sites.keep(table.sites());
            }
            table
        };
        tokio::task::spawn_blocking(prepare).await
    }
}
