//! Where replicas go: to nodes that fit, spread over them, where there is most room. Pure.
//!
//! What the replicas of a node ask for, see [`room`](crate::room), is never more than it offers. Those that are kept for a
//! rollback count like the others, as they serve again at once when it comes, but give way where others find no room.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use temps_state::{
    Deployment, DeploymentId, Intent, Node, NodeId, Observed, Replica, ReplicaId, Resources, State,
    YIELDS_SINCE,
};

use crate::faults::Faults;
use crate::room::{Room, at_worst};
use crate::shortage::Lack;

/// How many replicas are started at once only to be spread better.
pub const SPREADS_AT_ONCE: usize = 2;

/// What a replica needs of its node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// What it may use.
    pub resources: Resources,
    /// The processor architecture; any when `None`.
    pub architecture: Option<String>,
    /// Labels that the node must have.
    pub labels: BTreeMap<String, String>,
}

impl Needs {
    /// What the replicas of a deployment need.
    pub fn of(deployment: &Deployment) -> Self {
        let config = deployment.config.as_ref();
        Self {
            resources: config.map(|config| config.resources).unwrap_or_default(),
            architecture: deployment.architecture.clone().filter(|name| !name.is_empty()),
            labels: config.map(|config| config.node_labels.clone()).unwrap_or_default(),
        }
    }

    /// Whether a node could ever run it, however much else it runs.
    pub(crate) fn suits(&self, node: &Node) -> bool {
        let is_alike = |name: &String| node.architecture.is_empty() || *name == node.architecture;
        self.architecture.as_ref().is_none_or(is_alike)
            && self.labels.iter().all(|(name, value)| node.labels.get(name) == Some(value))
    }
}

/// What each node has promised to its replicas. Placements made from one ledger never promise the same room twice.
pub struct Ledger<'a> {
    accounts: BTreeMap<NodeId, Account<'a>>,
    /// How many more replicas may be started only to be spread better.
    spreads: usize,
    faults: Option<&'a Faults>,
    /// Whether kept replicas may give way: every node knows of it.
    may_yield: bool,
    /// Those that have to, for what was promised since somebody asked.
    yielded: Vec<ReplicaId>,
}

/// How full a node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// What it has for replicas.
    pub offered: Room,
    /// What those that serve or drain ask for.
    pub taken: Room,
    /// What those ask for that are kept for a rollback.
    pub kept: Room,
}

/// One node, and what was promised there.
struct Account<'a> {
    node: &'a Node,
    /// What it has for replicas.
    offered: Room,
    /// What those that serve or drain ask for.
    taken: Room,
    /// Those that are kept for a rollback, and what they ask for; the oldest gives way first.
    kept: BTreeMap<(Timestamp, ReplicaId), Room>,
    /// What they ask for together.
    kept_in_all: Room,
    siblings: BTreeMap<DeploymentId, usize>,
}

