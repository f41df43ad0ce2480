//! One task for each deployment that a phase gives to this node.

use std::collections::BTreeMap;

use temps_raft::Cluster;
use temps_state::{Condition, DeploymentId, Phase, State};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Whether a deployment is in a phase that is this node's work.
pub fn is_mine(state: &State, id: DeploymentId, phase: &Phase) -> bool {
    state.deployments.get(&id).is_some_and(|deployment| deployment.phase == *phase)
}

/// That a deployment in a phase that is this node's work is still as this node sees it: what came of the work must not count
/// once another node has been given it. `None` when it is another's by what is known here.
pub fn claim(state: &State, id: DeploymentId, phase: &Phase) -> Option<Condition> {
    let row = format!("deployments/{id}");
    let tag = state.tag(&row).filter(|_| is_mine(state, id, phase))?;
    Some(Condition { row, tag })
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{
        Actor, Command, Deployment, EnvironmentId, Failure, FailureCode, Id, NodeId, ProjectId,
        Rejected, Source,
    };

    use super::*;

    fn building(on: u64) -> Deployment {
        Deployment {
            id: DeploymentId::from_parts(1, 1),
            number: 1,
            project: ProjectId::from_parts(1, 1),
            environment: EnvironmentId::from_parts(1, 1),
            source: Source::Upload { digest: String::new() },
            revision: None,
            created_by: Actor::Node { id: NodeId(1) },
            created_at: Timestamp::UNIX_EPOCH,
            phase: Phase::Building { on: NodeId(on) },
            history: vec![],
            config: None,
            artifact: None,
            variables: Default::default(),
            built_on: None,
            architecture: None,
            holders: [].into(),
            returned: vec![],
        }
    }

    #[test]
    fn what_came_of_a_build_does_not_count_once_another_node_builds() {
        let (mine, id) = (Phase::Building { on: NodeId(1) }, building(1).id);
        let mut state = State::default();
        assert!(claim(&state, id, &mine).is_none(), "it is gone");
        state.deployments.insert(id, building(1));
        let condition = claim(&state, id, &mine);
        assert!(
            condition.is_some() && claim(&state, id, &Phase::Building { on: NodeId(2) }).is_none()
        );
        // Given to another before the proposal got through.
        state.deployments.insert(id, building(2));
        let failure = Failure {
            code: FailureCode::BuildFailed,
            message: String::new(),
            hint: String::new(),
            log_tail: vec![],
        };
        let entry = temps_state::Entry {
            at: Timestamp::UNIX_EPOCH,
            actor: Actor::Node { id: NodeId(1) },
            from: None,
            request: None,
            condition,
            command: Command::FailDeployment { id, failure },
        };
        let refused = state.apply(7, entry);
        assert!(matches!(refused, Err(Rejected::Changed { .. })), "{refused:?}");
    }
}
