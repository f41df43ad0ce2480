//! Proposals that a node makes by itself, and that must get through as long as they make sense.

use std::time::Duration;

use temps_raft::{Cluster, ProposeError};
use temps_state::{Command, State};
use tokio::time::sleep;

/// Between two tries of a proposal that found no quorum, or no room on the disk.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Proposes as this node.
pub async fn propose(cluster: &Cluster, command: Command) -> Result<(), ProposeError> {
    cluster.propose_own(command).await.map(drop)
}

/// Proposes until the cluster took or refused it, or until it makes no sense any more. Dropping the future gives up.
pub async fn insist(cluster: &Cluster, command: Command, sensible: impl Fn(&State) -> bool) {
    while sensible(&cluster.state()) {
        match propose(cluster, command.clone()).await {
            Ok(()) => return,
            Err(ProposeError::NoQuorum | ProposeError::Timeout | ProposeError::DiskFull { .. }) => {
                sleep(RETRY_PAUSE).await
            }
            Err(error) => return tracing::warn!(%error, "a proposal of this node was refused"),
        }
    }
}
