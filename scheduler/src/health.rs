//! When a replica counts as healthy: answers in, a verdict out. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use temps_state::{Failure, FailureCode, HealthCheck};

/// Between two checks of a replica that is about to change its verdict, at first.
pub const PROBE_PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Between two checks of a replica that is about to change its verdict, at most.
pub const PROBE_PAUSE_UNSETTLED_MAX: Duration = Duration::from_secs(1);
/// How long a new replica may listen on another port than its own before that counts as a failure.
pub const PORT_ELSEWHERE_MAX: Duration = Duration::from_secs(8);

/// What is thought of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough is known yet.
    Unknown,
    /// It answers as it should.
    Healthy {
        /// Where.
        endpoint: SocketAddr,
    },
    /// It does not.
    Unhealthy {
        /// Why.
        failure: Failure,
    },
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was hoped for.
    Good,
    /// Nothing listens on the port.
    PortClosed,
    /// Something else; why, in words.
    Bad(String),
}

/// The checks of one replica so far.
#[derive(Debug, Clone)]
pub struct Tally {
    check: HealthCheck,
    healthy: Option<bool>,
    /// Whether that was said: what an earlier run found is said once more, as the cluster may have heard otherwise since.
    told: bool,
    passed: u32,
    failed: u32,
    listens_elsewhere_since: Option<Duration>,
}

/// What a check changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is healthy now.
    Passed,
    /// It is not healthy now.
    Failed(FailureCode),
}

impl Tally {
    /// Begins to count. `healthy` if the replica was found healthy before, by an earlier run of this process.
    pub fn new(check: HealthCheck, healthy: bool) -> Self {
        let healthy = healthy.then_some(true);
        Self { check, healthy, told: false, passed: 0, failed: 0, listens_elsewhere_since: None }
    }

    /// Whether the replica was healthy once.
    pub fn was_healthy(&self) -> bool {
        self.healthy.is_some()
    }

    /// Counts what a check found, `elapsed` after the first one; `elsewhere` when the replica listens on other ports.
    pub fn count(&mut self, answer: &Answer, elapsed: Duration, elsewhere: bool) -> Option<Change> {
        let good = *answer == Answer::Good;
        (self.passed, self.failed) = match good {
            true => (self.passed.saturating_add(1), 0),
            false => (0, self.failed.saturating_add(1)),
        };
        self.listens_elsewhere_since =
            elsewhere.then(|| self.listens_elsewhere_since.unwrap_or(elapsed));
        let enough = self.passed.max(self.failed) >= self.check.threshold.max(1);
        match (good, self.healthy) {
            (true, None | Some(false)) if enough => self.turn(true, Change::Passed),
            (true, Some(true)) if enough && !self.told => self.turn(true, Change::Passed),
            (false, Some(true)) if enough => self.turn(false, Change::Failed(code(answer))),
            (false, None) if self.is_overdue(answer, elapsed) => {
                self.turn(false, Change::Failed(code(answer)))
            }
            _ => None,
        }
    }

    fn turn(&mut self, healthy: bool, change: Change) -> Option<Change> {
        (self.healthy, self.told) = (Some(healthy), true);
        Some(change)
    }

    /// A new replica has until its deadline; half of it when nothing listens, and less when it listens elsewhere.
    fn is_overdue(&self, answer: &Answer, elapsed: Duration) -> bool {
        let deadline = Duration::from_secs(self.check.deadline_seconds.into());
        let closed = *answer == Answer::PortClosed;
        let elsewhere = self
            .listens_elsewhere_since
            .is_some_and(|since| elapsed.saturating_sub(since) >= PORT_ELSEWHERE_MAX);
        elapsed >= deadline || (closed && (elapsed >= deadline / 2 || elsewhere))
    }

