//! What the leader proposes so that deployments become live and old replicas end. Pure: the next step of everything,
//! from the state alone, so that any leader goes on where the last one stopped.

mod builds;
mod replicas;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use temps_state::{
    Artifact, Built, Command, Deployment, Environment, Failure, FailureCode, Intent, Node, NodeId,
    Observed, Phase, Replica, ReplicaId, RunConfig, Source, State,
};

use crate::faults::{Faults, is_of_node};
use crate::placement::{Ledger, Needs};
use crate::shortage::Shortage;

/// How much longer than its limit a build may be under way before the leader gives it up: its node should have said so.
pub const BUILD_GRACE: Duration = Duration::from_secs(60);
/// How long the `beforeDeploy` commands may take together.
pub const PREPARE_MAX: Duration = Duration::from_secs(900);
/// How much longer than their deadline replicas may take before the leader gives them up: their node should have said so.
pub const START_GRACE: Duration = Duration::from_secs(60);
/// How long a lost node that runs `beforeDeploy` commands may take to come back. Nobody else may run them again.
pub const PREPARER_LOST_MAX: Duration = Duration::from_secs(30);
/// How long a switch to a static site waits for the nodes that do not have its files yet.
pub const SITE_WAIT_MAX: Duration = Duration::from_secs(10);

/// The commands to propose now, in this order. `faults` has looked at this state; `fresh` makes the ids of new replicas.
pub fn next(
    state: &State,
    faults: &Faults,
    now: Timestamp,
    fresh: &mut dyn FnMut() -> ReplicaId,
) -> Vec<Command> {
    let mut replicas: BTreeMap<_, Vec<&Replica>> = BTreeMap::new();
    for replica in state.replicas.values() {
        replicas.entry(replica.deployment).or_default().push(replica);
    }
    let mut ledger = Ledger::of(state).shunning(faults);
    let mut commands = ended_drains(state, now);
    commands.extend(builds::next(state, faults, &ledger));
    for deployment in state.deployments.values() {
        let own = replicas.get(&deployment.id).map_or(&[][..], Vec::as_slice);
        let situation = Situation { state, faults, now, deployment, replicas: own };
        let next = step(&situation, &mut ledger, fresh);
        let yielded = ledger.yielded();
        if next.iter().any(places) {
            commands.extend(yielded.into_iter().map(|id| Command::YieldReplica { id }));
        }
        commands.extend(next);
    }
    // A switch takes another deployment out of service, for which something may be proposed as well: that goes first.
    commands.sort_by_key(|command| matches!(command, Command::SwitchRoute { .. }));
    commands
}

/// Why the live deployment of an environment has fewer replicas than it should; nothing where it has them all, or gets
/// them in a moment.
pub fn shortage(state: &State, environment: &Environment) -> Option<Failure> {
    let deployment = state.deployments.get(&environment.current?)?;
    let replicas: Vec<&Replica> = state.replicas_of(deployment.id).collect();
    // Neither faults nor the time make room.
    let (faults, now) = (&Faults::default(), Timestamp::UNIX_EPOCH);
    let situation = Situation { state, faults, now, deployment, replicas: &replicas };
    let missing = situation.missing();
    if missing == 0 || !matches!(deployment.artifact, Some(Artifact::Image { .. })) {
        return None;
    }
    let (needs, mut ledger) = (Needs::of(deployment), Ledger::of(state));
    let placed = ledger.place(deployment.id, &needs, missing).len();
    (placed < missing).then(|| unplaced(&needs, missing - placed, &ledger))
}

/// Whether a command gives replicas their nodes.
fn places(command: &Command) -> bool {
    matches!(command, Command::PlaceReplicas { .. } | Command::MoveReplica { .. })
}

/// What one deployment's next step depends on.
struct Situation<'a> {
    state: &'a State,
    faults: &'a Faults,
    now: Timestamp,
    deployment: &'a Deployment,
    replicas: &'a [&'a Replica],
}

