//! A state to try the scheduler's thinking on: commands are applied as the cluster would.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod dockerd;
pub mod home;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use temps_scheduler::faults::Faults;
use temps_scheduler::rollout;
use temps_scheduler::room::Room;
use temps_state::*;

pub struct World {
    pub state: State,
    pub now: Timestamp,
    pub faults: Faults,
    index: u64,
}

impl World {
    /// A cluster of that many nodes, 4 GiB each, with one project.
    pub fn new(nodes: u64) -> Self {
        let now = Timestamp::from_second(1_700_000_000).expect("a plausible time");
        let mut world = Self { state: State::default(), now, faults: Faults::default(), index: 0 };
        for id in 1..=nodes {
            world.add(node(id));
        }
        world.project("shop");
        world
    }

    /// A node that joined long ago.
    pub fn add(&mut self, node: Node) {
        self.state.nodes.insert(node.id, node);
    }

    pub fn project(&mut self, name: &str) -> EnvironmentId {
        let project = Project {
            id: self.fresh(),
            name: name.parse().expect("a name"),
            created_at: self.now,
            disabled: false,
            repository: None,
            webhook_secret: ClusterKey::new([3; 32]).seal([0; 12], "p", "v").expect("short"),
            previews: true,
            deployments_made: 0,
            callers: Default::default(),
        };
        let production = self.fresh();
        self.apply(Command::CreateProject { project, production });
        production
    }

    pub fn fresh<I: Id>(&mut self) -> I {
        self.index += 1;
        I::from_parts(1_700_000_000_000 + self.index, u128::from(self.index))
    }

    pub fn try_apply(&mut self, command: Command) -> Result<Reply, Rejected> {
        self.index += 1;
        let entry = Entry {
            at: self.now,
            actor: Actor::Node { id: NodeId(1) },
            from: None,
            request: None,
            condition: None,
            command,
        };
        self.state.apply(self.index, entry)
    }

    pub fn apply(&mut self, command: Command) -> Reply {
        let shown = format!("{command:?}");
        self.try_apply(command).unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// The first project's production.
    pub fn production(&self) -> EnvironmentId {
        *self.state.environments.keys().next().expect("there is one")
    }

    pub fn deploy(&mut self, environment: EnvironmentId, source: Source) -> DeploymentId {
        let id = self.fresh();
        let deployment = NewDeployment { id, environment, source, revision: None };
        self.apply(Command::CreateDeployment { deployment });
        id
    }

    pub fn next(&mut self) -> Vec<Command> {
        let state = self.state.clone();
        let now = self.now;
        self.faults.look(&state, now);
        let faults = self.faults.clone();
        rollout::next(&state, &faults, now, &mut || self.fresh())
    }

    /// Lets the leader do all it wants to; returns what that was.
    pub fn lead(&mut self) -> Vec<Command> {
        let mut done = Vec::new();
        for _ in 0..100 {
            let commands = self.next();
            if commands.is_empty() {
                return done;
            }
            for command in commands {
                self.apply(command.clone());
                done.push(command);
            }
        }
        panic!("the leader never has enough: {:?}", done.last());
    }

    pub fn finish_builds(&mut self, artifact: &Artifact) {
        let building: Vec<DeploymentId> = self
            .state
            .deployments
            .values()
            .filter(|d| matches!(d.phase, Phase::Building { .. }))
            .map(|d| d.id)
            .collect();
        for id in building {
            let built = Built { artifact: artifact.clone(), config: config(), revision: None };
            self.apply(Command::FinishBuild { id, built });
        }
    }

    pub fn observe(&mut self, replica: ReplicaId, observed: Observed) {
        self.apply(Command::ReportReplica { id: replica, observed });
    }

    /// A node tells of its engine.
    pub fn engine(&mut self, id: NodeId, away: bool) {
        self.apply(Command::ReportEngine { id, away });
    }

    /// Every replica that should serve becomes healthy.
    pub fn heal(&mut self) {
        let sick: Vec<ReplicaId> = self
            .state
            .replicas
            .values()
            .filter(|r| r.intent == Intent::Serve && r.serving_endpoint().is_none())
            .map(|r| r.id)
            .collect();
        for id in sick {
            self.observe(id, healthy());
        }
    }

    /// Builds, starts and switches until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..20 {
            self.lead();
            self.finish_builds(&image());
            self.heal();
            self.pass(31);
        }
    }

    pub fn phase(&self, id: DeploymentId) -> &'static str {
        self.state.deployments.get(&id).map_or("forgotten", |d| d.phase.name())
    }

    pub fn replicas(&self, of: DeploymentId) -> Vec<Replica> {
        self.state.replicas_of(of).cloned().collect()
    }

    /// What each node's replicas ask for.
    pub fn promised(&self) -> BTreeMap<NodeId, Room> {
        let mut promised: BTreeMap<NodeId, Room> = BTreeMap::new();
        for replica in self.state.replicas.values() {
            let config = self.state.deployments[&replica.deployment].config.as_ref();
            let limits = config.map(|config| config.resources).unwrap_or_default();
            *promised.entry(replica.node).or_default() += Room::asked(limits);
        }
        promised
    }
}

pub fn node(id: u64) -> Node {
    Node {
        architecture: "amd64".into(),
        capacity: Capacity { cpu_millis: 2_000, memory_mib: 4_096 },
        builds: true,
        format: FORMAT.into(),
        ..Node::new(NodeId(id), format!("node-{id}"), Timestamp::UNIX_EPOCH)
    }
}

pub fn config() -> RunConfig {
    RunConfig {
        preset: "node".into(),
        port: 3000,
        port_assumed: false,
        command: None,
        health: HealthCheck::default(),
        resources: Resources::default(),
        node_labels: Default::default(),
        before_deploy: vec![],
        cron: vec![],
        drain_seconds: 30,
    }
}

pub fn image() -> Artifact {
    Artifact::Image { id: "sha256:00".into() }
}

pub fn site() -> Artifact {
    Artifact::Static { digest: "00".into(), single_page: false }
}

pub fn upload() -> Source {
    Source::Upload { digest: "00".into() }
}

pub fn healthy() -> Observed {
    Observed::Healthy { endpoint: "10.0.0.1:3000".parse().expect("an address") }
}

pub fn down() -> Observed {
    Observed::Down { failure: failure(FailureCode::Exited) }
}

pub fn failure(code: FailureCode) -> Failure {
    Failure { code, message: "m".into(), hint: "h".into(), log_tail: vec!["boom".into()] }
}
