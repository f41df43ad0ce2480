//! What the leader does when nodes are lost, drain or go.

use crate::common::*;
use temps_scheduler::rollout::PREPARER_LOST_MAX;
use temps_state::*;

/// Three nodes and a live deployment with that many replicas.
fn live(replicas: u32) -> (World, DeploymentId) {
    let mut world = World::new(3);
    let production = world.production();
    world.apply(Command::SetReplicas { id: production, replicas });
    let id = world.deploy(production, upload());
    world.settle();
    (world, id)
}

/// As [`live`], with the image on every node.
fn held(replicas: u32) -> (World, DeploymentId) {
    let (mut world, id) = live(replicas);
    for node in [1, 2, 3].map(NodeId) {
        world.apply(Command::HoldArtifact { id, node });
    }
    (world, id)
}

fn nodes(world: &World, id: DeploymentId) -> Vec<NodeId> {
    let serving = world.replicas(id).into_iter().filter(|r| r.intent == Intent::Serve);
    let mut nodes: Vec<NodeId> = serving.map(|replica| replica.node).collect();
    nodes.sort();
    nodes
}

#[test]
fn the_replicas_of_a_lost_node_move_in_one_step() {
    let (mut world, id) = held(3);
    let lost = NodeId(2);
    let old = world.replicas(id).iter().find(|r| r.node == lost).map(|r| r.id);
    world.apply(Command::LoseNode { id: lost });
    let done = world.lead();
    assert!(matches!(done[..], [Command::MoveReplica { id, .. }] if Some(id) == old), "{done:?}");
    world.heal();
    assert_eq!(nodes(&world, id).len(), 3);
    assert!(!nodes(&world, id).contains(&lost));
    world.apply(Command::RegainNode { id: lost });
    assert_eq!(world.lead(), [], "nothing moves back without cause");
}

#[test]
fn replicas_are_spread_again_once_a_node_has_stayed_for_a_while() {
    let (mut world, id) = held(4);
    for away in [NodeId(2), NodeId(3)] {
        world.apply(Command::DrainNode { id: away });
    }
    world.settle();
    assert_eq!(nodes(&world, id), [NodeId(1); 4]);
    for back in [NodeId(2), NodeId(3)] {
        world.apply(Command::UndrainNode { id: back });
    }
    assert_eq!(world.lead(), []);
    world.pass(59);
    assert_eq!(world.lead(), [], "it may go again");
    world.pass(1);
    let done = world.lead();
    assert!(matches!(done[..], [Command::PlaceReplicas { .. }]), "{done:?}");
    assert_eq!(nodes(&world, id).len(), 5, "the new one first");
    assert_eq!(world.lead(), [], "and the others wait for it");
    world.heal();
    let done = world.lead();
    assert!(matches!(done[..], [Command::DrainReplica { .. }]), "{done:?}");
    for _ in 0..8 {
        world.pass(31);
        world.lead();
        world.heal();
    }
    let nodes = nodes(&world, id);
    let on = |id: u64| nodes.iter().filter(|node| **node == NodeId(id)).count();
    let mut crowds = [on(1), on(2), on(3)];
    crowds.sort();
    assert_eq!(crowds, [1, 1, 2]);
    world.pass(600);
    assert_eq!(world.lead(), [], "and there it ends");
}

#[test]
fn a_single_replica_stays_and_one_that_failed_on_a_node_is_not_tried_there_again() {
    let (mut world, single) = held(1);
    world.pass(600);
    assert_eq!((world.lead(), nodes(&world, single).len()), (vec![], 1));
    let (mut world, id) = held(2);
    let away = *nodes(&world, id).last().unwrap();
    for other in [1, 2, 3].map(NodeId).into_iter().filter(|node| *node != away) {
        world.apply(Command::DrainNode { id: other });
    }
    world.settle();
    assert_eq!(nodes(&world, id), [away; 2]);
    let back = [1, 2, 3].map(NodeId).into_iter().find(|node| *node != away).unwrap();
    world.apply(Command::UndrainNode { id: back });
    world.lead();
    world.pass(60);
    world.lead();
    let new = world.replicas(id).into_iter().find(|replica| replica.node == back).unwrap();
    let failure = failure(FailureCode::Exited);
    world.observe(new.id, Observed::Down { failure });
    let done = world.lead();
    assert!(matches!(done[..], [Command::DrainReplica { id, .. }] if id == new.id), "{done:?}");
    for _ in 0..5 {
        world.pass(60);
        let done = world.lead();
        assert!(!done.iter().any(|c| matches!(c, Command::PlaceReplicas { .. })), "{done:?}");
    }
    assert_eq!(nodes(&world, id), [away; 2]);
}

#[test]
fn what_fits_nowhere_else_waits_for_its_node() {
    let (mut world, id) = held(1);
    let home = nodes(&world, id)[0];
    for other in [1, 2, 3].map(NodeId).into_iter().filter(|node| *node != home) {
        world.apply(Command::DrainNode { id: other });
    }
    world.apply(Command::LoseNode { id: home });
    assert_eq!(world.lead(), []);
    world.apply(Command::RegainNode { id: home });
    assert_eq!((world.lead(), nodes(&world, id)), (vec![], vec![home]));
}

#[test]
fn a_replica_stays_while_nobody_who_has_its_image_is_there() {
    let (mut world, id) = live(1);
    let home = nodes(&world, id)[0];
    assert_eq!(world.state.deployments[&id].holders, [home].into());
    world.apply(Command::LoseNode { id: home });
    assert_eq!(world.lead(), []);
    world.apply(Command::RegainNode { id: home });
    assert_eq!((world.lead(), nodes(&world, id)), (vec![], vec![home]));
}