fn step(it: &Situation, ledger: &mut Ledger, fresh: Fresh) -> Vec<Command> {
    match &it.deployment.phase {
        Phase::Queued => {
            let command = it.reused().or_else(|| builds::exhausted(it.state, it.deployment));
            command.into_iter().collect()
        }
        Phase::Building { on } => it.building(*on).into_iter().collect(),
        Phase::Preparing { on } => it.preparing(*on).into_iter().collect(),
        Phase::Starting => it.starting(ledger, fresh),
        Phase::Live => it.kept_up(ledger, fresh),
        _ => vec![],
    }
}

/// Makes the ids of new replicas.
type Fresh<'a> = &'a mut dyn FnMut() -> ReplicaId;

impl Situation<'_> {
    fn fail(&self, failure: Failure) -> Command {
        Command::FailDeployment { id: self.deployment.id, failure }
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.state.nodes.get(&id)
    }

    /// A deployment of an earlier one's artifact has nothing to build.
    fn reused(&self) -> Option<Command> {
        let Source::Artifact { .. } = self.deployment.source else { return None };
        let deployment = self.deployment.clone();
        let (artifact, config) = (deployment.artifact?, deployment.config?);
        let built = Built { artifact, config, revision: deployment.revision };
        Some(Command::FinishBuild { id: deployment.id, built })
    }

    /// A build whose node is lost is given to another one; that is not decided here.
    fn building(&self, on: NodeId) -> Option<Command> {
        let mut others = self.state.nodes.values().filter(|node| node.builds);
        if self.node(on).is_none() && others.next().is_none() {
            return Some(self.fail(nobody_left()));
        }
        let limit = Duration::from_secs(self.state.settings().build.timeout_seconds);
        self.late(limit + BUILD_GRACE, FailureCode::BuildTimedOut, "the build")
    }

    /// Commands that may have run already are not run again elsewhere.
    fn preparing(&self, on: NodeId) -> Option<Command> {
        let gone = match self.node(on) {
            None => true,
            Some(node) => node.lost_since.is_some_and(|at| self.is_over(at, PREPARER_LOST_MAX)),
        };
        if gone {
            return Some(self.fail(preparer_lost(on)));
        }
        let code = FailureCode::BeforeDeployFailed;
        self.late(PREPARE_MAX + BUILD_GRACE, code, "beforeDeploy")
    }

    fn is_over(&self, since: Timestamp, limit: Duration) -> bool {
        since.checked_add(limit).is_ok_and(|end| end < self.now)
    }

    fn late(&self, limit: Duration, code: FailureCode, what: &str) -> Option<Command> {
        let failure = || Failure {
            code,
            message: format!("{what} took longer than {} s", limit.as_secs()),
            hint: "deploy again; if it happens again, look at the node's log".into(),
            log_tail: vec![],
        };
        self.has_been_for(limit).then(|| self.fail(failure()))
    }

    /// Whether the deployment has been in its phase for longer than that.
    fn has_been_for(&self, limit: Duration) -> bool {
        let moment = self.deployment.history.last();
        moment.is_some_and(|moment| {
            moment.phase == self.deployment.phase.name() && self.is_over(moment.at, limit)
        })
    }

    /// On the way to live: give up, switch, or place what is missing.
    fn starting(&self, ledger: &mut Ledger, fresh: Fresh) -> Vec<Command> {
        let Some(config) = self.deployment.config.as_ref() else { return vec![] };
        if matches!(self.deployment.artifact, Some(Artifact::Static { .. })) {
            return self.site_is_there().then(|| self.switch(config)).into_iter().collect();
        }
        if let Some(verdict) = self.failing(ledger, fresh) {
            return verdict;
        }
        let healthy = self.steady().filter(|replica| replica.serving_endpoint().is_some()).count();
        if healthy >= self.wanted() {
            return vec![self.switch(config)];
        }
        let missing = self.missing();
        let placed = self.placed(missing, ledger, fresh);
        let needs = Needs::of(self.deployment);
        let lacks = placed.len() < missing && self.image_can_be_had();
        if lacks && (self.has_been_for(start_limit(config)) || !self.room_comes(&needs)) {
            return vec![self.fail(unplaced(&needs, missing - placed.len(), ledger))];
        }
        if !placed.is_empty() {
            return placed.into_commands(self.deployment.id);
        }
        let late =
            self.late(start_limit(config), FailureCode::Unhealthy, "the start of the replicas");
        late.into_iter().collect()
    }

    /// Whether there is room for everything once the replicas that drain are gone.
    fn room_comes(&self, needs: &Needs) -> bool {
        let stays = |replica: &Replica| !matches!(replica.intent, Intent::Drain { .. });
        let replicas = self.state.replicas.iter().filter(|(_, replica)| stays(replica));
        let replicas = replicas.map(|(id, replica)| (*id, replica.clone())).collect();
        let later = State { replicas, ..self.state.clone() };
        let missing = self.missing();
        Ledger::of(&later).place(self.deployment.id, needs, missing).len() == missing
    }

    /// What follows when a replica on its way to live has failed: an app's failure is the deployment's, but what its
    /// node has failed at is tried on another one, in the time that there is.
    fn failing(&self, ledger: &mut Ledger, fresh: Fresh) -> Option<Vec<Command>> {
        let failed = |of_node: bool| {
            let mut steady =
                self.steady().filter(move |replica| is_of_node(self.state, replica) == of_node);
            steady.find_map(failure_of).map(|failure| vec![self.fail(failure.clone())])
        };
        let moved = || {
            let in_time = !self.has_been_for(start_limit(self.deployment.config.as_ref()?));
            in_time.then(|| self.moved_off(ledger, fresh)).filter(|moves| !moves.is_empty())
        };
        failed(false).or_else(moved).or_else(|| failed(true))
    }

    /// Every edge should have a site's files before its route points at them.
    fn site_is_there(&self) -> bool {
        let holders = &self.deployment.holders;
        let everywhere = self.state.ready_nodes().all(|node| holders.contains(&node.id));
        everywhere || self.has_been_for(SITE_WAIT_MAX)
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
}

