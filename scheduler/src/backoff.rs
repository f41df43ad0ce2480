//! How long a container that keeps ending waits for its next start.

use std::time::Duration;

/// The wait after the second failure in a row; the first restarts at once.
pub const RESTART_DELAY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub const RESTART_DELAY_MAX: Duration = Duration::from_secs(60);

/// The wait after that many failures in a row: nothing, then one second, doubling.
pub fn restart_delay(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        n => RESTART_DELAY_FIRST.saturating_mul(1 << (n - 2).min(16)).min(RESTART_DELAY_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_no_wait_exceeds_the_longest() {
        let seconds: Vec<u64> = (0..10).map(|n| restart_delay(n).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(restart_delay(u32::MAX), RESTART_DELAY_MAX);
    }
}
