//! Where replicas go: spread over the nodes, where there is most room. Pure.

use std::cmp::Reverse;

use temps_state::{DeploymentId, Intent, Node, NodeId, Replica, Resources, State};

/// How many times a node's memory its replicas' limits may add up to. A limit is what a replica may use at worst, not
/// what it uses, and frozen replicas use next to nothing.
pub const MEMORY_OVERCOMMIT: u64 = 4;

/// What a node's replicas may use together, by the limits they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The node.
    pub node: NodeId,
    /// Thousandths of a processor that its running replicas may use.
    pub cpu_millis: u64,
    /// Mebibytes of memory that its replicas may use.
    pub memory_mib: u64,
    /// How many replicas of the deployment that is placed it has.
    pub siblings: usize,
}

/// The nodes that `count` more replicas of a deployment go to, as far as there is room.
pub fn place(
    state: &State,
    deployment: DeploymentId,
    wants: Resources,
    count: usize,
) -> Vec<NodeId> {
    let mut loads: Vec<Load> =
        state.nodes.keys().map(|node| load(state, *node, deployment)).collect();
    (0..count).map_while(|_| place_one(state, &mut loads, wants)).collect()
}

/// What a node's replicas may use.
pub fn load(state: &State, node: NodeId, deployment: DeploymentId) -> Load {
    let mut load = Load { node, cpu_millis: 0, memory_mib: 0, siblings: 0 };
    for replica in state.replicas_on(node) {
        let uses = resources(state, replica);
        load.memory_mib += u64::from(uses.memory_mib);
        load.siblings += usize::from(replica.deployment == deployment);
        if replica.intent != Intent::Keep {
            load.cpu_millis += u64::from(uses.cpu_millis);
        }
    }
    load
}

fn resources(state: &State, replica: &Replica) -> Resources {
    let deployment = state.deployments.get(&replica.deployment);
    deployment.and_then(|d| d.config.as_ref()).map_or_else(Resources::default, |c| c.resources)
}

fn place_one(state: &State, loads: &mut [Load], wants: Resources) -> Option<NodeId> {
    let node = |load: &Load| state.nodes.get(&load.node);
    let best = loads
        .iter_mut()
        .filter(|load| node(load).is_some_and(|node| has_room(node, load, wants)))
        .min_by_key(|load| node(load).map(|node| crowding(node, load)))?;
    best.siblings += 1;
    best.memory_mib += u64::from(wants.memory_mib);
    best.cpu_millis += u64::from(wants.cpu_millis);
    Some(best.node)
}

/// A capacity of 0 is not known, and holds nothing back.
fn has_room(node: &Node, load: &Load, wants: Resources) -> bool {
    let (has, wants) = (node.capacity.memory_mib, u64::from(wants.memory_mib));
    has == 0 || (wants <= has && load.memory_mib + wants <= has * MEMORY_OVERCOMMIT)
}

/// Less is better: first fewer siblings, then less memory and processor promised, then more of them.
fn crowding(node: &Node, load: &Load) -> (usize, u64, u64, Reverse<u64>, NodeId) {
    let share = |used: u64, has: u64| used.saturating_mul(1_000).checked_div(has).unwrap_or(0);
    let capacity = node.capacity;
    (
        load.siblings,
        share(load.memory_mib, capacity.memory_mib),
        share(load.cpu_millis, capacity.cpu_millis),
        Reverse(capacity.memory_mib),
        node.id,
    )
}
