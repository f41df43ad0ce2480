//! What traffic has counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Failures that are kept in full for each edge; more are only counted.
const FAILURES_KEPT: usize = 20;
/// What counts as late.
const LATE: Duration = Duration::from_secs(1);
/// Different bodies that are told apart for each edge.
const BODIES_KEPT: usize = 16;

/// A request that was not answered as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it was sent, since the traffic began.
    pub sent: Duration,
    /// How long it took to fail.
    pub took: Duration,
    /// The status, or what went wrong.
    pub what: String,
}

/// What went through one edge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were answered with a success.
    pub ok: u64,
    /// Requests that were not.
    pub failed: u64,
    /// The first of those.
    pub failures: Vec<Failure>,
    /// The longest that a success took.
    pub slowest: Duration,
    /// When that one was sent, since the traffic began.
    pub slowest_sent: Duration,
    /// Successes that took over a second.
    pub late: u64,
    /// How often each answer came.
    pub bodies: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn count(
        &mut self,
        sent: Duration,
        took: Duration,
        outcome: Result<String, String>,
    ) {
        match outcome {
            Ok(body) => self.count_ok(sent, took, body),
            Err(what) => self.count_failed(Failure { sent, took, what }),
        }
    }

    fn count_ok(&mut self, sent: Duration, took: Duration, body: String) {
        self.ok += 1;
        self.late += u64::from(took > LATE);
        if took > self.slowest {
            (self.slowest, self.slowest_sent) = (took, sent);
        }
        if self.bodies.len() < BODIES_KEPT || self.bodies.contains_key(&body) {
            *self.bodies.entry(body).or_default() += 1;
        }
    }

    fn count_failed(&mut self, failure: Failure) {
        self.failed += 1;
        if self.failures.len() < FAILURES_KEPT {
            self.failures.push(failure);
        }
    }
}

/// What went through all edges, by the number of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One tally for each edge.
    pub edges: BTreeMap<usize, Tally>,
}

impl Report {
    /// Requests that were answered with a success.
    #[must_use]
    pub fn ok(&self) -> u64 {
        self.edges.values().map(|tally| tally.ok).sum()
    }

    /// Successes that took over a second.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.edges.values().map(|tally| tally.late).sum()
    }

    /// The longest that a success took.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        self.edges.values().map(|tally| tally.slowest).max().unwrap_or_default()
    }

    /// Requests that were not.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.edges.values().map(|tally| tally.failed).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (node, tally) in &self.edges {
            writeln!(
                f,
                "edge {node}: {} ok, {} failed, {} late, slowest {:.3?} at {:.3?}",
                tally.ok, tally.failed, tally.late, tally.slowest, tally.slowest_sent
            )?;
            for Failure { sent, took, what } in &tally.failures {
                writeln!(f, "  at {sent:?}, after {took:?}: {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_everything_and_keeps_little() {
        let mut tally = Tally::default();
        for i in 0..1000_u64 {
            tally.count(Duration::ZERO, Duration::from_millis(i), Ok(format!("body {i}")));
            tally.count(Duration::ZERO, Duration::ZERO, Err("refused".into()));
        }
        assert_eq!((tally.ok, tally.failed), (1000, 1000));
        assert_eq!((tally.bodies.len(), tally.failures.len()), (BODIES_KEPT, FAILURES_KEPT));
        assert_eq!((tally.slowest, tally.late), (Duration::from_millis(999), 0));
        tally.count(LATE, Duration::from_secs(2), Ok("late".into()));
        assert_eq!((tally.slowest, tally.slowest_sent, tally.late), (2 * LATE, LATE, 1));
    }
}
