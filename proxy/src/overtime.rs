//! How long a connection may last at the very most.

use std::future::Future;

use tokio::time::timeout;

use crate::limits::{Limits, OVERTIME_MAX};

/// What comes of serving a connection; nothing where it has to be dropped, as what was under way when the connection was old
/// enough goes on and on.
pub(crate) async fn bounded<T>(limits: &Limits, serving: impl Future<Output = T>) -> Option<T> {
    timeout(limits.connection_time_max + OVERTIME_MAX, serving).await.ok()
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_ends_is_dropped_after_a_day() {
        let limits = Limits::default();
        let began = Instant::now();
        assert!(bounded(&limits, pending::<()>()).await.is_none());
        let lasted = began.elapsed().saturating_sub(limits.connection_time_max);
        assert!((OVERTIME_MAX..OVERTIME_MAX + Duration::from_secs(1)).contains(&lasted));
        let long = sleep(limits.connection_time_max + OVERTIME_MAX / 2);
        assert!(bounded(&limits, long).await.is_some(), "a long answer comes to its end");
    }
}
