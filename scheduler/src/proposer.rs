//! Proposals that a node makes by itself, and that must get through as long as they make sense.

use std::time::Duration;

use temps_raft::{Cluster, Proposal, ProposeError};
use temps_state::{Actor, Command, DeploymentId, Phase, Rejected};
use tokio::time::sleep;

use crate::work::claim;

/// Between two tries of a proposal that found no quorum, or no room on the disk.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Proposes as this node.
pub async fn propose(cluster: &Cluster, command: Command) -> Result<(), ProposeError> {
    cluster.propose_own(command).await.map(drop)
}

/// Proposes what came of a deployment in a phase that was this node's work, until the cluster took or refused it, or until it
/// is that no more. Dropping the future gives up.
pub async fn insist(cluster: &Cluster, command: Command, id: DeploymentId, phase: &Phase) {
    let own = Proposal::new(Actor::Node { id: cluster.node_id() }, command);
    while let Some(condition) = claim(&cluster.state(), id, phase) {
        let proposal = Proposal { condition: Some(condition), ..own.clone() };
        match cluster.propose(proposal).await {
            Ok(_) => return,
            Err(
                ProposeError::NoQuorum
                | ProposeError::Timeout
                | ProposeError::DiskFull { .. }
                | ProposeError::Rejected(Rejected::Changed { .. }),
            ) => sleep(RETRY_PAUSE).await,
            Err(error) => return tracing::warn!(%error, "a proposal of this node was refused"),
        }
    }
}
