//! Takes away, once in a while, what builds left on this node and no deployment needs.

use std::time::Duration;

use temps_builder::Builder;
use temps_raft::Cluster;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The time between two rounds; the first is at the start.
const EVERY: Duration = Duration::from_secs(3_600);

/// Begins the rounds, until `stop` is cancelled.
pub fn start(builder: Builder, cluster: Cluster, stop: CancellationToken) {
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut rounds = interval(EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            // The next round is the retry; the engine may be away.
            if let Err(error) = builder.collect_garbage(&cluster.state(), cluster.node_id()).await {
                warn!(%error, "could not take away what builds left");
            }
        }
    }));
}