impl<'a> Ledger<'a> {
    /// The ledger of a state. Costs one look at every replica.
    pub fn of(state: &'a State) -> Self {
        let account = |node: &'a Node| Account {
            node,
            offered: Room::offered(node.capacity),
            taken: Room::default(),
            kept: BTreeMap::new(),
            kept_in_all: Room::default(),
            siblings: BTreeMap::new(),
        };
        let accounts = state.nodes.iter().map(|(id, node)| (*id, account(node))).collect();
        let begin = state.replicas.values().filter(|replica| begins(replica)).count();
        let spreads = SPREADS_AT_ONCE.saturating_sub(begin);
        let may_yield = state.format() >= YIELDS_SINCE;
        let mut ledger = Self { accounts, spreads, faults: None, may_yield, yielded: vec![] };
        for replica in state.replicas.values() {
            ledger.enter(replica, Room::asked(resources(state, replica)));
        }
        ledger
    }

    /// The same ledger, knowing which nodes had better not be chosen.
    pub fn shunning(self, faults: &'a Faults) -> Self {
        Self { faults: Some(faults), ..self }
    }

    fn enter(&mut self, replica: &Replica, asks: Room) {
        let Some(account) = self.accounts.get_mut(&replica.node) else { return };
        *account.siblings.entry(replica.deployment).or_default() += 1;
        match replica.intent {
            Intent::Keep => {
                account.kept.insert((replica.created_at, replica.id), asks);
                account.kept_in_all += asks;
            }
            Intent::Serve | Intent::Drain { .. } => account.taken += asks,
        }
    }

    /// The kept replicas that have to go for what was promised since this was asked last.
    pub fn yielded(&mut self) -> Vec<ReplicaId> {
        std::mem::take(&mut self.yielded)
    }

    /// Why each of the nodes that suit takes no more replicas, as far as it takes none.
    pub fn lacks(&self, needs: &Needs) -> Vec<Lack> {
        let suiting = self.accounts.values().filter(|account| needs.suits(account.node));
        suiting.filter_map(|account| account.lack(needs.resources, self.may_yield)).collect()
    }

    /// The nodes that `count` more replicas of a deployment go to, as far as there is room; what is returned is promised.
    /// Shunned nodes come last.
    pub fn place(&mut self, deployment: DeploymentId, needs: &Needs, count: usize) -> Vec<NodeId> {
        (0..count).map_while(|_| self.place_one(deployment, needs, true)).collect()
    }

    /// As [`place`](Self::place), and never on a shunned node.
    pub fn place_well(
        &mut self,
        deployment: DeploymentId,
        needs: &Needs,
        count: usize,
    ) -> Vec<NodeId> {
        (0..count).map_while(|_| self.place_one(deployment, needs, false)).collect()
    }

    /// Whether a replica may be started only to be spread better: a few at a time, and when nothing else begins.
    pub fn may_spread(&self) -> bool {
        self.spreads > 0
    }

    /// A node for one more replica of a deployment, to spread them better, among those that have at most so many of it
    /// and that `fits`.
    pub fn place_apart(
        &mut self,
        deployment: DeploymentId,
        needs: &Needs,
        siblings: usize,
        fits: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let faults = self.faults;
        let shunned = |node| faults.is_some_and(|faults| faults.shuns(node, deployment));
        let apart = |account: &Account| {
            let there = account.siblings.get(&deployment).copied().unwrap_or(0);
            there <= siblings && !shunned(account.node.id) && fits(account.node.id)
        };
        let best = self.promise_best(deployment, needs, false, apart);
        self.spreads = self.spreads.saturating_sub(best.iter().count());
        best
    }

    fn place_one(
        &mut self,
        deployment: DeploymentId,
        needs: &Needs,
        even_shunned: bool,
    ) -> Option<NodeId> {
        let faults = self.faults;
        let shunned = |node| faults.is_some_and(|faults| faults.shuns(node, deployment));
        let well = |account: &Account| !shunned(account.node.id);
        let may_yield = self.may_yield;
        self.promise_best(deployment, needs, false, well)
            .or_else(|| self.promise_best(deployment, needs, may_yield, well))
            .or_else(|| self.promise_best(deployment, needs, may_yield, |_| even_shunned))
    }

    /// The least crowded of the nodes that have room, kept replicas giving way or not, and that `fits`.
    fn promise_best(
        &mut self,
        deployment: DeploymentId,
        needs: &Needs,
        yielding: bool,
        fits: impl Fn(&Account) -> bool,
    ) -> Option<NodeId> {
        let all = self.accounts.values_mut().filter(|account| {
            needs.suits(account.node)
                && account.lack(needs.resources, yielding).is_none()
                && fits(account)
        });
        let best = all.min_by_key(|account| account.crowding(deployment))?;
        self.yielded.extend(best.promise(deployment, Room::asked(needs.resources)));
        Some(best.node.id)
    }

    /// How full a node is; nothing of one that is not there.
    pub fn occupancy(&self, node: NodeId) -> Occupancy {
        let of = |account: &Account| Occupancy {
            offered: account.offered,
            taken: account.taken,
            kept: account.kept_in_all,
        };
        self.accounts.get(&node).map(of).unwrap_or_default()
    }

    /// How much of its processors and memory a node has promised, in thousandths of each, together.
    pub fn busyness(&self, node: NodeId) -> u64 {
        self.accounts.get(&node).map_or(u64::MAX, |account| {
            let (cpu, memory) = account.shares();
            cpu.saturating_add(memory)
        })
    }
}

impl Account<'_> {
    /// What is promised there, with the kept replicas.
    fn promised(&self) -> Room {
        let mut promised = self.taken;
        promised += self.kept_in_all;
        promised
    }

    /// Promises room for one more; the kept replicas that give way to it.
    fn promise(&mut self, deployment: DeploymentId, asks: Room) -> Vec<ReplicaId> {
        self.taken += asks;
        *self.siblings.entry(deployment).or_default() += 1;
        let mut yielded = Vec::new();
        while !self.offered.holds(self.promised())
            && let Some(((_, id), asked)) = self.kept.pop_first()
        {
            self.kept_in_all = self.kept_in_all - asked;
            yielded.push(id);
        }
        yielded
    }

    /// Why there is no room for one more of these limits, kept replicas giving way or not.
    fn lack(&self, limits: Resources, yielding: bool) -> Option<Lack> {
        let taken = if yielding { self.taken } else { self.promised() };
        let (left, asks) = (self.offered - taken, Room::asked(limits));
        if !self.node.takes_replicas() {
            return Some(Lack::Away);
        }
        let (has, uses) = (at_worst(self.node.capacity), Room::used(limits));
        let lacks = [
            (uses.memory_mib > has.memory_mib, Lack::MemoryInAll),
            (uses.cpu_millis > has.cpu_millis, Lack::CpuInAll),
            (asks.memory_mib > left.memory_mib, Lack::Memory(left.memory_mib)),
            (asks.cpu_millis > left.cpu_millis, Lack::Cpu(left.cpu_millis)),
        ];
        lacks.into_iter().find_map(|(lacks, what)| lacks.then_some(what))
    }

    /// Less is better: first fewer siblings, then less memory and processor promised, then more of them.
    fn crowding(&self, deployment: DeploymentId) -> (usize, u64, u64, Reverse<u64>, NodeId) {
        let siblings = self.siblings.get(&deployment).copied().unwrap_or(0);
        let (cpu, memory) = self.shares();
        (siblings, memory, cpu, Reverse(self.node.capacity.memory_mib), self.node.id)
    }

    fn shares(&self) -> (u64, u64) {
        self.promised().shares_of(self.offered)
    }
}

/// Whether a replica is on its way.
fn begins(replica: &Replica) -> bool {
    replica.intent == Intent::Serve
        && matches!(replica.observed, Observed::Pending | Observed::Starting)
}

fn resources(state: &State, replica: &Replica) -> Resources {
    let deployment = state.deployments.get(&replica.deployment);
    deployment.and_then(|d| d.config.as_ref()).map_or_else(Resources::default, |c| c.resources)
}
