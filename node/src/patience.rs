//! How long a cluster is asked again that has no quorum, or whose node just stops.

use std::time::{Duration, Instant};

use crate::output::Output;

/// How long a read that may be of what one node last knew waits: an election is over by then.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How long it is asked when nobody says, and at most.
const WITHIN: Duration = Duration::from_secs(30);
const WITHIN_MAX: Duration = Duration::from_secs(3_600);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is left of it.
pub struct Patience {
    until: Instant,
    told: bool,
}

impl Patience {
    /// The whole time begins, as `TEMPS_QUORUM_WAIT` says.
    pub fn begin() -> Self {
        let seconds = std::env::var("TEMPS_QUORUM_WAIT").ok().and_then(|text| text.parse().ok());
        let within = seconds.map_or(WITHIN, Duration::from_secs);
        Self { until: Instant::now() + within.min(WITHIN_MAX), told: false }
    }

    /// The same for a read that is content with less.
    pub fn of_read() -> Self {
        let patience = Self::begin();
        Self { until: patience.until.min(Instant::now() + READ_WITHIN), ..patience }
    }

    /// Waits for the next try, and says so and why once; `false` when there is none.
    pub async fn wait(&mut self, why: &str, output: Option<&Output>) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left < PAUSE {
            return false;
        }
        if let (false, Some(output)) = (std::mem::replace(&mut self.told, true), output) {
            let seconds = left.as_secs_f64().ceil();
            output.note(&format!("{why}; trying again for up to {seconds} s…"));
        }
        tokio::time::sleep(PAUSE).await;
        true
    }
}
