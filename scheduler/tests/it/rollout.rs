//! What the leader proposes, as stories and as properties of random histories.

use crate::common::*;
use proptest::prelude::*;
use temps_scheduler::room::Room;
use temps_state::*;

#[test]
fn a_deployment_is_built_placed_switched_and_the_old_one_kept() {
    let mut world = World::new(1);
    let production = world.production();
    let first = world.deploy(production, upload());
    assert_eq!(world.lead(), [Command::StartBuild { id: first, on: NodeId(1) }]);
    world.finish_builds(&image());
    assert!(matches!(world.lead()[..], [Command::PlaceReplicas { .. }]));
    world.heal();
    assert!(matches!(world.lead()[..], [Command::SwitchRoute { id, .. }] if id == first));
    let second = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    assert_eq!((world.phase(first), world.phase(second)), ("live", "starting"));
    world.heal();
    world.lead();
    assert_eq!((world.phase(first), world.phase(second)), ("kept", "live"));
    let until = world.now + jiff::SignedDuration::from_secs(30);
    assert_eq!(world.replicas(first)[0].intent, Intent::Drain { until });
    world.pass(29);
    assert_eq!(world.lead(), []);
    world.pass(1);
    assert_eq!(world.lead(), [Command::EndDrain { id: world.replicas(first)[0].id }]);
    assert_eq!(world.replicas(first)[0].intent, Intent::Keep);
}

#[test]
fn a_version_that_does_not_start_fails_with_its_replicas_reason_and_the_live_one_stays() {
    let mut world = World::new(1);
    let production = world.production();
    let live = world.deploy(production, upload());
    world.settle();
    let broken = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    let replica = world.replicas(broken)[0].id;
    world.observe(replica, down());
    world.lead();
    let failed = Phase::Failed { failure: failure(FailureCode::Exited) };
    assert_eq!(world.state.deployments[&broken].phase, failed);
    assert_eq!(world.phase(live), "live");
    assert!(world.replicas(broken).is_empty());
    assert!(world.replicas(live).iter().all(|r| r.serving_endpoint().is_some()));
}

#[test]
fn a_static_site_needs_no_replica() {
    let mut world = World::new(1);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&site());
    world.lead();
    assert_eq!((world.phase(id), world.replicas(id).len()), ("live", 0));
}

#[test]
fn an_artifact_is_not_built_again() {
    let mut world = World::new(1);
    let production = world.production();
    let first = world.deploy(production, upload());
    world.settle();
    let again = world.deploy(production, Source::Artifact { of: first });
    let done = world.lead();
    assert!(!done.iter().any(|command| matches!(command, Command::StartBuild { .. })));
    world.settle();
    assert_eq!(world.phase(again), "live");
}

#[test]
fn a_rollback_waits_for_the_kept_replicas_and_no_longer() {
    let mut world = World::new(1);
    let production = world.production();
    let first = world.deploy(production, upload());
    world.settle();
    let second = world.deploy(production, upload());
    world.settle();
    world.apply(Command::RollBack { environment: production, to: first });
    assert_eq!(world.lead(), []);
    world.heal();
    world.lead();
    assert_eq!((world.phase(first), world.phase(second)), ("live", "kept"));
}

#[test]
fn scaling_places_and_drains_and_the_unhealthy_go_first() {
    let mut world = World::new(3);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.settle();
    world.apply(Command::SetReplicas { id: production, replicas: 4 });
    world.settle();
    let mut nodes: Vec<NodeId> = world.replicas(id).iter().map(|r| r.node).collect();
    nodes.sort();
    nodes.dedup();
    assert_eq!((world.replicas(id).len(), nodes.len()), (4, 3));
    let sick = world.replicas(id)[1].id;
    world.observe(sick, down());
    world.apply(Command::SetReplicas { id: production, replicas: 3 });
    assert!(matches!(world.lead()[..], [Command::DrainReplica { id, .. }] if id == sick));
    world.pass(30);
    world.lead();
    assert_eq!(world.replicas(id).len(), 3);
    world.apply(Command::SetReplicas { id: production, replicas: 0 });
    world.settle();
    assert_eq!((world.replicas(id).len(), world.phase(id)), (0, "live"));
}

