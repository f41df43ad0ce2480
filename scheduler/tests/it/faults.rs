//! What the leader does when a node that is there cannot run what is placed on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::*;
use jiff::Timestamp;
use proptest::prelude::*;
use temps_scheduler::faults::{
    Avoided, BUILDER_SHUNNED_FOR, ENGINE_SETTLED_AFTER, NODE_FAULT_PATIENCE, NODE_SHUNNED_FOR,
    SETTLED_AFTER,
};
use temps_state::*;

const CODES: [FailureCode; 6] = [
    FailureCode::EngineUnavailable,
    FailureCode::DiskFull,
    FailureCode::ImageNotFound,
    FailureCode::StartFailed,
    FailureCode::Internal,
    FailureCode::Exited,
];

fn down_by(code: FailureCode) -> Observed {
    Observed::Down { failure: failure(code) }
}

/// Nodes that all have the image, and a deployment with that many replicas, on its way or live.
fn world(nodes: u64, replicas: u32, live: bool) -> (World, DeploymentId) {
    let mut world = World::new(nodes);
    let production = world.production();
    world.apply(Command::SetReplicas { id: production, replicas });
    let id = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    for node in (1..=nodes).map(NodeId) {
        world.apply(Command::HoldArtifact { id, node });
    }
    if live {
        world.heal();
        world.lead();
    }
    (world, id)
}

fn moves(commands: &[Command]) -> Vec<(ReplicaId, NodeId)> {
    let moved = |command: &Command| match command {
        Command::MoveReplica { id, to, .. } => Some((*id, *to)),
        _ => None,
    };
    commands.iter().filter_map(moved).collect()
}

#[test]
fn a_live_replica_leaves_a_node_at_fault_after_the_patience_and_not_before() {
    for code in CODES {
        let (mut world, id) = world(3, 1, true);
        let replica = world.replicas(id)[0].clone();
        world.observe(replica.id, down_by(code));
        assert_eq!(world.lead(), [], "{code:?}");
        world.pass(NODE_FAULT_PATIENCE.as_secs() - 1);
        assert_eq!(world.lead(), [], "{code:?}");
        world.pass(1);
        let done = world.lead();
        let expected = usize::from(code != FailureCode::Exited);
        assert_eq!((moves(&done).len(), done.len()), (expected, expected), "{code:?}: {done:?}");
        let now = world.replicas(id);
        assert_eq!(now.len(), 1, "there is never a second one of a singleton");
        assert_eq!(now[0].node != replica.node, expected == 1);
    }
}

#[test]
fn who_recovers_in_time_stays_and_is_trusted_again() {
    let (mut world, id) = world(2, 1, true);
    let replica = world.replicas(id)[0].clone();
    world.observe(replica.id, down_by(FailureCode::EngineUnavailable));
    world.lead();
    assert!(world.faults.is_faulty(replica.node));
    world.pass(5);
    world.observe(replica.id, Observed::Pending);
    world.pass(10);
    assert_eq!(world.lead(), []);
    assert!(world.faults.is_faulty(replica.node));
    world.heal();
    assert_eq!(world.lead(), []);
    assert!(!world.faults.is_faulty(replica.node));
}

#[test]
fn what_a_node_is_not_given_can_be_told() {
    let cases = [
        (FailureCode::EngineUnavailable, true, false),
        (FailureCode::ImageNotFound, true, true),
        (FailureCode::Exited, false, false),
    ];
    for (why, avoided, only_this) in cases {
        let (mut world, id) = world(2, 1, true);
        let replica = world.replicas(id)[0].clone();
        world.observe(replica.id, down_by(why));
        world.lead();
        let told: Vec<_> = world.faults.avoided(replica.node).collect();
        let until = world.now.checked_add(NODE_SHUNNED_FOR).unwrap();
        let deployment = only_this.then_some(id);
        let expected = avoided.then_some(Avoided { deployment, why, until });
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{why:?}");
        let others = world.state.nodes.keys().filter(|id| **id != replica.node);
        assert!(others.into_iter().all(|id| world.faults.avoided(*id).next().is_none()));
    }
}

#[test]
fn a_new_version_is_tried_elsewhere_at_once_and_fails_when_no_node_can() {
    let (mut world, id) = world(2, 1, false);
    let first = world.replicas(id)[0].clone();
    world.observe(first.id, down_by(FailureCode::DiskFull));
    assert_eq!(moves(&world.lead()).len(), 1);
    let second = world.replicas(id)[0].clone();
    assert_ne!(first.node, second.node);
    world.observe(second.id, down_by(FailureCode::EngineUnavailable));
    world.lead();
    let failed = Phase::Failed { failure: failure(FailureCode::EngineUnavailable) };
    assert_eq!(world.state.deployments[&id].phase, failed);
}