    /// How long to wait for the next check: short while the verdict may be about to change.
    pub fn pause(&self, elapsed: Duration) -> Duration {
        let interval = Duration::from_millis(self.check.interval_ms.max(1).into());
        let settled = match self.healthy {
            Some(true) => self.failed == 0,
            Some(false) => self.passed == 0,
            None => false,
        };
        let unsettled = (elapsed / 10).clamp(PROBE_PAUSE_FIRST, PROBE_PAUSE_UNSETTLED_MAX);
        if settled { interval } else { unsettled.min(interval) }
    }
}

fn code(answer: &Answer) -> FailureCode {
    match answer {
        Answer::PortClosed => FailureCode::PortClosed,
        _ => FailureCode::Unhealthy,
    }
}

/// What a deployment's record says when a check failed for good.
pub fn failure(
    code: FailureCode,
    answer: &Answer,
    check: &HealthCheck,
    port: u16,
    listens: &[SocketAddr],
    log_tail: Vec<String>,
) -> Failure {
    let (message, hint) = match (code, answer) {
        (FailureCode::PortClosed, _) => closed(port, listens),
        (_, Answer::Bad(why)) => unhealthy(check, port, why),
        _ => unhealthy(check, port, "it does not answer"),
    };
    Failure { code, message, hint, log_tail }
}

fn unhealthy(check: &HealthCheck, port: u16, why: &str) -> (String, String) {
    let path = check.path.as_deref().unwrap_or("/");
    let seconds = check.deadline_seconds;
    (
        format!("the health check of port {port}, path {path}, fails: {why}"),
        format!(
            "read the log below; if the app needs longer than {seconds} s to start or answers elsewhere, set `health` in temps.json"
        ),
    )
}

/// The one port that the app listens on: of those that can be reached from outside, or else of those that cannot.
pub fn only_port(listens: &[SocketAddr]) -> Option<u16> {
    let ports = |loopback: bool| {
        let mut ports = listens
            .iter()
            .filter(move |at| at.ip().is_loopback() == loopback)
            .map(SocketAddr::port);
        let first = ports.next()?;
        Some(ports.all(|port| port == first).then_some(first))
    };
    ports(false).or_else(|| ports(true)).flatten()
}

/// Whether the app listens on that port, and nobody outside its container can reach it.
pub fn is_hidden(port: u16, listens: &[SocketAddr]) -> bool {
    let mut on_port = listens.iter().filter(|at| at.port() == port).peekable();
    on_port.peek().is_some() && on_port.all(|at| at.ip() == Ipv4Addr::LOCALHOST)
}

