//! How a deployment keeps the replicas that it should have: on nodes that are there and stay.
//!
//! Of the replicas that should serve, the *steady* ones are on nodes that are reachable and not draining; the *leaving*
//! ones are on draining nodes, and serve until others do; the *stranded* ones are on lost nodes, and are moved as soon as
//! there is a place. Where there is none they stay, because their node may come back. Steady ones that are down for their
//! node's fault move too, once that has lasted, and only to nodes that are not known to have one. Where all is well and one node
//! has two more than another could have, one is moved, the new one first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use temps_state::{
    Artifact, Command, DeploymentId, Intent, Node, NodeId, Observed, Replica, ReplicaId, Standing,
};

use super::{Fresh, Situation};
use crate::placement::{Ledger, Needs};

/// New places for a deployment's replicas: for those that are moved there, and for those that are new.
pub struct Placed {
    moved: Vec<(ReplicaId, ReplicaId, NodeId)>,
    added: Vec<(ReplicaId, NodeId)>,
}

impl Placed {
    /// How many replicas have a place now.
    pub fn len(&self) -> usize {
        self.moved.len() + self.added.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What puts them there.
    pub fn into_commands(self, deployment: DeploymentId) -> Vec<Command> {
        let mut commands: Vec<Command> = self
            .moved
            .into_iter()
            .map(|(id, replacement, to)| Command::MoveReplica { id, to, replacement })
            .collect();
        if !self.added.is_empty() {
            commands.push(Command::PlaceReplicas { deployment, places: self.added });
        }
        commands
    }
}

impl Situation<'_> {
    /// How many replicas should serve.
    pub fn wanted(&self) -> usize {
        let environment = self.state.environments.get(&self.deployment.environment);
        environment.map_or(0, |environment| environment.replicas as usize)
    }

    /// The replicas that serve, or will, and may stay where they are.
    pub fn steady(&self) -> impl Iterator<Item = &Replica> {
        self.serving(|node| node.is_reachable() && node.standing != Standing::Draining)
    }

    fn leaving(&self) -> impl Iterator<Item = &Replica> {
        self.serving(|node| node.is_reachable() && node.standing == Standing::Draining)
    }

    fn stranded(&self) -> impl Iterator<Item = &Replica> {
        self.serving(|node| !node.is_reachable())
    }

    fn serving(&self, on: impl Fn(&Node) -> bool) -> impl Iterator<Item = &Replica> {
        let is_there = move |replica: &Replica| self.node(replica.node).is_some_and(&on);
        self.replicas
            .iter()
            .copied()
            .filter(move |replica| replica.intent == Intent::Serve && is_there(replica))
    }

    /// How many replicas need a place.
    pub fn missing(&self) -> usize {
        self.wanted().saturating_sub(self.steady().count())
    }

    /// Places for what is missing, as far as there is room. Stranded replicas are moved before new ones are added.
    pub fn placed(&self, missing: usize, ledger: &mut Ledger, fresh: Fresh) -> Placed {
        if !self.image_can_be_had() {
            return Placed { moved: vec![], added: vec![] };
        }
        let needs = Needs::of(self.deployment);
        let mut places = ledger.place(self.deployment.id, &needs, missing).into_iter();
        let moved = self
            .stranded()
            .zip(places.by_ref())
            .map(|(replica, to)| (replica.id, fresh(), to))
            .collect();
        Placed { moved, added: places.map(|node| (fresh(), node)).collect() }
    }

    /// Takes steady replicas off nodes at whose fault they have been down for long enough. The row of the old one goes
    /// with the same command, so that no two incarnations are ever routed.
    pub fn moved_off(&self, ledger: &mut Ledger, fresh: Fresh) -> Vec<Command> {
        let overdue = |replica: &&Replica| self.faults.is_overdue(self.state, replica, self.now);
        let overdue: Vec<&Replica> = self.steady().filter(overdue).collect();
        if overdue.is_empty() || !self.image_can_be_had() {
            return vec![];
        }
        let needs = Needs::of(self.deployment);
        let places = ledger.place_well(self.deployment.id, &needs, overdue.len());
        let moved = overdue.into_iter().zip(places);
        moved
            .map(|(replica, to)| Command::MoveReplica { id: replica.id, to, replacement: fresh() })
            .collect()
    }

    /// While nobody who has the image is there, a replica could start nowhere else; where it is it may come back. The
    /// engine of a node that has run a replica has it, too.
    pub fn image_can_be_had(&self) -> bool {
        let holders = &self.deployment.holders;
        let is_there = |id: &NodeId| self.node(*id).is_some_and(Node::is_reachable);
        let mut ran = self.replicas.iter().filter(|replica| has_run(replica));
        holders.is_empty()
            || holders.iter().any(is_there)
            || ran.any(|replica| is_there(&replica.node))
    }