#[test]
fn builds_wait_for_a_free_node() {
    let mut world = World::new(2);
    let environments: Vec<_> = ["a", "b", "c"].map(|name| world.project(name)).into();
    let ids: Vec<_> = environments.iter().map(|e| world.deploy(*e, upload())).collect();
    world.lead();
    assert_eq!(
        ids.iter().map(|id| world.phase(*id)).collect::<Vec<_>>(),
        ["building", "building", "queued"]
    );
    world.apply(Command::CancelDeployment { id: ids[0], reason: "x".into() });
    world.lead();
    assert_eq!(world.phase(ids[2]), "building");
}

#[test]
fn what_is_late_is_given_up() {
    let mut world = World::new(1);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    world.pass(1_800 + 59);
    assert_eq!(world.lead(), []);
    world.pass(2);
    world.lead();
    assert!(matches!(&world.state.deployments[&id].phase,
        Phase::Failed { failure } if failure.code == FailureCode::BuildTimedOut));
    let id = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    world.pass(121);
    world.lead();
    assert!(matches!(&world.state.deployments[&id].phase,
        Phase::Failed { failure } if failure.code == FailureCode::Unhealthy));
}

#[test]
fn a_version_that_fits_nowhere_fails_at_once() {
    let mut world = World::new(1);
    let production = world.production();
    world.apply(Command::SetReplicas { id: production, replicas: 100 });
    let id = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    let Phase::Failed { failure } = &world.state.deployments[&id].phase else { panic!("it fits") };
    let said = "72 replicas have no place, each of which asks for 128 MiB of memory and 0.05 processors: of 1 node, 1 has \
                too little memory left (at most 0 MiB)";
    assert_eq!(failure.message, said);
    assert!(failure.hint.contains("resources.memory"), "{}", failure.hint);
}

#[test]
fn the_room_of_replicas_that_drain_is_waited_for() {
    let mut world = World::new(1);
    let production = world.production();
    world.apply(Command::SetReplicas { id: production, replicas: 28 });
    world.deploy(production, upload());
    world.settle();
    world.apply(Command::SetReplicas { id: production, replicas: 14 });
    world.lead();
    let next = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    assert_eq!(world.phase(next), "starting", "fourteen drain, and end in time");
    world.settle();
    assert_eq!(world.phase(next), "live");
    world.apply(Command::SetReplicas { id: production, replicas: 13 });
    world.lead();
    world.apply(Command::SetReplicas { id: production, replicas: 20 });
    let hopeless = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    assert_eq!(world.phase(hopeless), "failed", "what drains would not be enough");
}

#[test]
fn what_keeps_a_live_version_from_its_scale_is_told() {
    let mut world = World::new(1);
    let production = world.production();
    world.deploy(production, upload());
    world.settle();
    let told = |world: &World| {
        temps_scheduler::rollout::shortage(&world.state, &world.state.environments[&production])
    };
    world.apply(Command::SetReplicas { id: production, replicas: 28 });
    assert_eq!(told(&world), None, "there is room for them");
    world.apply(Command::SetReplicas { id: production, replicas: 30 });
    for _ in 0..2 {
        let message = told(&world).expect("there is no room for two").message;
        assert!(message.starts_with("2 replicas have no place"), "{message}");
        world.settle();
    }
    world.apply(Command::LoseNode { id: NodeId(1) });
    let message = told(&world).expect("there is no other node").message;
    assert!(message.contains("of 1 node, 1 lost, draining or joining"), "{message}");
}

