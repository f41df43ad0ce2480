//! Follows a deployment until it is live or will not be: its phases as steps with timings, its build log between them.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, path};
use crate::error::CliError;
use crate::output::Output;
use crate::steps::Steps;
use crate::view::{self, Deployment, Environment, LogLine, Queue, Status};

/// How a build log says that a step is over; the step's own line with its timing says so too.
const STEP_DONE: &str = "done in ";
/// How many lines are remembered as shown: more than a failure repeats.
const SHOWN_LINES: usize = 200;
/// How often a broken stream is taken up again before the deployment is left to itself.
const BREAKS_MAX: u32 = 20;
/// The pause before a broken stream is taken up again.
const BREAK_PAUSE: Duration = Duration::from_millis(500);
/// How long the rest of the build log may take to arrive once its step is over.
const LOG_REST_WITHIN: Duration = Duration::from_millis(500);
/// How long this node's edge may take to hear of the switch.
const EDGE_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two looks at the edge.
const EDGE_PAUSE: Duration = Duration::from_millis(50);

/// Shows how a deployment goes and gives it back as it is once it is live; anything else is an error.
pub async fn follow(output: Output, client: &Client, created: &Value) -> Result<Value, CliError> {
    let Deployment { id, number, project_name, phase, .. } = view::read(created)?;
    let base = path(&["projects", &project_name, "deployments", &id]);
    // What is brought back by a rollback was built long ago.
    let builds = phase == "queued";
    let log = || Lines::new(client, format!("{base}/logs"), &[("follow", "true".into())]);
    let mut follower = Follower {
        steps: Steps::new(output),
        events: Lines::new(client, format!("{base}/events"), &[]),
        log: builds.then(log),
        shown: VecDeque::new(),
        ahead: 0,
    };
    let last = tokio::select! {
        last = follower.last_event() => last?,
        _ = tokio::signal::ctrl_c() => return Err(left(&project_name, number)),
    };
    let mut deployment: Deployment = view::read(&last)?;
    if matches!(deployment.phase.as_str(), "failed" | "cancelled") {
        follower.steps.fail();
        follower.leave_out_shown(&mut deployment);
        let live = live_number(client, &deployment).await;
        if output.json {
            output.data(&format!("{last:#}"))?;
        }
        return Err(CliError::DeployFailed { deployment: Box::new(deployment), live });
    }
    follower.steps.enter("switch");
    wait_for_edge(client, &base).await;
    follower.steps.finish();
    Ok(last)
}

fn left(project: &str, number: u64) -> CliError {
    CliError::blocked(
        format!("nobody watches deployment {number} any more"),
        "it was left with Ctrl-C and goes on by itself",
        format!("temps deployments show {number} -p {project}"),
    )
}

struct Follower<'a> {
    steps: Steps,
    events: Lines<'a>,
    /// `None` once the log has ended.
    log: Option<Lines<'a>>,
    /// The last lines of the log that were shown.
    shown: VecDeque<String>,
    /// How many builds were said to be ahead.
    ahead: u64,
}

impl Follower<'_> {
    /// The event that says how it ended.
    async fn last_event(&mut self) -> Result<Value, CliError> {
        loop {
            tokio::select! {
                event = self.events.next_or_break() => {
                    let event = event?;
                    let deployment: Deployment = view::read(&event)?;
                    if !matches!(deployment.phase.as_str(), "queued" | "building" | "preparing") {
                        self.rest_of_log().await;
                    }
                    if is_final(&deployment.phase) {
                        return Ok(event);
                    }
                    if let Some(queue) = &deployment.queue {
                        self.wait(queue);
                    }
                    if let Some(step) = step_of(&deployment) {
                        self.steps.enter(step);
                    }
                }
                line = next_line(&mut self.log) => self.show(line),
            }
        }
    }

    /// Says what a queued deployment waits for, whenever that changes.
    fn wait(&mut self, queue: &Queue) {
        if queue.ahead == 0 || queue.ahead == self.ahead {
            return;
        }
        self.ahead = queue.ahead;
        self.steps.enter("queue");
        self.steps.line(&format!("waiting for a build slot ({})", queue.text()));
    }

    fn show(&mut self, line: Option<LogLine>) {
        let Some(line) = line else {
            self.log = None;
            return;
        };
        if !line.step.is_empty() {
            self.steps.enter(&line.step);
        }
        if self.steps.is_in(&line.step) && line.text.starts_with(STEP_DONE) {
            return self.steps.finish();
        }
        self.steps.line(&line.text);
        self.shown.push_back(line.text);
        if self.shown.len() > SHOWN_LINES {
            self.shown.pop_front();
        }
    }

    /// A failure's last log lines are told once: not when they have just gone by.
    fn leave_out_shown(&self, deployment: &mut Deployment) {
        let Some(failure) = &mut deployment.failure else { return };
        let new = |line: &String| !line.starts_with(STEP_DONE) && !self.shown.contains(line);
        if !failure.log_tail.iter().any(new) {
            failure.log_tail.clear();
        }
    }

    /// The lines that are still on their way, so that they stand before the next step.
    async fn rest_of_log(&mut self) {
        let until = Instant::now() + LOG_REST_WITHIN;
        while self.log.is_some() {
            match tokio::time::timeout_at(until, next_line(&mut self.log)).await {
                Ok(line) => self.show(line),
                Err(_) => return,
            }
        }
    }
}

