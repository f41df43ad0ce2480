//! Which copies nodes make, in clusters of all kinds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use temps_builder::copies::{
    Copy, Duty, HOLDER_LOST_MAX, IMAGE_COPIES, Kept, candidates, keeps, only_here,
};
use temps_state::{
    Actor, Artifact, Deployment, DeploymentId, EnvironmentId, Failure, FailureCode, Id, ImageTag,
    Intent, Node, NodeId, Observed, Phase, ProjectId, Replica, ReplicaId, Source, Standing, State,
    TagName,
};

/// Who was lost at the epoch has been for long.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + HOLDER_LOST_MAX
}

fn wanted(state: &State, me: NodeId) -> Vec<Copy> {
    temps_builder::copies::wanted(state, me, now())
}

fn node(id: u64) -> impl Strategy<Value = Node> {
    let standing = prop_oneof![4 => Just(Standing::Ready), 1 => Just(Standing::Draining), 1 => Just(Standing::Joining)];
    let lost = prop_oneof![7 => Just(None), 1 => Just(Some(Timestamp::UNIX_EPOCH)), 1 => Just(Some(now()))];
    (standing, lost).prop_map(move |(standing, lost_since)| Node {
        standing,
        lost_since,
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
        returned: vec![],
    })
}

fn tag() -> impl Strategy<Value = ImageTag> {
    let holders = btree_set((1..7_u64).prop_map(NodeId), 0..4);
    (0..5_u8, holders).prop_map(|(n, holders)| ImageTag {
        manifest: format!("{n:064}"),
        set_at: Timestamp::UNIX_EPOCH,
        set_by: Actor::Node { id: NodeId(1) },
        holders,
    })
}

fn tag_name(n: usize) -> TagName {
    TagName::new("team/app", &n.to_string()).unwrap()
}

prop_compose! {
    fn state()(
        nodes in (1..7_u64).prop_flat_map(|n| (1..=n).map(node).collect::<Vec<_>>()),
        deployments in (0..8_u64).prop_flat_map(|n| (0..n).map(deployment).collect::<Vec<_>>()),
        tags in vec(tag(), 0..8),
        replicas in vec((0..8_u64, 1..7_u64), 0..6),
    ) -> State {
        let mut state = State::default();
        for node in nodes {
            state.nodes.insert(node.id, node);
        }
        for mut deployment in deployments {
            deployment.holders.retain(|holder| state.nodes.contains_key(holder));
            state.deployments.insert(deployment.id, deployment);
        }
        for (n, mut tag) in tags.into_iter().enumerate() {
            tag.holders.retain(|holder| state.nodes.contains_key(holder));
            state.image_tags.insert(tag_name(n), tag);
        }
        for (n, (of, on)) in replicas.into_iter().enumerate() {
            let deployment = DeploymentId::from_parts(of, 0);
            if state.deployments.contains_key(&deployment) && state.nodes.contains_key(&NodeId(on)) {
                let replica = Replica { deployment, ..replica(n as u64, on, Observed::Pending) };
                state.replicas.insert(replica.id, replica);
            }
        }
        state
    }
}

/// Every node makes the copies that it should; tells how many were made.
fn make(state: &mut State) -> usize {
    let seen = state.clone();
    let mut made = 0;
    for me in seen.nodes.keys() {
        for of in with(&seen, *me, Duty::Take) {
            holders(state, &of).insert(*me);
            made += 1;
        }
    }
    made
}

/// Every node gives up what it may; tells how many copies there were.
fn give_up(state: &mut State) -> usize {
    let seen = state.clone();
    let mut given_up = 0;
    for me in seen.nodes.keys() {
        for of in with(&seen, *me, Duty::GiveUp) {
            holders(state, &of).remove(me);
            given_up += 1;
        }
    }
    given_up
}

/// The copies with which a node has that to do.
fn with(state: &State, me: NodeId, duty: Duty) -> Vec<Kept> {
    wanted(state, me).into_iter().filter(|copy| copy.duty == duty).map(|copy| copy.of).collect()
}

fn holders<'a>(state: &'a mut State, of: &Kept) -> &'a mut BTreeSet<NodeId> {
    match of {
        Kept::Version(id) => &mut state.deployments.get_mut(id).unwrap().holders,
        Kept::Pushed(name) => &mut state.image_tags.get_mut(name).unwrap().holders,
    }
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
    having(state, Duty::Take)
}

