//! Requests to apps on a schedule, made by the leader. A tick that was missed is not made up for, and a job that still
//! runs is not started again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use croner::parser::CronParser;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use temps_raft::Cluster;
use temps_state::{CronJob, Deployment, EnvironmentId, State, Variable, VariableName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::probe;

/// How long one request may take.
pub const CRON_TIMEOUT: Duration = Duration::from_secs(300);
/// How many requests are under way at once, of all apps together.
pub const CRON_AT_ONCE_MAX: usize = 32;
/// The variable whose value is sent as a bearer token, when the app has it.
pub const CRON_SECRET: &str = "CRON_SECRET";

/// Whether a schedule has a tick after one moment and not after another; `false` for a schedule that cannot be read.
pub fn is_due(schedule: &str, after: Timestamp, until: Timestamp) -> bool {
    let Ok(cron) = CronParser::new().parse(schedule) else { return false };
    let next = cron.find_next_occurrence(&after.to_zoned(TimeZone::UTC), false);
    next.is_ok_and(|next| next.timestamp() <= until)
}

/// One request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The environment of the app.
    pub environment: EnvironmentId,
    /// The job.
    pub job: CronJob,
    /// Where one of its healthy replicas listens.
    pub endpoint: SocketAddr,
}

/// The requests whose time has come between two moments: those of live deployments with a healthy replica.
pub fn due(state: &State, after: Timestamp, until: Timestamp) -> Vec<Due> {
    let live = state.environments.values().filter_map(|e| state.deployments.get(&e.current?));
    live.filter(|deployment| is_enabled(state, deployment))
        .flat_map(|deployment| {
            let jobs = deployment.config.iter().flat_map(|config| &config.cron);
            let jobs = jobs.filter(|job| is_due(&job.schedule, after, until));
            jobs.filter_map(|job| {
                let replica = state.replicas_of(deployment.id);
                let endpoint = { replica }.find_map(|replica| replica.serving_endpoint())?;
                Some(Due { environment: deployment.environment, job: job.clone(), endpoint })
            })
        })
        .collect()
}

fn is_enabled(state: &State, deployment: &Deployment) -> bool {
    state.projects.get(&deployment.project).is_some_and(|project| !project.disabled)
}

/// The moment up to which ticks were seen, and the jobs under way.
pub struct Clock {
    seen: Timestamp,
    edge: Option<SocketAddr>,
    at_once: Arc<Semaphore>,
    running: BTreeMap<(EnvironmentId, String), Arc<Semaphore>>,
    tasks: TaskTracker,
}

impl Clock {
    /// A clock that knows nothing of ticks before `now`. It asks apps through this node's edge, which reaches replicas on
    /// every node; without one, straight.
    pub fn new(now: Timestamp, edge: Option<SocketAddr>) -> Self {
        Self {
            seen: now,
            edge,
            at_once: Arc::new(Semaphore::new(CRON_AT_ONCE_MAX)),
            running: BTreeMap::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Makes the requests whose time has come since the last call.
    pub fn ring(&mut self, cluster: &Cluster, now: Timestamp, cancel: &CancellationToken) {
        let state = cluster.state();
        self.running.retain(|_, running| running.available_permits() == 0);
        for due in due(&state, self.seen, now) {
            let Some(permits) = self.permits(&due) else {
                tracing::warn!(job = due.job.name, environment = %due.environment, "cron job skipped: the last run is not over");
                continue;
            };
            let request = request(cluster, &state, &due);
            let to = self.edge.unwrap_or(due.endpoint);
            let run = cancel.clone().run_until_cancelled_owned(run(to, due, request, permits));
            self.tasks.spawn(run);
        }
        self.seen = self.seen.max(now);
    }

    fn permits(&mut self, due: &Due) -> Option<[OwnedSemaphorePermit; 2]> {
        let key = (due.environment, due.job.name.clone());
        let one = self.running.entry(key).or_insert_with(|| Arc::new(Semaphore::new(1)));
        let one = one.clone().try_acquire_owned().ok()?;
        Some([one, self.at_once.clone().try_acquire_owned().ok()?])
    }
}

fn request(cluster: &Cluster, state: &State, due: &Due) -> http::Request<String> {
    let environment = state.environments.get(&due.environment);
    let host = environment.and_then(|environment| state.host_of(environment));
    let mut request = http::Request::get(&due.job.path)
        .header(http::header::HOST, host.unwrap_or_else(|| due.endpoint.to_string()))
        .header("x-cron-job", "true");
    if let Some(secret) = secret(cluster, state, due.environment) {
        request = request.header(http::header::AUTHORIZATION, format!("Bearer {secret}"));
    }
    request.body(String::new()).unwrap_or_default()
}

fn secret(cluster: &Cluster, state: &State, environment: EnvironmentId) -> Option<String> {
    let name: VariableName = CRON_SECRET.parse().ok()?;
    let current = state.environments.get(&environment)?.current?;
    let sealed = state.deployments.get(&current)?.variables.get(&name)?;
    cluster.open(&Variable::place(environment, &name), sealed).ok()
}

async fn run(
    to: SocketAddr,
    due: Due,
    request: http::Request<String>,
    _permits: [OwnedSemaphorePermit; 2],
) {
    let (job, environment) = (due.job.name, due.environment);
    match probe::send(to, request, CRON_TIMEOUT).await {
        Ok(status) if status.is_success() => {
            tracing::info!(job, %environment, %status, "cron job done")
        }
        Ok(status) => tracing::warn!(job, %environment, %status, "cron job failed"),
        Err(error) => tracing::warn!(job, %environment, %error, "cron job failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_tick_is_due_once_however_late_it_is_seen() {
        let due = |schedule, after, until| is_due(schedule, at(after), at(until));
        assert!(due("*/5 * * * *", "2026-01-01T00:04:59Z", "2026-01-01T00:05:00Z"));
        assert!(!due("*/5 * * * *", "2026-01-01T00:05:00Z", "2026-01-01T00:05:01Z"));
        assert!(due("*/5 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"));
        assert!(due("0 3 * * *", "2026-01-01T02:59:59Z", "2026-01-01T03:00:00Z"));
        assert!(!due("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T02:59:59Z"));
        assert!(!due("nonsense", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"));
    }
}
