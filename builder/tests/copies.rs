//! Which copies nodes make, in clusters of all kinds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use temps_builder::copies::{IMAGE_COPIES, candidates, only_here, wanted};
use temps_state::{
    Actor, Artifact, Deployment, DeploymentId, EnvironmentId, Failure, FailureCode, Id, Intent,
    Node, NodeId, Observed, Phase, ProjectId, Replica, ReplicaId, Source, Standing, State,
};

fn node(id: u64) -> impl Strategy<Value = Node> {
    let standing = prop_oneof![4 => Just(Standing::Ready), 1 => Just(Standing::Draining), 1 => Just(Standing::Joining)];
    (standing, prop::bool::weighted(0.2)).prop_map(move |(standing, lost)| Node {
        standing,
        lost_since: lost.then_some(Timestamp::UNIX_EPOCH),
        ..Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH)
    })
}

fn deployment(n: u64) -> impl Strategy<Value = Deployment> {
    let phase = prop_oneof![
        Just(Phase::Starting),
        Just(Phase::Live),
        Just(Phase::Kept),
        Just(Phase::Cancelled { reason: String::new() })
    ];
    let artifact = prop_oneof![
        (0..5_u8).prop_map(|n| Artifact::Image { id: format!("sha256:{n:064}") }),
        (0..5_u8).prop_map(|n| Artifact::Static { digest: format!("{n:064}"), single_page: false })
    ];
    let holders = btree_set((1..7_u64).prop_map(NodeId), 0..4);
    (phase, artifact, holders).prop_map(move |(phase, artifact, holders)| Deployment {
        id: DeploymentId::from_parts(n, 0),
        number: n,
        project: ProjectId::from_parts(1, 1),
        environment: EnvironmentId::from_parts(n, 1),
        source: Source::Upload { digest: String::new() },
        revision: None,
        created_by: Actor::Node { id: NodeId(1) },
        created_at: Timestamp::UNIX_EPOCH,
        phase,
        history: Vec::new(),
        config: None,
        artifact: Some(artifact),
        variables: BTreeMap::new(),
        built_on: None,
        architecture: None,
        holders,
    })
}

prop_compose! {
    fn state()(
        nodes in (1..7_u64).prop_flat_map(|n| (1..=n).map(node).collect::<Vec<_>>()),
        deployments in (0..8_u64).prop_flat_map(|n| (0..n).map(deployment).collect::<Vec<_>>()),
    ) -> State {
        let mut state = State::default();
        for node in nodes {
            state.nodes.insert(node.id, node);
        }
        for mut deployment in deployments {
            deployment.holders.retain(|holder| state.nodes.contains_key(holder));
            state.deployments.insert(deployment.id, deployment);
        }
        state
    }
}

/// Every node makes the copies that it should; tells how many were made.
fn make(state: &mut State) -> usize {
    let seen = state.clone();
    let mut made = 0;
    for me in seen.nodes.keys() {
        for copy in wanted(&seen, *me).into_iter().filter(|copy| !copy.held) {
            state.deployments.get_mut(&copy.deployment).unwrap().holders.insert(*me);
            made += 1;
        }
    }
    made
}

fn replica(n: u64, node: u64, observed: Observed) -> Replica {
    Replica {
        id: ReplicaId::from_parts(n, 0),
        deployment: DeploymentId::from_parts(0, 0),
        environment: EnvironmentId::from_parts(0, 1),
        node: NodeId(node),
        created_at: Timestamp::UNIX_EPOCH,
        intent: Intent::Serve,
        observed,
    }
}

/// Six ready nodes, and one deployment of an image that the first has.
fn one_image() -> State {
    let mut state = State::default();
    for id in 1..7 {
        let node = Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH);
        state.nodes.insert(node.id, node);
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut deployment = deployment(0).new_tree(&mut runner).unwrap().current();
    deployment.phase = Phase::Starting;
    deployment.artifact = Some(Artifact::Image { id: format!("sha256:{:064}", 1) });
    deployment.holders = [NodeId(1)].into();
    state.deployments.insert(deployment.id, deployment);
    state
}

fn takers(state: &State) -> Vec<u64> {
    let takes = |id: &u64| wanted(state, NodeId(*id)).iter().any(|copy| !copy.held);
    (1..7).filter(takes).collect()
}

