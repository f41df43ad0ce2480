//! Where replicas go: to nodes that fit, spread over them, where there is most room. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use temps_state::{
    Deployment, DeploymentId, Intent, Node, NodeId, Observed, Replica, Resources, State,
};

use crate::faults::Faults;

/// How many times a node's memory its replicas' limits may add up to. A limit is what a replica may use at worst, not
/// what it uses, and frozen replicas use next to nothing.
pub const MEMORY_OVERCOMMIT: u64 = 4;

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
}

/// One node, and what its replicas may use together, by the limits they were given.
struct Account<'a> {
    node: &'a Node,
    memory_mib: u64,
    cpu_millis: u64,
    siblings: BTreeMap<DeploymentId, usize>,
}

impl<'a> Ledger<'a> {
    /// The ledger of a state. Costs one look at every replica.
    pub fn of(state: &'a State) -> Self {
        let account = |node: &'a Node| Account {
            node,
            memory_mib: 0,
            cpu_millis: 0,
            siblings: BTreeMap::new(),
        };
        let accounts = state.nodes.iter().map(|(id, node)| (*id, account(node))).collect();
        let begin = state.replicas.values().filter(|replica| begins(replica)).count();
        let spreads = SPREADS_AT_ONCE.saturating_sub(begin);
        let mut ledger = Self { accounts, spreads, faults: None };
        for replica in state.replicas.values() {
            ledger.enter(replica, resources(state, replica));
        }
        ledger
    }

    /// The same ledger, knowing which nodes had better not be chosen.
    pub fn shunning(self, faults: &'a Faults) -> Self {
        Self { faults: Some(faults), ..self }
    }

    fn enter(&mut self, replica: &Replica, uses: Resources) {
        let Some(account) = self.accounts.get_mut(&replica.node) else { return };
        account.memory_mib += u64::from(uses.memory_mib);
        *account.siblings.entry(replica.deployment).or_default() += 1;
        if replica.intent != Intent::Keep {
            account.cpu_millis += u64::from(uses.cpu_millis);
        }
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
        let best = self.promise_best(deployment, needs, apart);
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
        match self.promise_best(deployment, needs, well) {
            None if even_shunned => self.promise_best(deployment, needs, |_| true),
            best => best,
        }
    }

    /// The least crowded of the nodes that have room and that `fits`.
    fn promise_best(
        &mut self,
        deployment: DeploymentId,
        needs: &Needs,
        fits: impl Fn(&Account) -> bool,
    ) -> Option<NodeId> {
        let all = self.accounts.values_mut().filter(|account| {
            account.node.takes_replicas()
                && needs.suits(account.node)
                && account.has_room(needs.resources)
                && fits(account)
        });
        let best = all.min_by_key(|account| account.crowding(deployment))?;
        best.promise(deployment, needs.resources);
        Some(best.node.id)
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
    fn promise(&mut self, deployment: DeploymentId, uses: Resources) {
        self.memory_mib += u64::from(uses.memory_mib);
        self.cpu_millis += u64::from(uses.cpu_millis);
        *self.siblings.entry(deployment).or_default() += 1;
    }

    /// A capacity of 0 is not known, and holds nothing back.
    fn has_room(&self, wants: Resources) -> bool {
        let (has, wants) = (self.node.capacity.memory_mib, u64::from(wants.memory_mib));
        has == 0 || (wants <= has && self.memory_mib + wants <= has * MEMORY_OVERCOMMIT)
    }

    /// Less is better: first fewer siblings, then less memory and processor promised, then more of them.
    fn crowding(&self, deployment: DeploymentId) -> (usize, u64, u64, Reverse<u64>, NodeId) {
        let siblings = self.siblings.get(&deployment).copied().unwrap_or(0);
        let (cpu, memory) = self.shares();
        (siblings, memory, cpu, Reverse(self.node.capacity.memory_mib), self.node.id)
    }

    fn shares(&self) -> (u64, u64) {
        let share = |used: u64, has: u64| used.saturating_mul(1_000).checked_div(has).unwrap_or(0);
        let capacity = self.node.capacity;
        (share(self.cpu_millis, capacity.cpu_millis), share(self.memory_mib, capacity.memory_mib))
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