    /// A live deployment follows its environment's scale, and its replicas leave nodes that are lost or draining.
    pub fn kept_up(&self, ledger: &mut Ledger, fresh: Fresh) -> Vec<Command> {
        if !matches!(self.deployment.artifact, Some(Artifact::Image { .. })) {
            return vec![];
        }
        // Those that leave serve on until others do, and are not to be placed twice where there is no room.
        let missing = self.missing();
        let placed = self.placed(missing, ledger, fresh);
        if !placed.is_empty() {
            return placed.into_commands(self.deployment.id);
        }
        if self.is_spreading() {
            return vec![];
        }
        let drains: Vec<Command> = self.surplus().map(|replica| self.drain(replica)).collect();
        if !drains.is_empty() {
            return drains;
        }
        let moved = self.moved_off(ledger, fresh);
        if moved.is_empty() { self.spread(ledger, fresh) } else { moved }
    }

    /// How many replicas that stay are on each node.
    fn crowds(&self) -> BTreeMap<NodeId, usize> {
        let mut crowds = BTreeMap::new();
        for replica in self.steady() {
            *crowds.entry(replica.node).or_default() += 1;
        }
        crowds
    }

    /// One replica more, on a node that has two fewer than another: the more crowded one loses one when it is healthy.
    /// A single replica stays where it is, as there are never two of it without need. Of a node at fault, as one
    /// whose engine does not answer, nothing is moved that does well.
    fn spread(&self, ledger: &mut Ledger, fresh: Fresh) -> Vec<Command> {
        let crowds = self.crowds();
        let most = crowds.values().copied().max().unwrap_or(0);
        let rests = self.replicas.iter().all(|replica| match replica.intent {
            Intent::Serve => is_healthy(replica) && !self.faults.is_faulty(replica.node),
            Intent::Drain { .. } => false,
            _ => true,
        });
        if most < 2 || !rests || !self.image_can_be_had() || !ledger.may_spread() {
            return vec![];
        }
        let (id, needs) = (self.deployment.id, Needs::of(self.deployment));
        let fits = |node| self.faults.may_spread_to(node, id, self.now);
        let place = ledger.place_apart(id, &needs, most - 2, fits);
        let place = place.map(|to| vec![(fresh(), to)]);
        place.map(|places| Command::PlaceReplicas { deployment: id, places }).into_iter().collect()
    }

    /// Whether a replica that is to spread the others better is on its way.
    fn is_spreading(&self) -> bool {
        if self.steady().count() != self.wanted() + 1 {
            return false;
        }
        let crowds = self.crowds();
        let most = crowds.values().copied().max().unwrap_or(0);
        let spreads = |replica: &Replica| {
            matches!(replica.observed, Observed::Pending | Observed::Starting)
                && crowds.get(&replica.node).is_some_and(|there| there < &most)
        };
        self.steady().any(spreads)
    }

    /// What is there beyond what is wanted: leaving ones as far as healthy others take their place, then the worst.
    fn surplus(&self) -> impl Iterator<Item = &Replica> {
        let wanted = self.wanted();
        let mut worst: Vec<&Replica> = self.steady().collect();
        let healthy = worst.iter().filter(|replica| is_healthy(replica)).count();
        let covered = (healthy + self.leaving().count()).saturating_sub(wanted);
        let beyond = worst.len().saturating_sub(wanted);
        let unneeded = if worst.len() >= wanted { self.stranded().count() } else { 0 };
        let crowds = self.crowds();
        worst.sort_by_key(|r| {
            let crowd = Reverse(crowds.get(&r.node));
            (is_healthy(r), self.is_stuck(r), crowd, Reverse(r.created_at), r.id)
        });
        let worst = worst.into_iter().take(beyond);
        self.leaving().take(covered).chain(self.stranded().take(unneeded)).chain(worst)
    }

    /// Whether a replica's node cannot stop it now.
    fn is_stuck(&self, replica: &Replica) -> bool {
        self.node(replica.node).is_some_and(|node| !node.engine_answers())
    }

    fn drain(&self, replica: &Replica) -> Command {
        let is_lost = !self.node(replica.node).is_some_and(Node::is_reachable);
        let until = match self.deployment.config.as_ref() {
            Some(config) if !is_lost => self.drained(config),
            _ => self.now,
        };
        Command::DrainReplica { id: replica.id, until }
    }
}

/// Whether a replica's container has been there, as far as its row tells.
fn has_run(replica: &Replica) -> bool {
    let ran = matches!(
        replica.observed,
        Observed::Starting | Observed::Healthy { .. } | Observed::Unhealthy { .. }
    );
    ran || replica.intent == Intent::Keep
}

fn is_healthy(replica: &Replica) -> bool {
    replica.serving_endpoint().is_some()
}
