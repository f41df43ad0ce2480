//! Which nodes could not run replicas through no fault of the app. Pure: what a node remembers between two looks at the
//! state.
//!
//! Every node looks, so that any can tell and a new leader knows. One that was just started begins with nothing and
//! learns it again from the rows; if it leads before it has, a replica waits a patience longer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use temps_state::{
    DeploymentId, FailureCode, Intent, Node, NodeId, Observed, Phase, Replica, ReplicaId, State,
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

/// For how long after its engine was away a node is avoided: one that comes and goes does not draw replicas to and fro.
pub const ENGINE_SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// How long a node must have taken replicas before any are moved there only to be spread better: one that comes and
/// goes does not draw them to and fro.
pub const SETTLED_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// What a node cannot run: anything when `None`, or one deployment.
type Scope = Option<DeploymentId>;

/// What a node is not given for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avoided {
    /// The only deployment that it is not given; anything when `None`.
    pub deployment: Option<DeploymentId>,
    /// What was the matter the last time.
    pub why: FailureCode,
    /// Until when, unless it does better before.
    pub until: Timestamp,
}

/// The faults of nodes as far as their replicas and builds told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    since: BTreeMap<ReplicaId, (NodeId, Timestamp)>,
    shunned: BTreeMap<(NodeId, Scope), (Timestamp, FailureCode)>,
    /// When the engines that were away lately were last said to be, by their nodes.
    engine_away: BTreeMap<NodeId, Timestamp>,
    /// Who could not have an image because nobody who has it was there.
    unfetched: BTreeSet<(NodeId, DeploymentId)>,
    /// Since when nodes take replicas.
    takes_since: BTreeMap<NodeId, Timestamp>,
    /// When a replica of a live deployment was last seen to have failed on a node, whoever's fault that was.
    failed: BTreeMap<(NodeId, DeploymentId), Timestamp>,
}

impl Faults {
    /// Takes note of what the rows tell now. To be called before each round.
    pub fn look(&mut self, state: &State, now: Timestamp) {
        self.look_at_engines(state, now);
        for replica in state.replicas.values() {
            if let Some((scope, why)) = fault(state, replica) {
                self.since.entry(replica.id).or_insert((replica.node, now));
                if !self.is_told(replica.node, why) {
                    self.shun((replica.node, scope), why, now, NODE_SHUNNED_FOR);
                }
                let what = (replica.node, replica.deployment);
                if why == FailureCode::ImageNotFound && !can_be_fetched(state, what) {
                    self.unfetched.insert(what);
                }
            } else if replica.endpoint().is_some() && self.since.remove(&replica.id).is_some() {
                // What could not run there does again.
                self.shunned.retain(|(node, _), _| *node != replica.node);
            }
        }
        // A node that could not build cannot run anything either.
        let returned = state.deployments.values().flat_map(|deployment| &deployment.returned);
        for returned in returned {
            self.shun((returned.by, None), returned.failure.code, now, BUILDER_SHUNNED_FOR);
        }
        for (node, at) in self.engine_away.clone() {
            self.shun((node, None), FailureCode::EngineUnavailable, at, ENGINE_SETTLED_AFTER);
        }
        self.since.retain(|id, _| state.replicas.contains_key(id));
        self.shunned.retain(|_, (until, _)| now < *until);
        self.settle(state, now);
        self.forgive(state);
    }

    /// Which engines are away, or were a moment ago. What was concluded from replicas before gives way to their word.
    fn look_at_engines(&mut self, state: &State, now: Timestamp) {
        let away = state.nodes.values().filter(|node| !node.engine_answers()).map(|node| node.id);
        for id in away {
            self.engine_away.insert(id, now);
        }
        let lately = |at: &Timestamp| now.duration_since(*at) < ENGINE_SETTLED_AFTER;
        self.engine_away.retain(|id, at| state.nodes.contains_key(id) && lately(at));
        let told = &self.engine_away;
        self.shunned.retain(|(node, _), (_, why)| !is_engine(*why) || !told.contains_key(node));
    }

    /// Whether a node's own word about its engine explains a fault, and says when it is over.
    fn is_told(&self, node: NodeId, why: FailureCode) -> bool {
        is_engine(why) && self.engine_away.contains_key(&node)
    }

