//! The life of deployments, told from outside.

use crate::draws::{at, entry, failure, fresh, node, project, run_config};
use temps_state::*;

/// A project with one node and one environment, and a clock that ticks with every command.
struct Story {
    state: State,
    index: u64,
    environment: EnvironmentId,
}

impl Story {
    fn begin() -> Self {
        let mut story = Self { state: State::default(), index: 0, environment: fresh(1) };
        story.ask(Command::RecordNode { node: node(1) });
        let project = project(fresh(1), "shop", at(0));
        story.ask(Command::CreateProject { project, production: fresh(1) });
        story
    }

    fn try_ask(&mut self, command: Command) -> Result<Reply, Rejected> {
        self.index += 1;
        self.state.apply(self.index, entry(self.index, command))
    }

    fn ask(&mut self, command: Command) {
        self.try_ask(command).expect("the story goes on");
    }

    fn create(&mut self) -> DeploymentId {
        let id = fresh(self.index + 1);
        let source = Source::Image { reference: "nginx:stable".into() };
        let deployment =
            NewDeployment { id, environment: self.environment, source, revision: None };
        self.ask(Command::CreateDeployment { deployment });
        id
    }

    fn build(&mut self) -> DeploymentId {
        let id = self.create();
        self.ask(Command::StartBuild { id, on: NodeId(1) });
        let artifact = Artifact::Image { id: "sha256:00".into() };
        let built = Built { artifact, config: run_config(false), revision: None };
        self.ask(Command::FinishBuild { id, built });
        id
    }

    fn replica(&self, deployment: DeploymentId) -> Option<&Replica> {
        self.state.replicas_of(deployment).next()
    }

    fn go_live(&mut self, drain_seconds: u64) -> DeploymentId {
        let id = self.build();
        let places = vec![(fresh(self.index + 1), NodeId(1))];
        self.ask(Command::PlaceReplicas { deployment: id, places });
        self.switch(id, drain_seconds);
        id
    }

    fn switch(&mut self, id: DeploymentId, drain_seconds: u64) {
        self.ask(Command::SwitchRoute { id, drain_until: at(self.index + drain_seconds) });
    }

    fn phase(&self, id: DeploymentId) -> &'static str {
        self.state.deployments[&id].phase.name()
    }
}

#[test]
fn the_previous_version_is_kept_and_the_one_before_retires() {
    let mut story = Story::begin();
    let (first, second, third) = (story.go_live(0), story.go_live(0), story.go_live(0));
    assert_eq!([first, second, third].map(|id| story.phase(id)), ["retired", "kept", "live"]);
    assert!(story.replica(first).is_none());
}

#[test]
fn a_version_replaced_twice_within_its_drain_still_ends_its_requests() {
    let mut story = Story::begin();
    let (first, _, _) = (story.go_live(100), story.go_live(100), story.go_live(100));
    let draining = story.replica(first).expect("it still drains").id;
    assert_eq!(story.phase(first), "retired");
    story.ask(Command::EndDrain { id: draining });
    assert!(story.replica(first).is_some(), "the drain is not over");
    story.index += 200;
    story.ask(Command::EndDrain { id: draining });
    assert!(story.replica(first).is_none());
}

#[test]
fn a_kept_version_is_frozen_after_its_drain_and_proves_its_health_before_it_serves_again() {
    let mut story = Story::begin();
    let (first, second) = (story.go_live(0), story.go_live(0));
    let replica = story.replica(first).expect("kept").id;
    let endpoint = "10.0.0.1:3000".parse().expect("an address");
    story.ask(Command::ReportReplica { id: replica, observed: Observed::Healthy { endpoint } });
    story.ask(Command::EndDrain { id: replica });
    assert_eq!(story.state.replicas[&replica].intent, Intent::Keep);

    let environment = story.environment;
    story.ask(Command::RollBack { environment, to: first });
    assert_eq!(story.state.replicas[&replica].serving_endpoint(), None);
    story.ask(Command::ReportReplica { id: replica, observed: Observed::Healthy { endpoint } });
    story.switch(first, 0);
    assert_eq!([first, second].map(|id| story.phase(id)), ["live", "kept"]);
}

#[test]
fn a_failed_version_leaves_the_live_one_alone() {
    let mut story = Story::begin();
    let live = story.go_live(0);
    let failing = story.build();
    story.ask(Command::FailDeployment { id: failing, failure: failure() });
    assert_eq!([live, failing].map(|id| story.phase(id)), ["live", "failed"]);
    assert!(story.replica(live).is_some());
    let again = story.try_ask(Command::SwitchRoute { id: failing, drain_until: at(0) });
    assert!(matches!(again, Err(Rejected::Finished { .. })));
}

#[test]
fn a_deployment_that_starts_is_not_built_again() {
    let mut story = Story::begin();
    let id = story.build();
    let again = story.try_ask(Command::StartBuild { id, on: NodeId(1) });
    assert!(matches!(again, Err(Rejected::Finished { .. })));
    assert_eq!(story.phase(id), "starting");
}