/// The nodes that have that to do with some copy.
fn having(state: &State, duty: Duty) -> Vec<u64> {
    (1..7).filter(|id| !with(state, NodeId(*id), duty).is_empty()).collect()
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
fn a_holder_that_was_just_lost_is_awaited() {
    let mut state = one_image();
    holders_of_the_one(&mut state).insert(NodeId(2));
    let lose = |state: &mut State, at| state.nodes.get_mut(&NodeId(2)).unwrap().lost_since = at;
    lose(&mut state, Some(now()));
    assert!(takers(&state).is_empty());
    assert_eq!(only_here(&state, NodeId(1)).len(), 1, "nobody counts on it to be back");
    lose(&mut state, Some(Timestamp::UNIX_EPOCH));
    let takers = takers(&state);
    assert_eq!(takers.len(), 1);
    holders_of_the_one(&mut state).insert(NodeId(takers[0]));
    assert_eq!(having(&state, Duty::GiveUp), [0; 0], "only two are there");
    lose(&mut state, None);
    assert_eq!(having(&state, Duty::GiveUp).len(), 1, "it is back: one is too many");
}

#[test]
fn whoever_does_not_run_it_gives_a_copy_up() {
    let mut state = one_image();
    *holders_of_the_one(&mut state) = [1, 2, 3].map(NodeId).into();
    let by_rank = having(&state, Duty::GiveUp);
    assert_eq!(by_rank.len(), 1);
    let run = |state: &mut State, node: u64| {
        let replica = replica(node, node, Observed::Pending);
        state.replicas.insert(replica.id, replica);
    };
    run(&mut state, by_rank[0]);
    let other = having(&state, Duty::GiveUp);
    assert_eq!(other.len(), 1);
    assert_ne!(other, by_rank);
    (1..4).for_each(|node| run(&mut state, node));
    assert_eq!(having(&state, Duty::GiveUp), [0; 0], "their engines need it in any case");
    for deployment in state.deployments.values().cloned().collect::<Vec<_>>() {
        let artifact = Artifact::Static { digest: "0".into(), single_page: false };
        let site = Deployment { artifact: Some(artifact), ..deployment };
        state.deployments.insert(site.id, site);
    }
    state.replicas.clear();
    assert_eq!(having(&state, Duty::GiveUp), [0; 0], "every edge serves a site");
}

fn holders_of_the_one(state: &mut State) -> &mut BTreeSet<NodeId> {
    let id = *state.deployments.keys().next().unwrap();
    &mut state.deployments.get_mut(&id).unwrap().holders
}

#[test]
fn who_holds_the_only_copy_is_known() {
    let mut state = one_image();
    let id = *state.deployments.keys().next().unwrap();
    let hold = |state: &mut State, node: u64| {
        state.deployments.get_mut(&id).unwrap().holders.insert(NodeId(node));
    };
    state.nodes.get_mut(&NodeId(1)).unwrap().standing = Standing::Draining;
    let only = [Kept::Version(id)];
    assert_eq!(only_here(&state, NodeId(1)), only);
    assert_eq!(only_here(&state, NodeId(2)), []);
    hold(&mut state, 2);
    assert_eq!(only_here(&state, NodeId(1)), []);
    for change in [
        |node: &mut Node| node.standing = Standing::Draining,
        |node: &mut Node| node.lost_since = Some(Timestamp::UNIX_EPOCH),
    ] {
        let mut state = state.clone();
        change(state.nodes.get_mut(&NodeId(2)).unwrap());
        assert_eq!(only_here(&state, NodeId(1)), only, "the other one does not stay");
    }
    state.deployments.get_mut(&id).unwrap().holders = [NodeId(1)].into();
    state.deployments.get_mut(&id).unwrap().phase = Phase::Cancelled { reason: String::new() };
    assert_eq!(only_here(&state, NodeId(1)), [], "nobody needs it");
}

#[test]
fn a_pushed_image_is_copied_once_and_the_only_copy_is_known() {
    let mut state = one_image();
    state.deployments.clear();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut tag = tag().new_tree(&mut runner).unwrap().current();
    tag.holders = [NodeId(1)].into();
    state.image_tags.insert(tag_name(1), tag);
    let only = [Kept::Pushed(tag_name(1))];
    assert_eq!(only_here(&state, NodeId(1)), only);
    let taker = takers(&state);
    assert_eq!(taker.len(), 1);
    let taker = NodeId(taker[0]);
    state.image_tags.get_mut(&tag_name(1)).unwrap().holders.insert(taker);
    assert!(only_here(&state, NodeId(1)).is_empty() && takers(&state).is_empty());
    state.nodes.get_mut(&taker).unwrap().lost_since = Some(Timestamp::UNIX_EPOCH);
    assert_eq!((only_here(&state, NodeId(1)), takers(&state).len()), (only.to_vec(), 1));
    state.image_tags.clear();
    assert!(only_here(&state, NodeId(1)).is_empty());
}

/// The holders that count: those that are there, and those that were lost just now.
fn counted(state: &State, holders: &BTreeSet<NodeId>) -> usize {
    let counts = |node: &&Node| {
        node.standing == Standing::Ready && node.lost_since != Some(Timestamp::UNIX_EPOCH)
    };
    state.nodes.values().filter(counts).filter(|node| holders.contains(&node.id)).count()
}

/// What must be between the two: the copies that were there, and as many as the ready nodes may make of that.
fn enough(state: &State, holders: &BTreeSet<NodeId>) -> usize {
    let (had, counted) = (ready_holders(state, holders), counted(state, holders));
    let without = state.ready_nodes().count() - had;
    had + IMAGE_COPIES.saturating_sub(counted).min(without)
}

fn ready_holders(state: &State, holders: &BTreeSet<NodeId>) -> usize {
    state.ready_nodes().filter(|node| holders.contains(&node.id)).count()
}

proptest! {
    #[test]
    fn a_node_that_drains_has_the_only_copy_of_nothing_once_all_copies_are_made(mut state in state()) {
        for node in state.nodes.values().cloned().collect::<Vec<_>>() {
            let lost_since = node.lost_since.map(|_| Timestamp::UNIX_EPOCH);
            state.nodes.insert(node.id, Node { lost_since, ..node });
        }
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
            let old = &before.deployments[&deployment.id].holders;
            let has = ready_holders(&state, &deployment.holders);
            let should = match (&deployment.phase, &deployment.artifact) {
                (Phase::Cancelled { .. }, _) => continue,
                (_, Some(Artifact::Static { .. })) => ready,
                _ => enough(&before, old),
            };
            prop_assert_eq!(has, should);
        }
        for (name, tag) in &state.image_tags {
            let should = enough(&before, &before.image_tags[name].holders);
            prop_assert_eq!(ready_holders(&state, &tag.holders), should);
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
        for (name, tag) in &state.image_tags {
            let old = &before.image_tags[name];
            prop_assert!(tag.holders.is_superset(&old.holders));
            let added = tag.holders.len() - old.holders.len();
            prop_assert!(added <= usize::from(old.holders.contains(&gone)));
        }
    }

    #[test]
    fn what_is_held_and_needed_is_looked_at(state in state()) {
        for me in state.nodes.keys() {
            let held = wanted(&state, *me).into_iter().filter(|copy| copy.duty != Duty::Take);
            let held: Vec<_> = held.map(|copy| copy.of).collect();
            let needed = state.deployments.values().filter(|d| {
                d.holders.contains(me) && !matches!(d.phase, Phase::Cancelled { .. })
            });
            for deployment in needed {
                prop_assert!(held.contains(&Kept::Version(deployment.id)));
            }
            for (name, tag) in &state.image_tags {
                let is_held = held.contains(&Kept::Pushed(name.clone()));
                prop_assert_eq!(is_held, tag.holders.contains(me));
            }
        }
    }

    #[test]
    fn of_too_many_copies_just_enough_stay(mut state in state()) {
        let before = state.clone();
        give_up(&mut state);
        for deployment in state.deployments.values() {
            let old = &before.deployments[&deployment.id].holders;
            let had = ready_holders(&before, old);
            let has = ready_holders(&state, &deployment.holders);
            let runs = |node: &&NodeId| state.replicas_of(deployment.id).any(|one| one.node == **node);
            let run = ready_holders(&state, &old.iter().filter(runs).copied().collect());
            let should = match (&deployment.phase, &deployment.artifact) {
                (Phase::Cancelled { .. }, _) | (_, Some(Artifact::Static { .. })) => had,
                _ => had.min(IMAGE_COPIES.max(run)),
            };
            prop_assert_eq!(has, should);
            // Those that drain or are lost answer for nothing, and give nothing up either.
            prop_assert_eq!(old.len() - deployment.holders.len(), had - has);
            let those_that_run = old.iter().filter(runs);
            prop_assert!(those_that_run.clone().all(|node| deployment.holders.contains(node)));
        }
        for (name, tag) in &state.image_tags {
            let had = ready_holders(&before, &before.image_tags[name].holders);
            prop_assert_eq!(ready_holders(&state, &tag.holders), had.min(IMAGE_COPIES));
        }
        prop_assert_eq!(give_up(&mut state), 0);
    }

    #[test]
    fn what_is_given_up_is_not_taken_again(mut state in state()) {
        make(&mut state);
        give_up(&mut state);
        prop_assert_eq!(make(&mut state), 0);
    }

    #[test]
    fn whoever_gives_its_blobs_of_a_tag_up_leaves_enough_copies(state in state()) {
        for tag in state.image_tags.values() {
            let given_up = state.nodes.keys().filter(|node| !keeps(&state, **node, tag)).count();
            let holders = ready_holders(&state, &tag.holders);
            prop_assert!(given_up == 0 || holders >= IMAGE_COPIES);
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