    /// Who takes replicas, and where they failed.
    fn settle(&mut self, state: &State, now: Timestamp) {
        let takes = |node: &Node| node.takes_replicas() && !self.is_faulty(node.id);
        let taking: BTreeSet<NodeId> =
            state.nodes.values().filter(|node| takes(node)).map(|node| node.id).collect();
        self.takes_since.retain(|id, _| taking.contains(id));
        for id in taking {
            self.takes_since.entry(id).or_insert(now);
        }
        // What an engine that is away takes down has not failed by itself.
        let counts = |replica: &&Replica| {
            is_live(state, replica) && !self.engine_away.contains_key(&replica.node)
        };
        for replica in state.replicas.values().filter(counts) {
            if matches!(replica.observed, Observed::Down { .. } | Observed::Unhealthy { .. }) {
                self.failed.insert((replica.node, replica.deployment), now);
            }
        }
        self.failed.retain(|_, at| now.duration_since(*at) < NODE_SHUNNED_FOR);
    }

    /// Whether a replica that does well elsewhere may be moved to a node, only to be spread better.
    pub fn may_spread_to(&self, node: NodeId, deployment: DeploymentId, now: Timestamp) -> bool {
        let since = self.takes_since.get(&node);
        since.is_some_and(|since| now.duration_since(*since) >= SETTLED_AFTER)
            && !self.failed.contains_key(&(node, deployment))
    }

    /// Whoever could not have an image may try again when somebody who has it is back.
    fn forgive(&mut self, state: &State) {
        let shunned = &mut self.shunned;
        self.unfetched.retain(|(node, deployment)| {
            let can_be_fetched = can_be_fetched(state, (*node, *deployment));
            if can_be_fetched {
                shunned.remove(&(*node, Some(*deployment)));
            }
            let mut replicas = state.replicas_of(*deployment);
            !can_be_fetched || replicas.any(|one| one.node == *node && lacks_image(one))
        });
    }

    fn shun(
        &mut self,
        what: (NodeId, Scope),
        why: FailureCode,
        now: Timestamp,
        how_long: SignedDuration,
    ) {
        let until = now.checked_add(how_long).unwrap_or(Timestamp::MAX);
        let known = self.shunned.entry(what).or_insert((until, why));
        if known.0 < until {
            *known = (until, why);
        }
    }

    /// What a node is not given for now.
    pub fn avoided(&self, node: NodeId) -> impl Iterator<Item = Avoided> {
        let known = self.shunned.range((node, None)..);
        let known = known.take_while(move |((of, _), _)| *of == node);
        known.map(|((_, deployment), (until, why))| Avoided {
            deployment: *deployment,
            why: *why,
            until: *until,
        })
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

fn is_engine(why: FailureCode) -> bool {
    why == FailureCode::EngineUnavailable
}

/// Whether a replica is down for want of its image.
fn lacks_image(replica: &Replica) -> bool {
    let Observed::Down { failure } = &replica.observed else { return false };
    failure.code == FailureCode::ImageNotFound
}

/// Whether another node is there that has what a deployment runs.
fn can_be_fetched(state: &State, (node, deployment): (NodeId, DeploymentId)) -> bool {
    let holders = state.deployments.get(&deployment).map(|deployment| &deployment.holders);
    let mut others = holders.into_iter().flatten().filter(|holder| **holder != node);
    others.any(|holder| state.nodes.get(holder).is_some_and(Node::is_reachable))
}

/// Whether a replica is down because of its node rather than its app.
pub fn is_of_node(state: &State, replica: &Replica) -> bool {
    fault(state, replica).is_some()
}

/// A version that ran before is not to blame for what happens before its process begins; of a new one it is known only
/// where the node names its engine, its disk or its way to the image.
fn fault(state: &State, replica: &Replica) -> Option<(Scope, FailureCode)> {
    use FailureCode::*;
    let Observed::Down { failure } = &replica.observed else { return None };
    if replica.intent != Intent::Serve {
        return None;
    }
    let scope = match failure.code {
        code if is_node_fault(code) => Some(None),
        ImageNotFound => Some(Some(replica.deployment)),
        Exited | PortClosed | Unhealthy => None,
        _ => is_live(state, replica).then_some(Some(replica.deployment)),
    };
    Some((scope?, failure.code))
}

/// Whether a failure can only be the node's: neither what is built nor what runs is to blame.
pub fn is_node_fault(code: FailureCode) -> bool {
    matches!(code, FailureCode::EngineUnavailable | FailureCode::DiskFull)
}

fn is_live(state: &State, replica: &Replica) -> bool {
    state.deployments.get(&replica.deployment).is_some_and(|d| d.phase == Phase::Live)
}
