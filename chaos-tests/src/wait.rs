//! Waiting for a condition, never for luck.

use std::time::{Duration, Instant};

use crate::GroundError;

/// How long a cluster may take to be whole again after a fault.
pub const RECOVERY: Duration = Duration::from_secs(60);
/// How long one look at a condition is from the next.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Polls until `holds` says yes, and tells how long that took.
///
/// # Errors
/// [`GroundError::NeverHappened`] with `what` when the time is over.
pub async fn until(
    what: &str,
    within: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) -> Result<Duration, GroundError> {
    let began = Instant::now();
    while !holds().await {
        if began.elapsed() > within {
            return Err(GroundError::NeverHappened { what: what.into(), within });
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(began.elapsed())
}
