//! What a client may ask for that asks for work and brings nothing. Pure.

use std::time::Duration;

/// What a client may spend at once.
pub(crate) const BUDGET_MAX: u64 = 4_000;
/// What it gets each second.
const PER_SECOND: u64 = 200;
/// Octets sent to it that give it one more.
const OCTETS_EACH: u64 = 64;
/// What the end of a stream before its time costs.
pub(crate) const RESET_COST: u64 = 20;

/// What is left for one connection. It grows with time and with what the client is sent, as honest ones ask for more
/// because of that.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
    /// Octets sent that gave nothing yet.
    sent: u64,
    /// When it was filled last, since the connection began.
    filled_at: Duration,
}

impl Budget {
    /// A full one.
    pub(crate) fn new() -> Self {
        Self { left: BUDGET_MAX, sent: 0, filled_at: Duration::ZERO }
    }

    /// Notes octets that the client is sent.
    pub(crate) fn sent(&mut self, octets: usize) {
        let sent = self.sent + octets as u64;
        self.left = BUDGET_MAX.min(self.left + sent / OCTETS_EACH);
        self.sent = sent % OCTETS_EACH;
    }

    /// Fills it, `at` this age of the connection.
    pub(crate) fn fill(&mut self, at: Duration) {
        let since = at.saturating_sub(self.filled_at);
        let more = since.as_millis() as u64 * PER_SECOND / 1_000;
        if more > 0 {
            self.left = BUDGET_MAX.min(self.left.saturating_add(more));
            self.filled_at = at;
        }
    }

    /// Pays; false where it does not suffice.
    pub(crate) fn pay(&mut self, cost: u64) -> bool {
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// What is left.
    #[cfg(test)]
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}