#[test]
fn a_new_version_whose_app_fails_is_not_tried_elsewhere() {
    for code in [FailureCode::Exited, FailureCode::StartFailed] {
        let (mut world, id) = world(2, 1, false);
        world.observe(world.replicas(id)[0].id, down_by(code));
        let done = world.lead();
        assert!(matches!(done[..], [Command::FailDeployment { .. }]), "{done:?}");
    }
}

#[test]
fn new_replicas_and_builds_go_to_a_node_at_fault_last() {
    let (mut world, id) = world(2, 1, true);
    let faulty = world.replicas(id)[0].clone();
    world.observe(faulty.id, down_by(FailureCode::EngineUnavailable));
    world.lead();
    world.pass(NODE_FAULT_PATIENCE.as_secs());
    world.lead();
    world.heal();
    let production = world.production();
    world.apply(Command::SetReplicas { id: production, replicas: 2 });
    world.lead();
    assert!(world.replicas(id).iter().all(|replica| replica.node != faulty.node));
    let next = world.deploy(production, upload());
    world.lead();
    let phase = world.state.deployments[&next].phase.clone();
    assert!(matches!(phase, Phase::Building { on } if on != faulty.node));
    let good = world.replicas(id)[0].node;
    world.apply(Command::DrainNode { id: good });
    world.lead();
    assert!(world.replicas(id).iter().any(|replica| replica.node == faulty.node));
}

#[test]
fn nothing_moves_where_nobody_who_has_the_image_is_there() {
    let (mut world, id) = world(3, 1, true);
    let replica = world.replicas(id)[0].clone();
    for node in [1, 2, 3].map(NodeId) {
        world.apply(Command::ReleaseArtifact { id, node });
    }
    let holder = [1, 2, 3].map(NodeId).into_iter().find(|node| *node != replica.node);
    let holder = holder.expect("there are others");
    world.apply(Command::HoldArtifact { id, node: holder });
    world.apply(Command::LoseNode { id: holder });
    world.observe(replica.id, down_by(FailureCode::ImageNotFound));
    world.pass(60);
    assert_eq!(world.lead(), []);
}

#[test]
fn who_could_not_have_an_image_is_trusted_again_when_a_holder_is_back() {
    let (mut world, id) = world(3, 1, true);
    let replica = world.replicas(id)[0].clone();
    for node in [1, 2, 3].map(NodeId) {
        world.apply(Command::ReleaseArtifact { id, node });
    }
    let holder = NodeId(1 + replica.node.0 % 3);
    world.apply(Command::HoldArtifact { id, node: holder });
    world.apply(Command::LoseNode { id: holder });
    world.observe(replica.id, down_by(FailureCode::ImageNotFound));
    world.lead();
    assert!(world.faults.shuns(replica.node, id));
    world.apply(Command::RegainNode { id: holder });
    for _ in 0..3 {
        world.pass(1);
        world.lead();
        assert!(!world.faults.shuns(replica.node, id));
    }
}

#[test]
fn a_builder_that_could_not_build_is_shunned_for_a_minute_only() {
    let mut world = World::new(2);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    let Phase::Building { on } = world.state.deployments[&id].phase else { panic!("it is built") };
    let failure = failure(FailureCode::EngineUnavailable);
    world.apply(Command::ReturnBuild { id, by: on, failure });
    world.lead();
    assert!(world.faults.is_faulty(on));
    world.finish_builds(&image());
    world.lead();
    world.pass(BUILDER_SHUNNED_FOR.as_secs());
    world.lead();
    assert!(!world.faults.is_faulty(on));
}

#[test]
fn an_engine_that_runs_a_replica_has_its_image_even_if_nobody_holds_it() {
    let (mut world, id) = world(3, 2, true);
    let replicas = world.replicas(id);
    for node in [1, 2, 3].map(NodeId) {
        world.apply(Command::ReleaseArtifact { id, node });
    }
    world.apply(Command::HoldArtifact { id, node: replicas[0].node });
    world.apply(Command::LoseNode { id: replicas[0].node });
    assert_eq!(moves(&world.lead()).len(), 1);
}

