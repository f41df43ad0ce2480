//! An edge that serves.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::EdgeView;
use crate::access_log::AccessLog;
use crate::recent::Recent;

/// How long the last entries of the access log may take to be written.
const LOG_MAX: Duration = Duration::from_secs(1);

/// A serving edge. Dropping it cuts all connections; [`stop`](Self::stop) lets requests end first.
pub struct EdgeHandle {
    applied: watch::Receiver<u64>,
    view: EdgeView,
    stop: watch::Sender<bool>,
    tasks: TaskTracker,
    log: AccessLog,
    /// Only `None` once it is being dropped.
    runtime: Option<Runtime>,
}

impl EdgeHandle {
    pub(crate) fn new(
        applied: watch::Receiver<u64>,
        view: EdgeView,
        stop: watch::Sender<bool>,
        tasks: TaskTracker,
        log: AccessLog,
        runtime: Runtime,
    ) -> Self {
        Self { applied, view, stop, tasks, log, runtime: Some(runtime) }
    }

    /// The log index of the state that its route table is made from.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }

    /// What it does for a name.
    pub fn view(&self) -> EdgeView {
        self.view.clone()
    }

    /// The latest requests that it has answered.
    pub fn requests(&self) -> Recent {
        self.log.recent()
    }

    /// Takes no more connections, lets the requests under way end for as long as `within`, then cuts what is left.
    pub async fn stop(self, within: Duration) {
        self.stop.send_replace(true);
        self.tasks.close();
        if timeout(within, self.tasks.wait()).await.is_err() {
            warn!(connections = self.tasks.len(), "cut connections that did not end in time");
        }
        let _ = timeout(LOG_MAX, self.log.flush()).await;
    }
}

impl Drop for EdgeHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not wait for its threads inside another one.
            runtime.shutdown_background();
        }
    }
}
