//! One task for each deployment that a phase gives to this node.

use std::collections::BTreeMap;

use temps_raft::Cluster;
use temps_state::{DeploymentId, Phase, State};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Whether a deployment is in a phase that is this node's work.
pub fn is_mine(state: &State, id: DeploymentId, phase: &Phase) -> bool {
    state.deployments.get(&id).is_some_and(|deployment| deployment.phase == *phase)
}

/// Runs `work` for every deployment in `phase`, once at a time each, and cancels it when the deployment leaves the
/// phase. What a stopped process left undone is begun again.
pub async fn follow<W, F>(cluster: Cluster, cancel: CancellationToken, phase: Phase, work: W)
where
    W: Fn(DeploymentId, CancellationToken) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut changes = cluster.watch();
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<DeploymentId, CancellationToken> = BTreeMap::new();
    loop {
        let state = changes.borrow_and_update().clone();
        for (id, token) in &running {
            if !is_mine(&state, *id, &phase) {
                token.cancel();
            }
        }
        for deployment in state.deployments.values().filter(|d| d.phase == phase) {
            let id = deployment.id;
            running.entry(id).or_insert_with(|| {
                let token = cancel.child_token();
                let work = work(id, token.clone());
                tasks.spawn(async move {
                    let _ended = tokio::spawn(work).await;
                    id
                });
                token
            });
        }
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
            Some(Ok(id)) = tasks.join_next() => drop(running.remove(&id)),
        }
    }
    while tasks.join_next().await.is_some() {}
}