#[test]
fn a_node_is_given_nothing_while_its_engine_is_away_and_a_moment_longer() {
    let (mut world, id) = world(2, 1, true);
    let other = NodeId(3 - world.replicas(id)[0].node.0);
    world.engine(other, true);
    let production = world.production();
    world.apply(Command::SetReplicas { id: production, replicas: 2 });
    world.lead();
    assert!(world.replicas(id).iter().all(|replica| replica.node != other));
    world.pass(NODE_SHUNNED_FOR.as_secs() * 2);
    assert_eq!(world.lead(), []);
    assert!(world.faults.is_faulty(other), "however long it takes");
    world.engine(other, false);
    world.pass(ENGINE_SETTLED_AFTER.as_secs() - 1);
    world.lead();
    assert!(world.faults.is_faulty(other));
    world.pass(1);
    world.lead();
    assert!(!world.faults.is_faulty(other));
}

#[test]
fn what_an_engine_took_down_is_not_held_against_its_node_once_it_answers() {
    let (mut world, id) = world(2, 2, true);
    let replica = world.replicas(id)[0].clone();
    world.engine(replica.node, true);
    world.observe(replica.id, Observed::Unhealthy { failure: failure(FailureCode::Unhealthy) });
    world.lead();
    world.observe(replica.id, down_by(FailureCode::EngineUnavailable));
    world.lead();
    world.pass(NODE_FAULT_PATIENCE.as_secs());
    assert_eq!(moves(&world.lead()).len(), 1);
    world.heal();
    world.engine(replica.node, false);
    world.pass(ENGINE_SETTLED_AFTER.as_secs());
    assert_eq!(world.lead(), []);
    world.pass(SETTLED_AFTER.as_secs());
    let done = world.lead();
    assert!(matches!(done[..], [Command::PlaceReplicas { .. }]), "they spread again: {done:?}");
}

#[test]
fn what_runs_on_a_node_whose_engine_is_away_stays_there() {
    let (mut world, id) = world(2, 2, true);
    let (crowded, empty) = (NodeId(1), NodeId(2));
    let on = |world: &World, node| world.replicas(id).iter().filter(|r| r.node == node).count();
    world.apply(Command::DrainNode { id: empty });
    world.settle();
    world.apply(Command::UndrainNode { id: empty });
    assert_eq!((world.lead(), on(&world, crowded)), (vec![], 2));

    // Not even to be spread, which it would be by now.
    world.engine(crowded, true);
    world.pass(SETTLED_AFTER.as_secs() * 3);
    assert_eq!(world.lead(), []);
    world.engine(crowded, false);
    assert_eq!(world.lead(), []);
    world.pass(ENGINE_SETTLED_AFTER.as_secs());
    let done = world.lead();
    assert!(matches!(done[..], [Command::PlaceReplicas { .. }]), "{done:?}");

    // What is one too many then goes where it can be stopped.
    world.engine(crowded, true);
    world.heal();
    let done = world.lead();
    assert!(matches!(done[..], [Command::DrainReplica { .. }]), "{done:?}");
    let serves = |r: &&Replica| r.node == crowded && r.intent == Intent::Serve;
    assert_eq!(world.replicas(id).iter().filter(serves).count(), 2);
}

#[test]
fn a_fault_of_an_engine_that_says_it_answers_is_remembered() {
    let (mut world, id) = world(2, 1, true);
    let replica = world.replicas(id)[0].clone();
    world.observe(replica.id, down_by(FailureCode::EngineUnavailable));
    world.lead();
    world.pass(NODE_FAULT_PATIENCE.as_secs());
    assert_eq!(moves(&world.lead()).len(), 1);
    world.heal();
    world.pass(ENGINE_SETTLED_AFTER.as_secs() * 2);
    world.lead();
    assert!(world.faults.is_faulty(replica.node));
}

/// How a node treats what is placed on it.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Runs,
    Fails(FailureCode),
    /// Its engine does not answer, and it says so.
    Away,
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        2 => Just(Manner::Runs),
        1 => proptest::sample::select(&CODES[..3]).prop_map(Manner::Fails),
        1 => Just(Manner::Away),
    ]
}