/// How long the start of a deployment's replicas may take.
fn start_limit(config: &RunConfig) -> Duration {
    Duration::from_secs(config.health.deadline_seconds.into()) + START_GRACE
}

fn failure_of(replica: &Replica) -> Option<&Failure> {
    match &replica.observed {
        Observed::Unhealthy { failure } | Observed::Down { failure } => Some(failure),
        _ => None,
    }
}

fn preparer_lost(node: NodeId) -> Failure {
    Failure {
        code: FailureCode::NodeLost,
        message: format!("node {node} was lost while it ran the beforeDeploy commands"),
        hint: "see what they have done, then deploy again".into(),
        log_tail: vec![],
    }
}

fn nobody_left() -> Failure {
    Failure {
        code: FailureCode::NodeLost,
        message: "the node that built is gone, and no other node may build".into(),
        hint: "start a node without --no-build, then deploy again".into(),
        log_tail: vec![],
    }
}

/// The labels as people write them.
fn labels_of(needs: &Needs) -> Vec<String> {
    needs.labels.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn nowhere(needs: &Needs) -> Failure {
    let (labels, processor) =
        (labels_of(needs).join(" "), needs.architecture.as_deref().unwrap_or("any"));
    Failure {
        code: FailureCode::StartFailed,
        message: match labels.is_empty() {
            true => format!("no node has a processor of the image's kind, {processor}"),
            false => format!(
                "no node with a processor of the image's kind, {processor}, has the labels {labels}"
            ),
        },
        hint: match labels.is_empty() {
            true => {
                "add a node of that kind, or deploy an image for the ones that there are".into()
            }
            false => format!(
                "`temps nodes label NODE {labels}` on a node, or change `nodeLabels` in temps.json"
            ),
        },
        log_tail: vec![],
    }
}

/// Why so many replicas have no place.
fn unplaced(needs: &Needs, missing: usize, ledger: &Ledger) -> Failure {
    let lacks = ledger.lacks(needs);
    if lacks.is_empty() {
        return nowhere(needs);
    }
    let labels = labels_of(needs);
    let on = match labels.is_empty() {
        true => String::new(),
        false => format!(" with the labels {}", labels.join(", ")),
    };
    Shortage { missing, limits: needs.resources, lacks }.failure(&on)
}

fn ended_drains(state: &State, now: Timestamp) -> Vec<Command> {
    let over =
        |replica: &&Replica| matches!(replica.intent, Intent::Drain { until } if until <= now);
    state.replicas.values().filter(over).map(|r| Command::EndDrain { id: r.id }).collect()
}
