//! How a node finds out that it does not belong to its cluster any more.

use std::time::Duration;

use temps_raft::Cluster;
use temps_state::{NodeId, Standing};
use tokio::time::sleep;

use crate::peers::{Admission, Peers};

/// How often a node without quorum asks others whether they still let it in.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How often they must have said that they do not, with nobody who does in between.
const REFUSALS: u32 = 2;

/// Resolves when the state says that the cluster has removed this node; tells whether it was drained before.
pub async fn removed(cluster: &Cluster) -> bool {
    let id = cluster.node_id();
    let mut applied = cluster.watch();
    let mut drained = false;
    loop {
        let state = applied.borrow_and_update().clone();
        match state.nodes.get(&id) {
            Some(node) => drained = node.standing == Standing::Draining,
            // Ids are log indexes: one that is greater is not known here yet.
            None if !state.nodes.is_empty() && state.index >= id.0 => return drained,
            None => {}
        }
        if applied.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Resolves when the others do not let this node in any more: it was removed while it was away, and nobody will tell.
pub async fn locked_out(cluster: &Cluster, peers: &Peers) {
    let mut refusals = 0;
    while refusals < REFUSALS {
        sleep(ASK_EVERY).await;
        refusals = match ask_others(cluster, peers).await {
            Some(Admission::Refused) => refusals + 1,
            Some(Admission::Granted) => 0,
            // Nobody was reached, or all is well.
            None => refusals,
        };
    }
}

/// What others say, when there is a reason to ask. One that lets this node in knows better, or less, than all others.
async fn ask_others(cluster: &Cluster, peers: &Peers) -> Option<Admission> {
    if cluster.status().quorum {
        return Some(Admission::Granted);
    }
    let here = cluster.node_id();
    let others: Vec<NodeId> =
        cluster.state().nodes.keys().copied().filter(|id| *id != here).collect();
    let mut heard = None;
    for other in others {
        match peers.admission(other).await {
            Some(Admission::Granted) => return Some(Admission::Granted),
            Some(Admission::Refused) => heard = Some(Admission::Refused),
            None => {}
        }
    }
    heard
}
