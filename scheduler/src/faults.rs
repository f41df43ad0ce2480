//! Which nodes could not run replicas through no fault of the app. Pure: what the leader remembers between two rounds.
//!
//! A new leader begins with nothing and learns it again from the rows; until it has, a replica waits a patience longer.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use temps_state::{
    DeploymentId, FailureCode, Intent, NodeId, Observed, Phase, Replica, ReplicaId, State,
};

/// How long a replica of a live deployment may be down for its node's fault before it is placed elsewhere: an engine
/// that is restarted, or a disk that is tidied, is back by then.
pub const NODE_FAULT_PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// For how long after the last sign of a fault nothing is moved to a node, and new replicas go there last. So no
/// replica comes to the same node twice within that time.
pub const NODE_SHUNNED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The same after a build that a node could not do: nothing tells when its engine or its disk is well again, and the
/// next build finds out.
pub const BUILDER_SHUNNED_FOR: SignedDuration = SignedDuration::from_mins(1);

/// What a node cannot run: anything when `None`, or one deployment.
type Scope = Option<DeploymentId>;

/// The faults of nodes as far as their replicas and builds told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    since: BTreeMap<ReplicaId, (NodeId, Timestamp)>,
    shunned: BTreeMap<(NodeId, Scope), Timestamp>,
}

impl Faults {
    /// Takes note of what the rows tell now. To be called before each round.
    pub fn look(&mut self, state: &State, now: Timestamp) {
        for replica in state.replicas.values() {
            if let Some(scope) = fault(state, replica) {
                self.since.entry(replica.id).or_insert((replica.node, now));
                self.shun((replica.node, scope), now, NODE_SHUNNED_FOR);
            } else if replica.endpoint().is_some() && self.since.remove(&replica.id).is_some() {
                // What could not run there does again.
                self.shunned.retain(|(node, _), _| *node != replica.node);
            }
        }
        // A node that could not build cannot run anything either.
        let returned = state.deployments.values().flat_map(|deployment| &deployment.returned);
        for returned in returned {
            self.shun((returned.by, None), now, BUILDER_SHUNNED_FOR);
        }
        self.since.retain(|id, _| state.replicas.contains_key(id));
        self.shunned.retain(|_, until| now < *until);
    }

    fn shun(&mut self, what: (NodeId, Scope), now: Timestamp, how_long: SignedDuration) {
        let until = now.checked_add(how_long).unwrap_or(Timestamp::MAX);
        let known = self.shunned.entry(what).or_insert(until);
        *known = until.max(*known);
    }

    /// Whether a replica is down for its node's fault and has waited for long enough. One of a version that is not live
    /// yet need not wait: its node has tried for long enough before it told.
    pub fn is_overdue(&self, state: &State, replica: &Replica, now: Timestamp) -> bool {
        let Some((_, since)) = self.since.get(&replica.id) else { return false };
        let patience = match is_live(state, replica) {
            true => NODE_FAULT_PATIENCE,
            false => SignedDuration::ZERO,
        };
        is_of_node(state, replica) && now.duration_since(*since) >= patience
    }

    /// Whether a deployment had better not be placed on a node.
    pub fn shuns(&self, node: NodeId, deployment: DeploymentId) -> bool {
        self.is_faulty(node) || self.shunned.contains_key(&(node, Some(deployment)))
    }

    /// Whether a node can run nothing at all, as far as is known.
    pub fn is_faulty(&self, node: NodeId) -> bool {
        self.shunned.contains_key(&(node, None))
    }
}

/// Whether a replica is down because of its node rather than its app.
pub fn is_of_node(state: &State, replica: &Replica) -> bool {
    fault(state, replica).is_some()
}

/// A version that ran before is not to blame for what happens before its process begins; of a new one it is known only
/// where the node names its engine, its disk or its way to the image.
fn fault(state: &State, replica: &Replica) -> Option<Scope> {
    use FailureCode::*;
    let Observed::Down { failure } = &replica.observed else { return None };
    if replica.intent != Intent::Serve {
        return None;
    }
    match failure.code {
        code if is_node_fault(code) => Some(None),
        ImageNotFound => Some(Some(replica.deployment)),
        Exited | PortClosed | Unhealthy => None,
        _ => is_live(state, replica).then_some(Some(replica.deployment)),
    }
}

/// Whether a failure can only be the node's: neither what is built nor what runs is to blame.
pub fn is_node_fault(code: FailureCode) -> bool {
    matches!(code, FailureCode::EngineUnavailable | FailureCode::DiskFull)
}

fn is_live(state: &State, replica: &Replica) -> bool {
    state.deployments.get(&replica.deployment).is_some_and(|d| d.phase == Phase::Live)
}