/// Every node tells how its replicas are.
fn tell(world: &mut World, manners: &BTreeMap<NodeId, Manner>, app: Option<FailureCode>) {
    let replicas: Vec<Replica> = world.state.replicas.values().cloned().collect();
    for replica in replicas.into_iter().filter(|r| r.intent == Intent::Serve) {
        let observed = match (manners[&replica.node], app) {
            (Manner::Away, _) => down_by(FailureCode::EngineUnavailable),
            (Manner::Fails(code), _) | (Manner::Runs, Some(code)) => down_by(code),
            (Manner::Runs, None) => healthy(),
        };
        world.observe(replica.id, observed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn replicas_leave_bad_nodes_once_and_then_rest(
        manners in proptest::collection::vec(manner(), 1..6),
        replicas in 1..6_u32,
    ) {
        let (mut world, id) = world(manners.len() as u64, replicas, true);
        let manners: BTreeMap<NodeId, Manner> = (1..).map(NodeId).zip(manners).collect();
        let good: BTreeSet<NodeId> =
            manners.iter().filter(|(_, m)| matches!(m, Manner::Runs)).map(|(n, _)| *n).collect();
        for (node, _) in manners.iter().filter(|(_, m)| matches!(m, Manner::Away)) {
            world.engine(*node, true);
        }
        let mut visits: BTreeMap<NodeId, usize> = BTreeMap::new();
        let rest = NODE_SHUNNED_FOR.as_secs() / 2;
        for second in 0..rest {
            tell(&mut world, &manners, None);
            let done = world.lead();
            for (_, to) in moves(&done) {
                *visits.entry(to).or_default() += 1;
            }
            prop_assert!(second < 120 || done.is_empty(), "no rest: {:?}", done);
            prop_assert_eq!(world.replicas(id).len(), replicas as usize);
            world.pass(1);
        }
        for (node, visits) in visits {
            prop_assert!(good.contains(&node) || visits <= replicas as usize);
        }
        let is_well = |replica: &Replica| good.contains(&replica.node);
        prop_assert!(good.is_empty() || world.replicas(id).iter().all(is_well));
    }

    #[test]
    fn replicas_do_not_fly_after_engines_that_come_and_go(
        turns in proptest::collection::vec((0..4_u64, 1..70_i64), 1..12),
        replicas in 1..6_u32,
    ) {
        let (mut world, id) = world(4, replicas, true);
        let (mut away, mut outages) = (BTreeSet::new(), 0);
        let mut away_at: BTreeMap<NodeId, Timestamp> = BTreeMap::new();
        let (mut moved, mut spread) = (0, 0);
        for (node, lasts) in turns {
            let node = NodeId(node + 1);
            if !away.remove(&node) {
                away.insert(node);
                outages += 1;
            }
            world.engine(node, away.contains(&node));
            for _ in 0..lasts {
                away_at.extend(away.iter().map(|node| (*node, world.now)));
                let manner = |id| if away.contains(&id) { Manner::Away } else { Manner::Runs };
                let manners = (1..=4).map(NodeId).map(|id| (id, manner(id))).collect();
                tell(&mut world, &manners, None);
                let done = world.lead();
                let to = done.iter().flat_map(|command| match command {
                    Command::MoveReplica { to, .. } => vec![*to],
                    Command::PlaceReplicas { places, .. } => places.iter().map(|p| p.1).collect(),
                    _ => vec![],
                });
                for to in to {
                    let rested = |at: &Timestamp| world.now.duration_since(*at) >= ENGINE_SETTLED_AFTER;
                    prop_assert!(away_at.get(&to).is_none_or(rested), "{:?} at {}", done, world.now);
                }
                moved += moves(&done).len();
                spread += done.iter().filter(|c| matches!(c, Command::PlaceReplicas { .. })).count();
                world.pass(1);
            }
        }
        prop_assert!(moved <= outages * replicas as usize, "{} moves, {} outages", moved, outages);
        prop_assert!(spread <= (outages + 1) * replicas as usize, "{} spreads", spread);
        prop_assert!(world.replicas(id).len() <= replicas as usize + 1);
    }

    #[test]
    fn what_fails_by_itself_never_wanders(
        codes in proptest::collection::vec(proptest::sample::select(vec![
            FailureCode::Exited, FailureCode::PortClosed, FailureCode::Unhealthy,
        ]), 1..40),
        replicas in 1..4_u32,
    ) {
        let (mut world, id) = world(3, replicas, true);
        let manners = (1..=3).map(|id| (NodeId(id), Manner::Runs)).collect();
        let before: Vec<ReplicaId> = world.replicas(id).iter().map(|r| r.id).collect();
        for code in codes {
            tell(&mut world, &manners, Some(code));
            prop_assert_eq!(world.lead(), vec![]);
            world.pass(NODE_FAULT_PATIENCE.as_secs());
        }
        let after: Vec<ReplicaId> = world.replicas(id).iter().map(|r| r.id).collect();
        prop_assert_eq!(before, after);
    }
}
