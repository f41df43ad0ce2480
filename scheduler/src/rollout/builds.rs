//! Which node builds what.

use std::collections::BTreeMap;

use temps_state::{Command, Deployment, Node, NodeId, Phase, Source, State};

use crate::placement::Ledger;

/// Gives deployments that wait for a builder to the least busy nodes that build, oldest first, as many at once as the
/// settings allow. A deployment whose builder is lost waits again.
pub fn next(state: &State, ledger: &Ledger) -> Vec<Command> {
    let mut free = free_slots(state);
    let waiting = state.deployments.values().filter(|deployment| waits(state, deployment));
    waiting.map_while(|deployment| start_build(deployment, &mut free, ledger)).collect()
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
    ledger: &Ledger,
) -> Option<Command> {
    let idlest = |(id, slots): &(&NodeId, &mut usize)| {
        (std::cmp::Reverse(**slots), ledger.busyness(**id), **id)
    };
    let (on, slots) = free.iter_mut().filter(|(_, slots)| **slots > 0).min_by_key(idlest)?;
    *slots -= 1;
    Some(Command::StartBuild { id: deployment.id, on: *on })
}
