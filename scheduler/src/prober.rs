//! The health of one replica, asked for as long as its container runs at one address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use temps_state::HealthCheck;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::health::{Answer, Change, Tally, Verdict, failure, is_hidden, only_port};
use crate::probe;
use crate::runtime::Runtime;
use crate::runtime::loopback;
use crate::runtime::sockets::listening;

/// How long a closed port is waited for before its container is looked at more closely, and how often then.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How long an app for which nobody named a port has to open all its ports before its only one is taken.
const PORT_TAKEN_AFTER: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The container.
    pub container: String,
    /// Where it should listen.
    pub endpoint: SocketAddr,
    /// Whether the one port that it does listen on will do as well.
    pub port_assumed: bool,
    /// When it counts as healthy.
    pub check: HealthCheck,
    /// The `Host` to ask for.
    pub host: String,
}

/// A running watch over one replica; ends when dropped.
pub struct Prober {
    target: Target,
    verdict: watch::Receiver<Verdict>,
    poke: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    /// Begins to ask. `healthy` if the cluster knows the endpoint as healthy already; `wake` is told of verdicts.
    pub fn start(target: Target, healthy: bool, runtime: Runtime, wake: Arc<Notify>) -> Self {
        let (sender, verdict) = watch::channel(Verdict::Unknown);
        let poke = Arc::new(Notify::new());
        let tally = Tally::new(target.check.clone(), healthy);
        let asker = Asker {
            target: target.clone(),
            runtime,
            tally,
            began: Instant::now(),
            looked: None,
            elsewhere: false,
        };
        let task = tokio::spawn(asker.run(sender, wake, poke.clone())).abort_handle();
        Self { target, verdict, poke, task }
    }

    /// Whether it asks this.
    pub fn asks(&self, target: &Target) -> bool {
        self.target == *target
    }

    /// What it thinks now.
    pub fn verdict(&self) -> Verdict {
        self.verdict.borrow().clone()
    }

    /// Asks now rather than at the next interval.
    pub fn poke(&self) {
        self.poke.notify_one();
    }
}

struct Asker {
    target: Target,
    runtime: Runtime,
    tally: Tally,
    began: Instant,
    looked: Option<Instant>,
    elsewhere: bool,
}

impl Asker {
    async fn run(mut self, verdict: watch::Sender<Verdict>, wake: Arc<Notify>, poke: Arc<Notify>) {
        let Target { check, host, .. } = self.target.clone();
        loop {
            let endpoint = self.target.endpoint;
            let answer = probe::check(endpoint, &host, &check, self.tally.was_healthy()).await;
            self.look(&answer).await;
            let elapsed = self.began.elapsed();
            if let Some(change) = self.tally.count(&answer, elapsed, self.elsewhere) {
                verdict.send_replace(self.conclude(change, &answer).await);
                wake.notify_one();
            }
            tokio::select! {
                () = sleep(self.tally.pause(elapsed)) => {}
                () = poke.notified() => {}
            }
        }
    }

    async fn conclude(&self, change: Change, answer: &Answer) -> Verdict {
        let Target { container, endpoint, check, .. } = &self.target;
        match change {
            Change::Passed => Verdict::Healthy { endpoint: *endpoint },
            Change::Failed(code) => {
                let listens = self.listens().await;
                let tail = self.runtime.log_tail(container).await;
                let failure = failure(code, answer, check, endpoint.port(), &listens, tail);
                Verdict::Unhealthy { failure }
            }
        }
    }

    /// A new replica whose port is closed may listen on another.
    async fn look(&mut self, answer: &Answer) {
        if *answer != Answer::PortClosed || self.tally.was_healthy() {
            self.elsewhere = false;
            return;
        }
        if self.looked.unwrap_or(self.began).elapsed() >= LOOK_PAUSE {
            self.looked = Some(Instant::now());
            let listens = self.listens().await;
            self.elsewhere = !listens.is_empty();
            self.take_port(&listens);
            self.reveal(&listens).await;
        }
    }

    /// Goes on with the port that the app listens on, when nobody named one.
    fn take_port(&mut self, listens: &[SocketAddr]) {
        let settled = self.began.elapsed() >= PORT_TAKEN_AFTER;
        if let Some(port) = only_port(listens)
            && self.target.port_assumed
            && settled
        {
            tracing::info!(container = %self.target.container, port, "nobody named a port: taking the one it listens on");
            self.target.endpoint.set_port(port);
        }
    }

    /// Makes a port reachable on which the app listens for its own container only.
    async fn reveal(&self, listens: &[SocketAddr]) {
        let Target { container, endpoint, .. } = &self.target;
        if !is_hidden(endpoint.port(), listens) {
            return;
        }
        let Some(pid) = self.runtime.pid(container).await else { return };
        match loopback::open(pid, endpoint.port()).await {
            Ok(()) => {
                tracing::info!(%container, %endpoint, "the app listens on 127.0.0.1 only: handing it what arrives");
            }
            Err(error) => {
                tracing::warn!(%container, %endpoint, %error, "the app listens on 127.0.0.1 only, and cannot be reached");
            }
        }
    }

    async fn listens(&self) -> Vec<SocketAddr> {
        match self.runtime.pid(&self.target.container).await {
            Some(pid) => listening(pid).await,
            None => vec![],
        }
    }
}
