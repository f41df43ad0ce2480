//! How a node leaves off: everything that a successor needs is free, whoever still has a handle.

use std::future::Future;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::timeout;

use super::serve::Serving;
use super::{Cluster, Inner, Meeting};
use crate::RaftError;
use crate::machine::blocking;

/// How long each part may take to let go.
const PART_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the machine may take to finish what it has begun, before its files are closed all the same.
const MACHINE_TIMEOUT: Duration = Duration::from_secs(2);

impl Cluster {
    /// Leaves off and makes everything durable. Afterwards data folder and peer port are free for a successor, though
    /// clones of this live, and what they hand out: state, status, certificates and addresses stay as they were last;
    /// changes and newest reads are refused. Once for all callers; takes fifteen seconds at most.
    pub async fn stop(&self) -> Result<(), RaftError> {
        self.inner.stopped.get_or_try_init(|| self.inner.let_go()).await.copied()
    }
}

impl Inner {
    async fn let_go(&self) -> Result<(), RaftError> {
        self.group.leave_off();
        let left = match self.meeting.as_ref().and_then(Meeting::take_serving) {
            Some(serving) => within(serving.stop()).await,
            None => Ok(()),
        };
        let ended = within(self.group.raft.shutdown()).await;
        if let Some(meeting) = &self.meeting {
            meeting.peers.hang_up();
        }
        let mut running = self.shown.running.clone();
        // One that takes longer finds its files closed: what it applies then is applied again by whoever comes next.
        let _ = timeout(MACHINE_TIMEOUT, running.changed()).await;
        let closed = within(self.close()).await;
        left?;
        ended?.map_err(RaftError::failed)?;
        closed?.map_err(RaftError::failed)
    }

    /// Closes every file, also when not everything could be written: nothing is lost that was acknowledged.
    async fn close(&self) -> io::Result<()> {
        let synced = self.log.sync().await;
        let (log, store, snapshots) =
            (self.log.clone(), self.store.clone(), self.group.snapshots.clone());
        let closed = blocking(move || {
            snapshots.close();
            let synced = store.sync();
            log.close();
            store.close().and(synced)
        });
        closed.await.and(synced)
    }
}

impl Meeting {
    fn take_serving(&self) -> Option<Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn within<T>(work: impl Future<Output = T>) -> Result<T, RaftError> {
    timeout(PART_TIMEOUT, work).await.map_err(|_| RaftError::StopTimeout { within: PART_TIMEOUT })
}