#[test]
fn labels_that_no_node_has_are_named() {
    let mut world = World::new(1);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    let node_labels = [("disk".to_owned(), "ssd".to_owned())].into();
    let config = RunConfig { node_labels, ..config() };
    let built = Built { artifact: image(), config, revision: None };
    world.apply(Command::FinishBuild { id, built });
    world.lead();
    let phase = &world.state.deployments[&id].phase;
    let Phase::Failed { failure } = phase else { panic!("{phase:?}") };
    assert!(failure.message.contains("has the labels disk=ssd"), "{failure:?}");
    assert!(failure.hint.contains("temps nodes label NODE disk=ssd"), "{failure:?}");
}

#[test]
fn a_deployment_that_nobody_can_build_any_more_fails() {
    let mut world = World::new(1);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    world.state.nodes.clear();
    assert!(matches!(&world.next()[..], [Command::FailDeployment { id: failed, failure }]
        if *failed == id && failure.code == FailureCode::NodeLost));
}

/// One thing that happens in a random history.
#[derive(Debug, Clone)]
enum Happens {
    Deploy(usize),
    Again(usize),
    RollBack(usize),
    Cancel(usize),
    Scale(usize, u32),
    Build(bool),
    See(usize, u8),
    Lead,
    Pass(i64),
    Node(u64, u8),
}

fn happens() -> impl Strategy<Value = Happens> {
    let e = 0..3usize;
    prop_oneof![
        e.clone().prop_map(Happens::Deploy),
        e.clone().prop_map(Happens::Again),
        e.clone().prop_map(Happens::RollBack),
        any::<usize>().prop_map(Happens::Cancel),
        (e, 0..5u32).prop_map(|(e, n)| Happens::Scale(e, n)),
        any::<bool>().prop_map(Happens::Build),
        (any::<usize>(), any::<u8>()).prop_map(|(i, how)| Happens::See(i, how)),
        (any::<usize>(), Just(0)).prop_map(|(i, how)| Happens::See(i, how)),
        Just(Happens::Lead),
        Just(Happens::Lead),
        (1..200i64).prop_map(Happens::Pass),
        (1..4u64, any::<u8>()).prop_map(|(id, how)| Happens::Node(id, how)),
    ]
}

struct History {
    world: World,
    environments: Vec<EnvironmentId>,
}

impl History {
    fn new() -> Self {
        let mut world = World::new(3);
        let mut environments = vec![world.production()];
        environments.extend(["blog", "api"].map(|name| world.project(name)));
        Self { world, environments }
    }

    fn go_on(&mut self, what: &Happens) {
        let world = &mut self.world;
        match what {
            Happens::Deploy(e) => drop(world.deploy(self.environments[*e], upload())),
            Happens::Again(e) => {
                let current = world.state.environments[&self.environments[*e]].current;
                if let Some(of) = current {
                    world.deploy(self.environments[*e], Source::Artifact { of });
                }
            }
            Happens::RollBack(e) => {
                let environment = self.environments[*e];
                if let Some(to) = world.state.environments[&environment].kept {
                    let _ = world.try_apply(Command::RollBack { environment, to });
                }
            }
            Happens::Cancel(i) => {
                if let Some(id) = nth(world.state.deployments.keys(), *i) {
                    let _ = world.try_apply(Command::CancelDeployment { id, reason: "x".into() });
                }
            }
            Happens::Scale(e, replicas) => {
                let id = self.environments[*e];
                world.apply(Command::SetReplicas { id, replicas: *replicas });
            }
            Happens::Build(is_image) => {
                world.finish_builds(&if *is_image { image() } else { site() });
            }
            Happens::See(i, how) => {
                if let Some(id) = nth(world.state.replicas.keys(), *i) {
                    let absent =
                        Observed::Down { failure: failure(FailureCode::EngineUnavailable) };
                    let seen = [healthy(), Observed::Starting, down(), absent, healthy()];
                    world.observe(id, seen[usize::from(*how) % seen.len()].clone());
                }
            }
            Happens::Lead => self.lead(),
            Happens::Pass(seconds) => world.pass(*seconds),
            Happens::Node(id, how) => {
                let id = NodeId(*id);
                world.apply(match how % 4 {
                    0 => Command::LoseNode { id },
                    1 => Command::DrainNode { id },
                    2 => Command::UndrainNode { id },
                    _ => Command::RegainNode { id },
                });
            }
        }
    }