#[test]
fn a_build_is_returned_by_its_builder_only_and_forgotten_once_it_is_done() {
    let mut story = Story::begin();
    let id = story.create();
    let back = |by| Command::ReturnBuild { id, by, failure: failure() };
    let returned = |story: &Story| story.state.deployments[&id].returned.len();
    assert!(matches!(story.try_ask(back(NodeId(1))), Err(Rejected::Finished { .. })));
    for _ in 0..2 {
        story.ask(Command::StartBuild { id, on: NodeId(1) });
        assert!(matches!(story.try_ask(back(NodeId(2))), Err(Rejected::Finished { .. })));
        story.ask(back(NodeId(1)));
        assert_eq!((story.phase(id), returned(&story)), ("queued", 1));
    }
    story.ask(Command::StartBuild { id, on: NodeId(1) });
    let artifact = Artifact::Image { id: "sha256:00".into() };
    let built = Built { artifact, config: run_config(false), revision: None };
    story.ask(Command::FinishBuild { id, built });
    assert_eq!((story.phase(id), returned(&story)), ("starting", 0));
}

#[test]
fn only_the_newest_version_goes_on() {
    let mut story = Story::begin();
    let (older, newer) = (story.create(), story.create());
    assert_eq!([older, newer].map(|id| story.phase(id)), ["cancelled", "queued"]);
}

#[test]
fn variables_are_those_of_the_time_of_the_build() {
    let mut story = Story::begin();
    let name: VariableName = "GREETING".parse().expect("a name");
    let value = Variable { value: crate::draws::sealed(), secret: false, updated_at: at(1) };
    let id = story.environment;
    story.ask(Command::SetVariables { id, variables: vec![(name.clone(), value)] });
    let deployment = story.build();
    story.ask(Command::UnsetVariable { id, name: name.clone() });
    assert!(story.state.deployments[&deployment].variables.contains_key(&name));
}

#[test]
fn a_condition_that_no_longer_holds_stops_the_command() {
    let mut story = Story::begin();
    let row = format!("environments/{}", story.environment);
    let tag = story.state.tag(&row).expect("the row is there");
    let mut scale = entry(90, Command::SetReplicas { id: story.environment, replicas: 2 });
    scale.condition = Some(Condition { row, tag });
    assert_eq!(story.state.apply(90, scale.clone()), Ok(Reply::Done));
    assert!(matches!(story.state.apply(91, scale), Err(Rejected::Changed { .. })));
}

#[test]
fn an_idempotency_key_stands_for_one_request() {
    let mut story = Story::begin();
    let mut ask = |request: &str, name: &str| {
        story.index += 1;
        let project = project(fresh(story.index), name, at(0));
        let command = Command::CreateProject { project, production: fresh(story.index) };
        let entry = Entry { request: Some(request.into()), ..entry(story.index, command) };
        assert_eq!(
            (entry.format(), entry.encode()[0]),
            (1 + u32::from(request.contains('.')), entry.format() as u8)
        );
        story.state.apply(story.index, entry)
    };
    let (first, old) = (ask("k.aa", "a"), ask("old", "b"));
    assert!(first.is_ok() && old.is_ok());
    assert_eq!(ask("k.aa", "a"), first);
    assert_eq!(ask("k.bb", "c"), Err(Rejected::KeyReused));
    // Where either of them tells nothing, the key alone decides, as ever.
    assert_eq!((ask("k", "c"), ask("old.aa", "c")), (first, old));
    let told: Vec<u8> = story
        .state
        .rows()
        .into_iter()
        .filter(|row| row.key.starts_with("answers/"))
        .map(|row| row.value.expect("it is there")[0])
        .collect();
    assert_eq!(told, [2, 1]);
    assert_eq!(story.state.requests.len(), 2);
}

#[test]
fn a_disabled_project_deploys_nothing() {
    let mut story = Story::begin();
    let change = ProjectChange { disabled: Some(true), ..Default::default() };
    story.ask(Command::ChangeProject { id: fresh(1), change });
    let source = Source::Image { reference: "nginx".into() };
    let deployment =
        NewDeployment { id: fresh(50), environment: story.environment, source, revision: None };
    let refused = story.try_ask(Command::CreateDeployment { deployment });
    assert!(matches!(refused, Err(Rejected::Disabled { .. })));
}

#[test]
fn the_last_admin_cannot_go() {
    let mut story = Story::begin();
    let user = User {
        id: fresh(1),
        email: "Admin@Example.com".into(),
        role: Role::Admin,
        password_hash: "$argon2id$".into(),
        created_at: at(0),
    };
    story.ask(Command::CreateUser { user });
    assert!(story.state.user_by_email("admin@example.COM").is_some());
    let gone = story.try_ask(Command::DeleteUser { id: fresh(1) });
    assert_eq!(gone, Err(Rejected::LastAdmin));
    let role = Some(Role::Reader);
    let lowered = story.try_ask(Command::ChangeUser { id: fresh(1), role, password_hash: None });
    assert_eq!(lowered, Err(Rejected::LastAdmin));
}