fn closed(port: u16, listens: &[SocketAddr]) -> (String, String) {
    let own = listens.iter().find(|at| at.port() == port && at.ip().is_loopback());
    let other = listens.iter().find(|at| !at.ip().is_loopback()).or(listens.first());
    match (own, other) {
        (Some(at), _) => (
            format!("nothing can reach port {port}: the app listens on {at} only"),
            "let the app listen on 0.0.0.0, as the variable HOST says, rather than on localhost"
                .into(),
        ),
        (None, Some(at)) => (
            format!("nothing listens on port {port}; the app listens on {at}"),
            format!(
                "set `port` to {} in temps.json, or let the app listen on the port in the variable PORT",
                at.port()
            ),
        ),
        (None, None) => (
            format!("nothing listens on port {port}"),
            format!(
                "let the app listen on 0.0.0.0:{port} (the variables HOST and PORT say so), or set `port` in temps.json"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(healthy: bool) -> Tally {
        Tally::new(HealthCheck::default(), healthy)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_new_replica_is_healthy_after_as_many_good_answers_in_a_row_as_the_threshold_says() {
        let mut tally = tally(false);
        assert_eq!(tally.count(&Answer::Good, at(0), false), None);
        assert_eq!(tally.count(&Answer::Bad("x".into()), at(1), false), None);
        assert_eq!(tally.count(&Answer::Good, at(2), false), None);
        assert_eq!(tally.count(&Answer::Good, at(3), false), Some(Change::Passed));
        assert_eq!(tally.count(&Answer::Good, at(4), false), None);
    }

    #[test]
    fn a_new_replica_fails_once_at_its_deadline_and_earlier_when_its_port_is_closed() {
        let cases = [
            (Answer::Bad("x".into()), false, 60, FailureCode::Unhealthy),
            (Answer::PortClosed, false, 30, FailureCode::PortClosed),
            (Answer::PortClosed, true, 8, FailureCode::PortClosed),
        ];
        for (answer, elsewhere, seconds, code) in cases {
            let mut tally = tally(false);
            let changes: Vec<_> = (0..100)
                .filter_map(|s| Some((s, tally.count(&answer, at(s), elsewhere)?)))
                .collect();
            assert_eq!(changes, [(seconds, Change::Failed(code))]);
        }
    }

    #[test]
    fn a_healthy_replica_fails_and_recovers_at_the_threshold() {
        let mut tally = tally(true);
        assert_eq!(tally.count(&Answer::PortClosed, at(0), false), None);
        let failed = Some(Change::Failed(FailureCode::PortClosed));
        assert_eq!(tally.count(&Answer::PortClosed, at(1), false), failed);
        assert_eq!(tally.count(&Answer::Good, at(2), false), None);
        assert_eq!(tally.count(&Answer::Good, at(3), false), Some(Change::Passed));
    }

    #[test]
    fn what_an_earlier_run_found_is_said_once_more() {
        let mut tally = tally(true);
        let changes = [0, 1, 2, 3].map(|s| tally.count(&Answer::Good, at(s), false));
        assert_eq!(changes, [None, Some(Change::Passed), None, None]);
    }

    #[test]
    fn checks_are_quick_while_the_verdict_may_change() {
        let mut tally = tally(false);
        assert_eq!(tally.pause(at(0)), PROBE_PAUSE_FIRST);
        assert_eq!(tally.pause(at(50)), PROBE_PAUSE_UNSETTLED_MAX);
        tally.count(&Answer::Good, at(50), false);
        tally.count(&Answer::Good, at(50), false);
        assert_eq!(tally.pause(at(50)), at(5));
        tally.count(&Answer::PortClosed, at(55), false);
        assert_eq!(tally.pause(at(55)), PROBE_PAUSE_UNSETTLED_MAX);
    }

    #[test]
    fn a_port_is_taken_only_when_there_is_no_choice() {
        let only = |listens: &[&str]| {
            let listens: Vec<SocketAddr> =
                listens.iter().map(|at| at.parse().expect("an address")).collect();
            only_port(&listens)
        };
        assert_eq!(only(&[]), None);
        assert_eq!(only(&["127.0.0.1:40000"]), Some(40_000));
        assert_eq!(only(&["127.0.0.1:40000", "0.0.0.0:8080", "[::]:8080"]), Some(8080));
        assert_eq!(only(&["0.0.0.0:8080", "0.0.0.0:9090", "127.0.0.1:1"]), None);
    }

    #[test]
    fn a_port_on_loopback_alone_is_hidden() {
        let hidden = |listens: &[&str]| {
            let listens: Vec<SocketAddr> =
                listens.iter().map(|at| at.parse().expect("an address")).collect();
            is_hidden(3000, &listens)
        };
        assert!(hidden(&["127.0.0.1:3000", "0.0.0.0:9090"]));
        assert!(!hidden(&["127.0.0.1:3000", "172.19.0.2:3000"]));
        assert!(!hidden(&["127.0.0.1:9090"]));
        assert!(!hidden(&["[::1]:3000"]));
    }

    #[test]
    fn a_closed_port_is_explained_by_what_is_open() {
        let text = |listens: &[&str]| {
            let listens: Vec<SocketAddr> =
                listens.iter().map(|at| at.parse().expect("an address")).collect();
            closed(3000, &listens).0
        };
        assert_eq!(text(&[]), "nothing listens on port 3000");
        assert_eq!(
            text(&["0.0.0.0:8080"]),
            "nothing listens on port 3000; the app listens on 0.0.0.0:8080"
        );
        assert_eq!(
            text(&["127.0.0.1:3000", "0.0.0.0:9000"]),
            "nothing can reach port 3000: the app listens on 127.0.0.1:3000 only"
        );
    }
}
