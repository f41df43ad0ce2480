//! An HTTP client at each edge, at a steady rate, whatever happens to the nodes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::client::http_client;
use crate::report::{Report, Tally};

/// How long an app may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Requests that may be under way at one edge; what would be sent beyond them has failed.
const UNDER_WAY_MAX: usize = 512;
/// Octets of a body that are kept.
const BODY_KEPT: usize = 80;

/// Requests that go out until they are stopped. Dropping it stops them too.
#[derive(Debug)]
pub struct Traffic {
    stop: watch::Sender<bool>,
    done: Arc<AtomicU64>,
    edges: Vec<(usize, JoinHandle<Tally>)>,
}

/// What is asked for at one edge.
#[derive(Clone)]
struct Errand {
    http: reqwest::Client,
    url: String,
    host: String,
    began: Instant,
    done: Arc<AtomicU64>,
}

impl Traffic {
    /// Sends `GET /` for this host to each edge, so many times a second to each. What is slow holds nothing else up,
    /// and what this process itself is late with is sent all the same.
    ///
    /// # Panics
    /// Outside a tokio runtime, or with a rate of 0.
    #[must_use]
    pub fn start(edges: &[(usize, SocketAddr)], host: &str, rate: u32) -> Self {
        let (stop, stopped) = watch::channel(false);
        let done = Arc::new(AtomicU64::new(0));
        let start = |&(node, edge): &(usize, SocketAddr)| {
            let http = http_client(ANSWER_LIMIT)
                .expect("an HTTP client needs nothing that could be missing");
            let (url, host) = (format!("http://{edge}/"), host.to_owned());
            let errand = Errand { http, url, host, began: Instant::now(), done: done.clone() };
            (node, tokio::spawn(drive(errand, rate, stopped.clone())))
        };
        let edges = edges.iter().map(start).collect();
        Self { stop, done, edges }
    }

    /// Requests that have been answered, or have failed, until now.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends it; what is under way is waited for.
    pub async fn stop(self) -> Report {
        // Only tasks that have ended do not listen.
        let _ = self.stop.send(true);
        let mut report = Report::default();
        for (node, edge) in self.edges {
            let tally =
                edge.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            report.edges.insert(node, tally);
        }
        report
    }
}

/// Sends at one edge until it is told to stop.
async fn drive(errand: Errand, rate: u32, mut stopped: watch::Receiver<bool>) -> Tally {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    let mut tally = Tally::default();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                if under_way.len() < UNDER_WAY_MAX {
                    under_way.spawn(errand.clone().run());
                } else {
                    tally.count(errand.began.elapsed(), Duration::ZERO, Err("too many are under way".into()));
                }
            }
            Some(Ok((sent, took, outcome))) = under_way.join_next() => tally.count(sent, took, outcome),
            _ = stopped.changed() => break,
        }
    }
    while let Some(Ok((sent, took, outcome))) = under_way.join_next().await {
        tally.count(sent, took, outcome);
    }
    tally
}

impl Errand {
    /// One request: when it was sent, how long it took, and the body or what went wrong.
    async fn run(self) -> (Duration, Duration, Result<String, String>) {
        let (sent, clock) = (self.began.elapsed(), Instant::now());
        let outcome = self.ask().await;
        self.done.fetch_add(1, Ordering::Relaxed);
        (sent, clock.elapsed(), outcome)
    }

    async fn ask(&self) -> Result<String, String> {
        let asked = self.http.get(&self.url).header("host", &self.host).send().await;
        let response = asked.map_err(|error| with_causes(&error))?;
        let status = response.status();
        let body = response.text().await.map_err(|error| with_causes(&error))?;
        let body: String = body.chars().take(BODY_KEPT).collect();
        if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) }
    }
}

/// An error and why, for reqwest's own words leave the cause out.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
