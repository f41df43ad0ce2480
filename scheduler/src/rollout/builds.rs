//! Which node builds what.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use temps_state::{Command, Deployment, Node, NodeId, Phase, Source, State};

use crate::faults::Faults;
use crate::placement::Ledger;

/// Gives deployments that wait for a builder to the least busy nodes that build, oldest first, as many at once as the
/// settings allow; to nodes that can run nothing only when there is no other, and to none twice that returned it. A
/// deployment whose builder is lost waits again.
pub fn next(state: &State, faults: &Faults, ledger: &Ledger) -> Vec<Command> {
    let mut free = free_slots(state);
    let waiting = state.deployments.values().filter(|deployment| waits(state, deployment));
    let busyness = |node: NodeId| (faults.is_faulty(node), ledger.busyness(node), node);
    waiting.filter_map(|deployment| start_build(deployment, &mut free, busyness)).collect()
}

/// What a deployment that waits for a builder fails with: every node that is there and may build has returned it.
pub fn exhausted(state: &State, deployment: &Deployment) -> Option<Command> {
    let last = deployment.returned.last()?;
    let mut builders = state.ready_nodes().filter(|node| node.builds);
    let all_tried = builders.all(|node| deployment.was_returned_by(node.id));
    let (id, failure) = (deployment.id, last.failure.clone());
    all_tried.then_some(Command::FailDeployment { id, failure })
}

/// How many more builds each node may run.
fn free_slots(state: &State) -> BTreeMap<NodeId, usize> {
    let at_once = state.settings().build.at_once.max(1) as usize;
    let mut free: BTreeMap<NodeId, usize> =
        state.ready_nodes().filter(|node| node.builds).map(|node| (node.id, at_once)).collect();
    for deployment in state.deployments.values() {
        if let Phase::Building { on } = deployment.phase
            && let Some(slots) = free.get_mut(&on)
        {
            *slots = slots.saturating_sub(1);
        }
    }
    free
}

fn waits(state: &State, deployment: &Deployment) -> bool {
    match deployment.phase {
        Phase::Queued => !matches!(deployment.source, Source::Artifact { .. }),
        Phase::Building { on } => !state.nodes.get(&on).is_some_and(Node::is_reachable),
        _ => false,
    }
}

fn start_build(
    deployment: &Deployment,
    free: &mut BTreeMap<NodeId, usize>,
    busyness: impl Fn(NodeId) -> (bool, u64, NodeId),
) -> Option<Command> {
    let idlest = |(id, slots): &(&NodeId, &mut usize)| {
        let (is_faulty, busyness, id) = busyness(**id);
        (is_faulty, Reverse(**slots), busyness, id)
    };
    let able = free.iter_mut().filter(|(_, slots)| **slots > 0);
    let able = able.filter(|(node, _)| !deployment.was_returned_by(**node));
    let (on, slots) = able.min_by_key(idlest)?;
    *slots -= 1;
    Some(Command::StartBuild { id: deployment.id, on: *on })
}