    /// One round of the leader. Nothing it proposes may be refused, and it never hurts what is live.
    fn lead(&mut self) {
        for command in self.world.next() {
            self.check(&command);
            self.world.apply(command);
            for (node, promised) in self.world.promised() {
                let offered = Room::offered(self.world.state.nodes[&node].capacity);
                assert!(offered.holds(promised), "node {node}: {promised:?}");
            }
        }
    }

    fn check(&self, command: &Command) {
        let state = &self.world.state;
        match command {
            Command::SwitchRoute { id, .. } => {
                let deployment = &state.deployments[id];
                let wanted = state.environments[&deployment.environment].replicas as usize;
                let serving = state.replicas_of(*id).filter(|r| r.serving_endpoint().is_some());
                let is_static = matches!(deployment.artifact, Some(Artifact::Static { .. }));
                assert!(is_static || serving.count() >= wanted, "switched too early");
            }
            Command::MoveReplica { id, to, .. } => {
                let (replica, faults) = (&state.replicas[id], &self.world.faults);
                let lost = !state.nodes[&replica.node].is_reachable();
                let fault = faults.is_overdue(state, replica, self.world.now);
                assert!(lost || fault, "moved without cause: {replica:?}");
                assert!(lost || !faults.shuns(*to, replica.deployment), "from bad to worse");
            }
            Command::FailDeployment { id, .. } => {
                assert!(state.environments.values().all(|e| e.current != Some(*id)));
            }
            Command::DrainReplica { id, .. } => {
                let deployment = &state.deployments[&state.replicas[id].deployment];
                let wanted = state.environments[&deployment.environment].replicas as usize;
                let serving =
                    state.replicas_of(deployment.id).filter(|r| r.intent == Intent::Serve);
                let is_there = |r: &&Replica| state.nodes[&r.node].is_reachable();
                let drained = is_there(&&state.replicas[id]);
                assert!(serving.filter(is_there).count() >= wanted + usize::from(drained));
            }
            _ => {}
        }
    }
}

fn nth<T: Copy>(of: impl Iterator<Item = impl std::ops::Deref<Target = T>>, i: usize) -> Option<T> {
    let all: Vec<T> = of.map(|x| *x).collect();
    (!all.is_empty()).then(|| all[i % all.len()])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_history_ends_well(what in proptest::collection::vec(happens(), 0..120)) {
        let mut history = History::new();
        for one in &what {
            history.go_on(one);
        }
        for id in [1, 2, 3].map(NodeId) {
            history.world.apply(Command::RegainNode { id });
            history.world.apply(Command::UndrainNode { id });
        }
        // Twice, as replicas are spread better once their nodes have done well for long enough.
        history.world.settle();
        history.world.settle();
        let world = &mut history.world;
        prop_assert_eq!(world.next(), vec![]);
        for deployment in world.state.deployments.values() {
            prop_assert!(!deployment.phase.is_under_way(), "{:?}", deployment.phase);
        }
        for environment in world.state.environments.values() {
            let Some(current) = environment.current else { continue };
            let deployment = &world.state.deployments[&current];
            let serving = world.state.replicas_of(current).filter(|r| r.serving_endpoint().is_some());
            if let Some(Artifact::Image { .. }) = deployment.artifact {
                prop_assert_eq!(serving.count(), environment.replicas as usize);
            }
        }
        for replica in world.state.replicas.values() {
            let kept = replica.intent == Intent::Keep;
            prop_assert!(kept || replica.serving_endpoint().is_some(), "{:?}", replica);
        }
    }
}
