//! What the leader proposes so that deployments become live and old replicas end. Pure: the next step of everything,
//! from the state alone, so that any leader goes on where the last one stopped.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use temps_state::{
    Artifact, Built, Command, Deployment, Failure, FailureCode, Intent, NodeId, Observed, Phase,
    Replica, ReplicaId, RunConfig, Source, State,
};

use crate::placement::place;

/// How much longer than its limit a build may be under way before the leader gives it up: its node should have said so.
pub const BUILD_GRACE: Duration = Duration::from_secs(60);
/// How long the `beforeDeploy` commands may take together.
pub const PREPARE_MAX: Duration = Duration::from_secs(900);
/// How much longer than their deadline replicas may take before the leader gives them up: their node should have said so.
pub const START_GRACE: Duration = Duration::from_secs(60);

/// The commands to propose now, in this order. `fresh` makes the ids of new replicas.
pub fn next(state: &State, now: Timestamp, fresh: &mut dyn FnMut() -> ReplicaId) -> Vec<Command> {
    let mut replicas: BTreeMap<_, Vec<&Replica>> = BTreeMap::new();
    for replica in state.replicas.values() {
        replicas.entry(replica.deployment).or_default().push(replica);
    }
    // A switch may give up replicas whose drain is over as well: they go first.
    let mut commands = ended_drains(state, now);
    commands.extend(builds(state));
    for deployment in state.deployments.values() {
        let own = replicas.get(&deployment.id).map_or(&[][..], Vec::as_slice);
        commands.extend(step(&Situation { state, now, deployment, replicas: own }, fresh));
    }
    one_placement(commands)
}

/// Two placements made from one state might promise the same room twice.
fn one_placement(commands: Vec<Command>) -> Vec<Command> {
    let mut placed = false;
    let is_first = |command: &Command| match command {
        Command::PlaceReplicas { .. } => !std::mem::replace(&mut placed, true),
        _ => true,
    };
    commands.into_iter().filter(is_first).collect()
}

/// What one deployment's next step depends on.
struct Situation<'a> {
    state: &'a State,
    now: Timestamp,
    deployment: &'a Deployment,
    replicas: &'a [&'a Replica],
}

fn step(it: &Situation, fresh: &mut dyn FnMut() -> ReplicaId) -> Vec<Command> {
    match &it.deployment.phase {
        Phase::Queued => it.reused().into_iter().collect(),
        Phase::Building { on } => {
            let limit = Duration::from_secs(it.state.settings().build.timeout_seconds);
            let late = || it.late(limit + BUILD_GRACE, FailureCode::BuildTimedOut, "the build");
            it.lost(*on).or_else(late).into_iter().collect()
        }
        Phase::Preparing { on } => {
            let code = FailureCode::BeforeDeployFailed;
            let late = || it.late(PREPARE_MAX + BUILD_GRACE, code, "beforeDeploy");
            it.lost(*on).or_else(late).into_iter().collect()
        }
        Phase::Starting => it.starting(fresh).into_iter().collect(),
        Phase::Live => it.scaled(fresh),
        _ => vec![],
    }
}

