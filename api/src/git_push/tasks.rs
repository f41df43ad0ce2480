//! The tasks that serve Git clients. They go on when their client goes away, but not when their node does.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

/// How long Git requests under way may take to end once the node stops.
pub const GIT_DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// The tasks that serve Git clients.
#[derive(Default)]
pub(crate) struct GitTasks {
    tasks: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl GitTasks {
    /// Runs a task until its end or, at the latest, the node's; it must own its git process.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.cut.clone().run_until_cancelled_owned(task));
    }

    /// Done once the node stops: then nobody should wait for a deployment any more.
    pub(super) fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.stopping.clone().cancelled_owned()
    }

    /// Waits for the tasks to end, and ends those that take too long, with their git processes.
    pub async fn end(&self) {
        self.stopping.cancel();
        self.tasks.close();
        if timeout(GIT_DRAIN_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "cut Git requests that did not end in time");
        }
        self.cut.cancel();
        self.tasks.wait().await;
    }
}
