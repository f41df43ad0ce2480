//! Where a healthy replica takes requests, and how it fares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tracing::debug;

use crate::choice::Candidate;
use crate::connector::Line;
use crate::limits::{PROBE_PAUSE_MAX, PROBE_PAUSE_MIN};

/// A healthy replica as this edge sees it. It outlives route tables: while its replica is there, it keeps its load and
/// its standing.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// How it is reached.
    pub(crate) line: Arc<Line>,
    /// Tells apart replicas that had the same address one after the other.
    pub(crate) serial: u64,
    in_flight: AtomicUsize,
    ejected: AtomicBool,
    /// Ejections since it last answered.
    failures: AtomicU32,
}

impl Endpoint {
    /// One without load, in good standing.
    pub(crate) fn new(line: Line) -> Self {
        Self {
            line: Arc::new(line),
            serial: next_serial(),
            in_flight: 0.into(),
            ejected: false.into(),
            failures: 0.into(),
        }
    }

    /// Passes it over, where another one is there, until [`readmit`](Self::readmit). Tells whether it was in good
    /// standing before.
    pub(crate) fn eject(&self) -> bool {
        let first = !self.ejected.swap(true, Ordering::Relaxed);
        if first {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        first
    }

    /// Ends its ejection.
    pub(crate) fn readmit(&self) {
        self.ejected.store(false, Ordering::Relaxed);
    }

    /// Notes that it answered a request.
    pub(crate) fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.readmit();
        }
    }

    /// What its choice depends on.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            ejected: self.ejected.load(Ordering::Relaxed),
            local: self.line.is_local(),
            load: self.in_flight.load(Ordering::Relaxed),
        }
    }

    /// Counts a request that it gets.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that ended.
    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tries an ejected endpoint, ever less often, until it takes a connection or its line is cut.
    pub(crate) async fn probe(self: Arc<Self>) {
        let mut pause = first_pause(self.failures.load(Ordering::Relaxed));
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.line.until_cut() => return,
            }
            if self.line.answers().await {
                debug!(place = %self.line.place, "a replica takes connections again");
                return self.readmit();
            }
            pause = (pause * 2).min(PROBE_PAUSE_MAX);
        }
    }
}

/// How long to wait before the first look: longer for one that fails again and again although it takes connections.
fn first_pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (PROBE_PAUSE_MIN * (1 << doublings)).min(PROBE_PAUSE_MAX)
}

/// A number that no endpoint and no connection of this process had before.
pub(crate) fn next_serial() -> u64 {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let pauses: Vec<_> = [0, 1, 2, 3, 4, 6, 7, u32::MAX].map(first_pause).into();
        let [least, most] = [PROBE_PAUSE_MIN, PROBE_PAUSE_MAX];
        assert_eq!(pauses, [least, least, least * 2, least * 4, least * 8, most, most, most]);
    }
}
