//! What everybody in a run shares.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use super::chance::Chance;
use crate::client::Client;
use crate::history::Recorder;
use crate::{Authority, Ground};

/// The cluster, those who write down what they see, and when to stop. Clones share it.
#[derive(Debug, Clone)]
pub struct Field {
    /// The cluster.
    pub ground: Arc<Ground>,
    /// Its API.
    pub client: Client,
    /// The history.
    pub recorder: Recorder,
    /// How many nodes there are.
    pub nodes: usize,
    /// The program under test, which an upgrade leads to.
    pub binary: PathBuf,
    /// The certificate authority, once a workload has started one.
    pub authority: Arc<OnceLock<Arc<Authority>>>,
    chance: Chance,
    stopped: watch::Receiver<bool>,
    numbers: Arc<AtomicU64>,
}

impl Field {
    /// With everything from this seed, until `stopped` says so.
    #[must_use]
    pub fn new(
        ground: Arc<Ground>,
        binary: PathBuf,
        client: Client,
        recorder: Recorder,
        seed: u64,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let nodes = ground.nodes().count();
        let (chance, numbers) = (Chance::from_seed(seed), Arc::new(AtomicU64::new(1)));
        let authority = Arc::default();
        Self { ground, binary, client, recorder, nodes, authority, chance, stopped, numbers }
    }

    /// Lots of one's own.
    #[must_use]
    pub fn chance(&self, name: &str) -> Chance {
        self.chance.fork(name)
    }

    /// A number that nobody else gets.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Waits so long, or until it is over.
    pub async fn pause(&self, time: Duration) {
        let mut stopped = self.stopped.clone();
        // Whoever would say that it is over is gone only with the run.
        let _ = tokio::time::timeout(time, stopped.wait_for(|over| *over)).await;
    }
}