impl Situation<'_> {
    fn fail(&self, failure: Failure) -> Command {
        Command::FailDeployment { id: self.deployment.id, failure }
    }

    /// A deployment of an earlier one's artifact has nothing to build.
    fn reused(&self) -> Option<Command> {
        let Source::Artifact { .. } = self.deployment.source else { return None };
        let deployment = self.deployment.clone();
        let (artifact, config) = (deployment.artifact?, deployment.config?);
        let built = Built { artifact, config, revision: deployment.revision };
        Some(Command::FinishBuild { id: deployment.id, built })
    }

    fn lost(&self, node: NodeId) -> Option<Command> {
        (!self.state.nodes.contains_key(&node)).then(|| self.fail(node_lost(node)))
    }

    fn late(&self, limit: Duration, code: FailureCode, what: &str) -> Option<Command> {
        let moment = self.deployment.history.last()?;
        let is_this_phase = moment.phase == self.deployment.phase.name();
        let over = moment.at.checked_add(limit).is_ok_and(|end| end < self.now);
        let failure = || Failure {
            code,
            message: format!("{what} took longer than {} s", limit.as_secs()),
            hint: "deploy again; if it happens again, look at the node's log".into(),
            log_tail: vec![],
        };
        (is_this_phase && over).then(|| self.fail(failure()))
    }

    fn wanted(&self) -> usize {
        let environment = self.state.environments.get(&self.deployment.environment);
        environment.map_or(0, |environment| environment.replicas as usize)
    }

    fn serving(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().copied().filter(|replica| replica.intent == Intent::Serve)
    }

    /// On the way to live: give up, switch, or place what is missing.
    fn starting(&self, fresh: &mut dyn FnMut() -> ReplicaId) -> Option<Command> {
        let config = self.deployment.config.as_ref()?;
        if let Some(replica) = self.serving().find(|replica| failure_of(replica).is_some()) {
            return failure_of(replica).map(|failure| self.fail(failure.clone()));
        }
        if let Some(lost) = self.serving().find_map(|replica| self.lost(replica.node)) {
            return Some(lost);
        }
        let is_static = matches!(self.deployment.artifact, Some(Artifact::Static { .. }));
        let healthy = self.serving().filter(|replica| replica.serving_endpoint().is_some()).count();
        if is_static || healthy >= self.wanted() {
            return Some(self.switch(config));
        }
        let missing = self.wanted().saturating_sub(self.serving().count());
        let limit = Duration::from_secs(config.health.deadline_seconds.into()) + START_GRACE;
        match self.placed(config, missing, fresh) {
            Some(places) if places.len() == missing => Some(self.place_replicas(places)),
            Some(_) => Some(self.fail(no_room(config, missing))),
            None => self.late(limit, FailureCode::Unhealthy, "the start of the replicas"),
        }
    }

    /// The requests of the version before get the time that it asked for.
    fn switch(&self, config: &RunConfig) -> Command {
        let environment = self.state.environments.get(&self.deployment.environment);
        let current = environment.and_then(|environment| environment.current);
        let old = current.and_then(|id| self.state.deployments.get(&id)?.config.as_ref());
        Command::SwitchRoute {
            id: self.deployment.id,
            drain_until: self.drained(old.unwrap_or(config)),
        }
    }

    fn drained(&self, config: &RunConfig) -> Timestamp {
        let drain = Duration::from_secs(config.drain_seconds.into());
        self.now.checked_add(drain).unwrap_or(self.now)
    }

    /// A live deployment follows its environment's scale.
    fn scaled(&self, fresh: &mut dyn FnMut() -> ReplicaId) -> Vec<Command> {
        let Some(config) = self.deployment.config.as_ref() else { return vec![] };
        if !matches!(self.deployment.artifact, Some(Artifact::Image { .. })) {
            return vec![];
        }
        let missing = self.wanted().saturating_sub(self.serving().count());
        if let Some(places) = self.placed(config, missing, fresh) {
            return if places.is_empty() { vec![] } else { vec![self.place_replicas(places)] };
        }
        let until = self.drained(config);
        let mut worst: Vec<&Replica> = self.serving().collect();
        worst.sort_by_key(|r| (r.serving_endpoint().is_some(), Reverse(r.created_at), r.id));
        let surplus = worst.len().saturating_sub(self.wanted());
        let drain = |replica: &&Replica| Command::DrainReplica { id: replica.id, until };
        worst.iter().take(surplus).map(drain).collect()
    }

    /// Places for what is missing, as far as there is room; `None` when nothing is.
    fn placed(
        &self,
        config: &RunConfig,
        missing: usize,
        fresh: &mut dyn FnMut() -> ReplicaId,
    ) -> Option<Vec<(ReplicaId, NodeId)>> {
        let nodes = || place(self.state, self.deployment.id, config.resources, missing);
        (missing > 0).then(|| nodes().into_iter().map(|node| (fresh(), node)).collect())
    }

    fn place_replicas(&self, places: Vec<(ReplicaId, NodeId)>) -> Command {
        Command::PlaceReplicas { deployment: self.deployment.id, places }
    }
}

fn failure_of(replica: &Replica) -> Option<&Failure> {
    match &replica.observed {
        Observed::Unhealthy { failure } | Observed::Down { failure } => Some(failure),
        _ => None,
    }
}

fn node_lost(node: NodeId) -> Failure {
    Failure {
        code: FailureCode::NodeLost,
        message: format!("node {node} left the cluster while it worked on the deployment"),
        hint: "deploy again".into(),
        log_tail: vec![],
    }
}

fn no_room(config: &RunConfig, missing: usize) -> Failure {
    let memory = config.resources.memory_mib;
    Failure {
        code: FailureCode::StartFailed,
        message: format!("no node has room for {missing} more replicas of {memory} MiB each"),
        hint: "lower `resources.memory` in temps.json or the number of replicas, remove what is not needed, or add a node".into(),
        log_tail: vec![],
    }
}

/// Gives queued deployments to nodes that build, oldest first, as many at once as the settings allow.
fn builds(state: &State) -> Vec<Command> {
    let at_once = state.settings().build.at_once.max(1) as usize;
    let mut free: BTreeMap<NodeId, usize> =
        state.nodes.values().filter(|node| node.builds).map(|node| (node.id, at_once)).collect();
    for deployment in state.deployments.values() {
        if let Phase::Building { on } = deployment.phase
            && let Some(slots) = free.get_mut(&on)
        {
            *slots = slots.saturating_sub(1);
        }
    }
    let queued = state.deployments.values().filter(|deployment| {
        deployment.phase == Phase::Queued && !matches!(deployment.source, Source::Artifact { .. })
    });
    queued.map_while(|deployment| start_build(deployment, &mut free)).collect()
}

fn start_build(deployment: &Deployment, free: &mut BTreeMap<NodeId, usize>) -> Option<Command> {
    let (on, slots) =
        free.iter_mut().filter(|(_, slots)| **slots > 0).max_by_key(|(_, slots)| **slots)?;
    *slots -= 1;
    Some(Command::StartBuild { id: deployment.id, on: *on })
}

fn ended_drains(state: &State, now: Timestamp) -> Vec<Command> {
    let over =
        |replica: &&Replica| matches!(replica.intent, Intent::Drain { until } if until <= now);
    state.replicas.values().filter(over).map(|r| Command::EndDrain { id: r.id }).collect()
}