#[test]
fn the_copy_is_taken_where_a_replica_runs() {
    let mut state = one_image();
    let by_rank = takers(&state);
    assert_eq!(by_rank.len(), 1);
    for runs in 2..7 {
        let replica = replica(1, runs, Observed::Pending);
        state.replicas.insert(replica.id, replica);
        assert_eq!(takers(&state), [runs], "it gets the image in any case");
    }
    let failure = Failure {
        code: FailureCode::DiskFull,
        message: String::new(),
        hint: String::new(),
        log_tail: vec![],
    };
    let down = replica(1, 2, Observed::Down { failure });
    state.replicas.insert(down.id, down);
    assert_eq!(takers(&state), by_rank, "who cannot run it may not be able to keep it either");
}

#[test]
fn who_holds_the_only_copy_is_known() {
    let mut state = one_image();
    let id = *state.deployments.keys().next().unwrap();
    let hold = |state: &mut State, node: u64| {
        state.deployments.get_mut(&id).unwrap().holders.insert(NodeId(node));
    };
    state.nodes.get_mut(&NodeId(1)).unwrap().standing = Standing::Draining;
    assert_eq!((only_here(&state, NodeId(1)), only_here(&state, NodeId(2))), (vec![id], vec![]));
    hold(&mut state, 2);
    assert_eq!(only_here(&state, NodeId(1)), []);
    for change in [
        |node: &mut Node| node.standing = Standing::Draining,
        |node: &mut Node| node.lost_since = Some(Timestamp::UNIX_EPOCH),
    ] {
        let mut state = state.clone();
        change(state.nodes.get_mut(&NodeId(2)).unwrap());
        assert_eq!(only_here(&state, NodeId(1)), [id], "the other one does not stay");
    }
    state.deployments.get_mut(&id).unwrap().holders = [NodeId(1)].into();
    state.deployments.get_mut(&id).unwrap().phase = Phase::Cancelled { reason: String::new() };
    assert_eq!(only_here(&state, NodeId(1)), [], "nobody needs it");
}

fn ready_holders(state: &State, deployment: &Deployment) -> usize {
    state.ready_nodes().filter(|node| deployment.holders.contains(&node.id)).count()
}

proptest! {
    #[test]
    fn a_node_that_drains_has_the_only_copy_of_nothing_once_all_copies_are_made(mut state in state()) {
        make(&mut state);
        if state.ready_nodes().next().is_some() {
            let draining = state.nodes.values().filter(|node| !node.takes_replicas());
            for node in draining {
                prop_assert_eq!(only_here(&state, node.id), vec![]);
            }
        }
    }

    #[test]
    fn one_round_makes_all_copies_and_not_one_too_many(mut state in state()) {
        let before = state.clone();
        make(&mut state);
        let ready = state.ready_nodes().count();
        for deployment in state.deployments.values() {
            let had = ready_holders(&before, &before.deployments[&deployment.id]);
            let has = ready_holders(&state, deployment);
            let should = match (&deployment.phase, &deployment.artifact) {
                (Phase::Cancelled { .. }, _) => continue,
                (_, Some(Artifact::Static { .. })) => ready,
                _ => had.max(IMAGE_COPIES.min(ready)),
            };
            prop_assert_eq!(has, should);
        }
        prop_assert_eq!(make(&mut state), 0);
    }

    #[test]
    fn a_node_that_goes_is_replaced_and_nobody_else_moves(mut state in state(), gone in 1..7_u64) {
        make(&mut state);
        let gone = NodeId(gone);
        let before = state.clone();
        if let Some(node) = state.nodes.get_mut(&gone) {
            node.lost_since = Some(Timestamp::UNIX_EPOCH);
        }
        make(&mut state);
        for deployment in state.deployments.values() {
            let old = &before.deployments[&deployment.id];
            prop_assert!(deployment.holders.is_superset(&old.holders));
            let added = deployment.holders.len() - old.holders.len();
            prop_assert!(added <= usize::from(old.holders.contains(&gone)));
        }
    }

    #[test]
    fn what_is_held_and_needed_is_looked_at(state in state()) {
        for me in state.nodes.keys() {
            let held: Vec<_> = wanted(&state, *me).into_iter().filter(|c| c.held).collect();
            let needed = state.deployments.values().filter(|d| {
                d.holders.contains(me) && !matches!(d.phase, Phase::Cancelled { .. })
            });
            for deployment in needed {
                prop_assert!(held.iter().any(|copy| copy.deployment == deployment.id));
            }
        }
    }

    #[test]
    fn holders_are_asked_first_and_never_oneself(state in state(), ids in vec(1..7_u64, 0..4)) {
        let holders = ids.into_iter().map(NodeId).collect();
        let asked = candidates(&state, NodeId(1), &holders);
        prop_assert!(!asked.contains(&NodeId(1)));
        prop_assert!(asked.is_sorted_by_key(|node| !holders.contains(node)));
        prop_assert!(asked.iter().all(|node| state.nodes[node].is_reachable()));
    }
}
