//! A client that changes things all the time, and remembers what it was promised.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{Answer, Client};

/// How long one node may take before the next one is tried.
const TRY_LIMIT: Duration = Duration::from_secs(1);
/// How long it waits before it tries the same change at another node.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// How long it waits before the next change, so that it measures the cluster and does not fill it.
const BETWEEN_CHANGES: Duration = Duration::from_millis(10);

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The names of the projects whose creation was acknowledged.
    pub acknowledged: Vec<String>,
    /// The longest time from one acknowledgement to the next.
    pub longest_gap: Duration,
}

/// Creates one project after the other until it is stopped. Dropping it stops it too.
#[derive(Debug)]
pub struct Writes {
    stop: watch::Sender<bool>,
    so_far: watch::Receiver<usize>,
    task: JoinHandle<Written>,
}

impl Writes {
    /// Starts to create projects whose names begin with `prefix`. What is not acknowledged is tried again with the same
    /// idempotency key at the next of these nodes, as a client behind a load balancer would.
    #[must_use]
    pub fn start(client: Client, nodes: &[usize], prefix: &str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (count, so_far) = watch::channel(0);
        let writer = Writer { client, nodes: nodes.to_vec(), next: 0, stopped };
        Self { stop, so_far, task: tokio::spawn(writer.run(prefix.to_owned(), count)) }
    }

    /// How many are acknowledged until now.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        *self.so_far.borrow()
    }

    /// Ends it, and tells what was acknowledged.
    pub async fn stop(self) -> Written {
        // Only a task that has ended does not listen.
        let _ = self.stop.send(true);
        self.task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

struct Writer {
    client: Client,
    nodes: Vec<usize>,
    /// Which of the nodes is asked next.
    next: usize,
    stopped: watch::Receiver<bool>,
}

impl Writer {
    async fn run(mut self, prefix: String, count: watch::Sender<usize>) -> Written {
        let mut written = Written::default();
        let mut last = Instant::now();
        while !self.is_stopped() {
            let name = format!("{prefix}-{}", written.acknowledged.len());
            if !self.create(&name).await {
                break;
            }
            written.longest_gap = written.longest_gap.max(last.elapsed());
            last = Instant::now();
            written.acknowledged.push(name);
            count.send_replace(written.acknowledged.len());
            tokio::time::sleep(BETWEEN_CHANGES).await;
        }
        written
    }

    /// Tries until some node acknowledges it; gives up only when it is told to stop.
    async fn create(&mut self, name: &str) -> bool {
        while !self.is_stopped() {
            let node = self.nodes[self.next % self.nodes.len()];
            let body = json!({ "name": name });
            let asked = self.client.post(node, "/projects", &body, Some(name));
            if let Ok(Ok(Answer { status: 201, .. })) = timeout(TRY_LIMIT, asked).await {
                return true;
            }
            self.next += 1;
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        false
    }

    fn is_stopped(&self) -> bool {
        // An owner that is gone does not want more either.
        *self.stopped.borrow() || self.stopped.has_changed().is_err()
    }
}