/// The next line; `None` at the log's end. A log that cannot be read is no reason to stop following.
async fn next_line(log: &mut Option<Lines<'_>>) -> Option<LogLine> {
    match log {
        Some(lines) => {
            let value = lines.next().await.ok().flatten()?;
            view::read(&value).ok()
        }
        None => std::future::pending().await,
    }
}

/// Whether a deployment in that phase will not change by itself any more.
fn is_final(phase: &str) -> bool {
    matches!(phase, "live" | "kept" | "retired" | "failed" | "cancelled")
}

/// The step that a phase stands for; while it builds, the log's own steps tell more.
fn step_of(deployment: &Deployment) -> Option<&'static str> {
    match deployment.phase.as_str() {
        "preparing" => Some("prepare"),
        "starting" if all_serve(deployment) => Some("switch"),
        "starting" => Some("start"),
        _ => None,
    }
}

fn all_serve(deployment: &Deployment) -> bool {
    !deployment.replicas.is_empty() && deployment.replicas.iter().all(view::Replica::serves)
}

async fn live_number(client: &Client, failed: &Deployment) -> Option<u64> {
    let path = path(&["projects", &failed.project_name, "environments", &failed.environment_name]);
    let answer = client.get(&path).await.ok()?;
    let environment: Environment = view::read(&answer.value).ok()?;
    environment.current.map(|current| current.number)
}

/// Returns once the edge of the node we talk to routes by what we just saw, or after a while.
async fn wait_for_edge(client: &Client, deployment: &str) {
    let caught_up = async {
        let Ok(seen) = client.get(deployment).await else { return };
        while let Ok(answer) = client.get(&path(&["status"])).await {
            let status: Status = view::read(&answer.value).unwrap_or_default();
            if status.edge.applied_index >= seen.applied_index {
                return;
            }
            sleep(EDGE_PAUSE).await;
        }
    };
    // The switch is committed either way: a slow edge is no failure.
    let _ = timeout(EDGE_WITHIN, caught_up).await;
}

/// Lines of a stream that is taken up again when it breaks.
pub struct Lines<'a> {
    client: &'a Client,
    path: String,
    query: Vec<(&'a str, String)>,
    open: Option<BoxStream<'static, Result<Value, CliError>>>,
    /// Lines handed out; a stream that starts over sends them again.
    seen: usize,
    breaks: u32,
}

impl<'a> Lines<'a> {
    /// Nothing is asked yet.
    pub fn new(client: &'a Client, path: String, query: &[(&'a str, String)]) -> Self {
        Self { client, path, query: query.to_vec(), open: None, seen: 0, breaks: 0 }
    }

    /// The next line, each once; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Value>, CliError> {
        loop {
            match self.line(self.seen).await {
                Ok(line) => return Ok(line),
                Err(error) => self.take_up_again(error).await?,
            }
        }
    }

    /// The next line of a stream that begins with the newest one and never ends by itself.
    async fn next_or_break(&mut self) -> Result<Value, CliError> {
        loop {
            let error = match self.line(0).await {
                Ok(Some(line)) => return Ok(line),
                Ok(None) => self.ended(),
                Err(error) => error,
            };
            self.take_up_again(error).await?;
        }
    }

    async fn line(&mut self, skip: usize) -> Result<Option<Value>, CliError> {
        if self.open.is_none() {
            let stream = self.client.stream(&self.path, &self.query).await?;
            self.open = Some(stream.skip(skip).boxed());
        }
        let line = match &mut self.open {
            Some(open) => open.next().await.transpose()?,
            None => None,
        };
        if line.is_some() {
            self.seen += 1;
            self.breaks = 0;
        }
        Ok(line)
    }

    fn ended(&self) -> CliError {
        let why = "the stream ended early".into();
        CliError::StreamBroke { url: self.client.url().into(), why }
    }

    async fn take_up_again(&mut self, error: CliError) -> Result<(), CliError> {
        self.open = None;
        self.breaks += 1;
        if self.breaks > BREAKS_MAX || matches!(error, CliError::Refused(_)) {
            return Err(error);
        }
        sleep(BREAK_PAUSE).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(phase: &str, observed: &[&str]) -> Deployment {
        let replicas: Vec<Value> = observed
            .iter()
            .map(|kind| json!({"intent": {"type": "serve"}, "observed": {"type": kind}}))
            .collect();
        view::read(&json!({"phase": phase, "replicas": replicas})).unwrap()
    }

    #[test]
    fn phases_become_steps() {
        for (phase, observed, step) in [
            ("queued", &[][..], None),
            ("building", &[], None),
            ("preparing", &[], Some("prepare")),
            ("starting", &[], Some("start")),
            ("starting", &["healthy", "starting"], Some("start")),
            ("starting", &["healthy", "healthy"], Some("switch")),
        ] {
            assert_eq!(step_of(&deployment(phase, observed)), step, "{phase} {observed:?}");
        }
    }

    #[test]
    fn a_deployment_is_followed_until_nothing_more_happens() {
        for phase in ["live", "kept", "retired", "failed", "cancelled"] {
            assert!(is_final(phase), "{phase}");
        }
        for phase in ["queued", "building", "preparing", "starting"] {
            assert!(!is_final(phase), "{phase}");
        }
    }
}
