//! What a node does so that its containers become what the state wants. Pure.
//!
//! Containers that are not this node's are not even looked at. Everything is decided from what is there, so a start
//! that was cut off is taken up where it stopped.

use std::collections::BTreeMap;

use jiff::Timestamp;
use temps_state::{Intent, NodeId, Observed, Phase, Replica, ReplicaId, State};

use crate::container::{Container, Role, Status};
use crate::memory::Memory;

/// After how many failures in a row a container is made anew rather than started again: what a run left behind, such as
/// a stale pid file, may be why the next one ends.
pub const FAILURES_BEFORE_FRESH: u32 = 2;

/// One thing to do to one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the replica's container if there is none, and start it; with `fresh`, remove the old one first.
    Start {
        /// The replica.
        replica: ReplicaId,
        /// Whether to begin from the image again.
        fresh: bool,
    },
    /// Find out why a replica's container ended.
    Inquire {
        /// The replica.
        replica: ReplicaId,
        /// Its container.
        container: String,
    },
    /// Freeze.
    Pause {
        /// The container.
        container: String,
    },
    /// Thaw.
    Unpause {
        /// The container.
        container: String,
    },
    /// Stop and remove.
    Remove {
        /// The container.
        container: String,
    },
}

/// The replicas of a node: their rows, their containers, and what is remembered of them. Whether the cluster `can_tell` others
/// what becomes of them is whether it has a quorum.
pub fn plan(
    state: &State,
    me: NodeId,
    containers: &[Container],
    memory: &BTreeMap<ReplicaId, Memory>,
    now: Timestamp,
    can_tell: bool,
) -> Vec<Action> {
    let surplus = containers.iter().filter(|container| !is_wanted(state, me, container));
    let removals = surplus.map(|container| Action::Remove { container: container.id.clone() });
    let hold = can_tell && has_stale_endpoint(state, me, containers);
    let steps = state.replicas_on(me).filter_map(|replica| {
        let none = Memory::default();
        let memory = memory.get(&replica.id).unwrap_or(&none);
        let step = step(replica, find(containers, replica.id), memory, now)?;
        (!hold || !matches!(step, Action::Start { .. })).then_some(step)
    });
    removals.chain(steps).collect()
}

/// The container of a replica.
pub fn find(containers: &[Container], replica: ReplicaId) -> Option<&Container> {
    containers.iter().find(|container| container.role == Role::Replica(replica))
}

fn is_wanted(state: &State, me: NodeId, container: &Container) -> bool {
    match container.role {
        Role::Replica(id) => state.replicas.get(&id).is_some_and(|replica| replica.node == me),
        Role::Prepare(id) => {
            state.deployments.get(&id).is_some_and(|d| d.phase == Phase::Preparing { on: me })
        }
        Role::Foreign => true,
    }
}

/// Whether edges may still send traffic to an address whose container is gone. Nothing starts meanwhile, because the
/// engine might give that address to the next container, of another project. Without a quorum that would last for ever;
/// then this node's own word, which its edge and other nodes go by, has to do.
fn has_stale_endpoint(state: &State, me: NodeId, containers: &[Container]) -> bool {
    state.replicas_on(me).any(|replica| match &replica.observed {
        Observed::Healthy { endpoint } if replica.intent != Intent::Keep => {
            find(containers, replica.id).and_then(|container| container.address)
                != Some(endpoint.ip())
        }
        _ => false,
    })
}

fn step(
    replica: &Replica,
    container: Option<&Container>,
    memory: &Memory,
    now: Timestamp,
) -> Option<Action> {
    use Status::*;
    let start = |fresh: bool| {
        let due = memory.start_due().is_none_or(|due| due <= now);
        let fresh = fresh || memory.failures >= FAILURES_BEFORE_FRESH;
        due.then_some(Action::Start { replica: replica.id, fresh })
    };
    let Some(container) = container else {
        return if replica.intent == Intent::Serve { start(false) } else { None };
    };
    let id = || container.id.clone();
    match (&replica.intent, container.status) {
        (Intent::Serve, Created) => start(false),
        (Intent::Serve, Exited | Dead) if memory.ended.is_none() => {
            Some(Action::Inquire { replica: replica.id, container: id() })
        }
        (Intent::Serve, Exited) => start(false),
        (Intent::Serve, Dead) => start(true),
        (Intent::Serve, Paused) => Some(Action::Unpause { container: id() }),
        (Intent::Keep, Running) => Some(Action::Pause { container: id() }),
        _ => None,
    }
}
