//! The engine's events, as wake-ups; what they say is never relied on.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::act::RETRY_PAUSE;
use crate::runtime::Runtime;

/// When to look again after an event: the engine tells that a container ended before it lists it as ended.
const ECHOES: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(400)];

/// Wakes at every event, and when their stream ends, as when the engine is restarted. Runs until dropped.
pub async fn listen(runtime: Runtime, wake: Arc<Notify>) {
    loop {
        if let Ok(events) = runtime.events().await {
            wake.notify_one();
            let mut events = std::pin::pin!(events.fuse());
            while events.next().await.is_some() {
                for echo in ECHOES {
                    wake.notify_one();
                    sleep(echo).await;
                    while events.next().now_or_never().flatten().is_some() {}
                }
                wake.notify_one();
            }
        }
        wake.notify_one();
        sleep(RETRY_PAUSE).await;
    }
}