#[test]
fn a_draining_node_serves_until_others_do() {
    let (mut world, id) = live(1);
    let home = nodes(&world, id)[0];
    world.apply(Command::DrainNode { id: home });
    assert!(matches!(world.lead()[..], [Command::PlaceReplicas { .. }]));
    assert_eq!(nodes(&world, id).len(), 2);
    world.heal();
    assert!(matches!(world.lead()[..], [Command::DrainReplica { .. }]));
    assert!(!nodes(&world, id).contains(&home));
    world.pass(31);
    world.lead();
    assert_eq!(world.replicas(id).len(), 1);
}

#[test]
fn a_removed_nodes_replicas_are_placed_anew() {
    let (mut world, id) = held(3);
    world.apply(Command::RemoveNode { id: NodeId(3), beside: [].into() });
    assert_eq!(nodes(&world, id).len(), 2);
    world.lead();
    assert_eq!(nodes(&world, id).len(), 3);
}

#[test]
fn a_build_begins_again_elsewhere_when_its_node_is_lost() {
    let mut world = World::new(2);
    let production = world.production();
    let id = world.deploy(production, upload());
    assert_eq!(world.lead(), [Command::StartBuild { id, on: NodeId(1) }]);
    world.apply(Command::LoseNode { id: NodeId(1) });
    assert_eq!(world.lead(), [Command::StartBuild { id, on: NodeId(2) }]);
    world.finish_builds(&image());
    assert_eq!(world.state.deployments[&id].holders, [NodeId(2)].into());
}

/// Its builder could not, for that reason.
fn give_back(world: &mut World, id: DeploymentId, code: FailureCode) -> NodeId {
    let Phase::Building { on: by } = world.state.deployments[&id].phase else {
        panic!("nobody builds: {:?}", world.state.deployments[&id].phase)
    };
    world.apply(Command::ReturnBuild { id, by, failure: failure(code) });
    by
}

#[test]
fn a_build_goes_to_each_node_once_when_the_ones_before_could_not() {
    let mut world = World::new(3);
    world.add(Node { builds: false, ..node(4) });
    let production = world.production();
    let id = world.deploy(production, upload());
    let mut tried = Vec::new();
    for _ in 0..3 {
        assert!(matches!(world.lead()[..], [Command::StartBuild { .. }]));
        tried.push(give_back(&mut world, id, FailureCode::EngineUnavailable));
    }
    tried.sort();
    assert_eq!(tried, [1, 2, 3].map(NodeId));
    world.lead();
    let failed = Phase::Failed { failure: failure(FailureCode::EngineUnavailable) };
    assert_eq!(world.state.deployments[&id].phase, failed);
    assert_eq!(world.state.deployments[&id].returned, []);
}

#[test]
fn a_build_that_went_elsewhere_becomes_live_and_the_next_one_begins_there() {
    let mut world = World::new(2);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    let dead = give_back(&mut world, id, FailureCode::DiskFull);
    world.lead();
    world.finish_builds(&image());
    world.lead();
    world.heal();
    world.lead();
    assert_eq!(world.state.deployments[&id].phase, Phase::Live);
    assert_ne!(world.replicas(id)[0].node, dead);
    let next = world.deploy(production, upload());
    let done = world.lead();
    assert!(matches!(done[..], [Command::StartBuild { id, on }] if id == next && on != dead));
}

#[test]
fn a_returned_build_waits_for_a_busy_node_and_holds_up_nobody_else() {
    let mut world = World::new(2);
    let environments = [world.production(), world.project("blog"), world.project("wiki")];
    let first = world.deploy(environments[0], upload());
    world.lead();
    let second = world.deploy(environments[1], upload());
    assert_eq!(world.lead(), [Command::StartBuild { id: second, on: NodeId(2) }]);
    assert_eq!(give_back(&mut world, first, FailureCode::DiskFull), NodeId(1));
    let third = world.deploy(environments[2], upload());
    assert_eq!(world.lead(), [Command::StartBuild { id: third, on: NodeId(1) }]);
    assert_eq!(world.phase(first), "queued");
    world.apply(Command::CancelDeployment { id: second, reason: "called off".into() });
    assert_eq!(world.lead(), [Command::StartBuild { id: first, on: NodeId(2) }]);
}

#[test]
fn commands_that_may_have_run_are_not_run_again_elsewhere() {
    let mut world = World::new(2);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    let config = RunConfig { before_deploy: vec!["migrate".into()], ..config() };
    world.apply(Command::FinishBuild {
        id,
        built: Built { artifact: image(), config, revision: None },
    });
    world.apply(Command::LoseNode { id: NodeId(1) });
    world.pass(PREPARER_LOST_MAX.as_secs() as i64);
    assert_eq!(world.lead(), []);
    world.pass(1);
    world.lead();
    assert!(matches!(&world.state.deployments[&id].phase,
        Phase::Failed { failure } if failure.code == FailureCode::NodeLost));
}

#[test]
fn a_site_is_switched_to_when_every_node_that_is_there_has_it() {
    let mut world = World::new(3);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&site());
    assert_eq!(world.lead(), []);
    world.apply(Command::HoldArtifact { id, node: NodeId(2) });
    assert_eq!(world.lead(), []);
    world.apply(Command::LoseNode { id: NodeId(3) });
    assert!(matches!(world.lead()[..], [Command::SwitchRoute { .. }]));
}

#[test]
fn builders_are_chosen_by_how_busy_they_are() {
    let (mut world, _) = live(1);
    let busy = world.state.replicas.values().next().expect("one is live").node;
    let production = world.production();
    let id = world.deploy(production, upload());
    let done = world.lead();
    assert!(
        matches!(done[..], [Command::StartBuild { id: started, on }] if started == id && on != busy)
    );
}
