//! How far this node's edge has come.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::Applied;

/// What the edge shows. One that nobody told of begins with what is applied, so it is not behind.
#[derive(Clone)]
pub struct Edge {
    told: Arc<OnceLock<watch::Receiver<u64>>>,
    applied: watch::Receiver<Arc<Applied>>,
}

impl Edge {
    /// An edge that nobody told of yet.
    pub fn new(applied: watch::Receiver<Arc<Applied>>) -> Self {
        Self { told: Arc::default(), applied }
    }

    /// Tells where the edge's progress is seen. Only the first one counts.
    pub fn tell(&self, applied: watch::Receiver<u64>) {
        // A second edge on one node is not meant to be; the first one goes on counting.
        let _ = self.told.set(applied);
    }

    /// What it has applied.
    pub fn applied(&self) -> u64 {
        match self.told.get() {
            Some(told) => *told.borrow(),
            None => self.applied.borrow().index,
        }
    }

    /// Waits until it has applied `index`, or the time is over; says what it has applied then.
    pub async fn wait(&self, index: u64, within: Duration) -> u64 {
        let reached = async {
            match self.told.get() {
                Some(told) => told.clone().wait_for(|applied| *applied >= index).await.is_ok(),
                None => {
                    self.applied.clone().wait_for(|applied| applied.index >= index).await.is_ok()
                }
            }
        };
        // Whatever ended the wait, the answer is how far the edge is.
        let _ = timeout(within, reached).await;
        self.applied()
    }
}
