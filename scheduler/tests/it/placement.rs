//! Where replicas go.

use crate::common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

use temps_scheduler::placement::{Ledger, Needs};
use temps_scheduler::room::{Room, at_worst};
use temps_state::*;

fn world(memory_mib: &[u64]) -> (State, DeploymentId) {
    let mut world = World::new(0);
    for (i, memory_mib) in memory_mib.iter().enumerate() {
        let capacity = Capacity { cpu_millis: 1_000, memory_mib: *memory_mib };
        let node = Node { capacity, ..node(i as u64 + 1) };
        world.add(node);
    }
    let id = world.fresh();
    (world.state, id)
}

fn wants(memory_mib: u32) -> Needs {
    Needs { resources: Resources { memory_mib, ..Resources::default() }, ..Needs::default() }
}

fn place(state: &State, id: DeploymentId, needs: &Needs, count: usize) -> Vec<NodeId> {
    Ledger::of(state).place(id, needs, count)
}

#[test]
fn replicas_spread_before_they_crowd_and_the_roomier_node_gets_more() {
    let (state, id) = world(&[1_024, 8_192, 1_024]);
    let places = place(&state, id, &wants(512), 4);
    let on = |node| places.iter().filter(|n| **n == NodeId(node)).count();
    assert_eq!((on(1), on(2), on(3)), (1, 2, 1));
}

#[test]
fn a_replica_larger_than_a_node_goes_elsewhere_or_nowhere() {
    let (state, id) = world(&[512, 2_048]);
    assert_eq!(place(&state, id, &wants(1_024), 1), [NodeId(2)]);
    assert_eq!(place(&state, id, &wants(4_096), 1), []);
    let cpu = |cpu_millis| Needs {
        resources: Resources { cpu_millis, ..Resources::default() },
        ..Needs::default()
    };
    assert_eq!(place(&state, id, &cpu(1_000), 2).len(), 2);
    assert_eq!(place(&state, id, &cpu(1_001), 1), [], "the engine would refuse it");
}

#[test]
fn an_unknown_capacity_holds_nothing_back() {
    let mut world = World::new(0);
    world.add(Node { capacity: Capacity::default(), ..node(1) });
    let id = world.fresh();
    assert_eq!(place(&world.state, id, &wants(1 << 20), 50).len(), 50);
}

#[test]
fn processors_are_promised_once_too() {
    let (state, id) = world(&[1 << 20]);
    assert_eq!(place(&state, id, &wants(16), 40).len(), 20, "each asks for a twentieth of one");
}

/// Two servers of 2 GiB and one processor: what a small team has.
#[test]
fn a_dozen_small_apps_run_on_two_small_servers_and_on_one_when_the_other_is_lost() {
    let mut world = World::new(0);
    for id in [1, 2] {
        let capacity = Capacity { cpu_millis: 1_000, memory_mib: 1_960 };
        world.add(Node { capacity, ..node(id) });
    }
    let apps: Vec<EnvironmentId> = (0..12).map(|n| world.project(&format!("app{n}"))).collect();
    for _ in 0..3 {
        for app in &apps {
            world.deploy(*app, upload());
            world.settle();
        }
    }
    let live = |world: &World| {
        let serving = world.state.replicas.values().filter(|r| r.serving_endpoint().is_some());
        serving.filter(|r| world.state.nodes[&r.node].is_reachable()).count()
    };
    assert_eq!(live(&world), 12);
    let kept =
        |world: &World| world.state.replicas.values().filter(|r| r.intent == Intent::Keep).count();
    assert!(kept(&world) > 6, "most can go back at once");
    // What either built, both keep, as in any cluster.
    let built: Vec<DeploymentId> = world.state.deployments.keys().copied().collect();
    for (id, node) in built.iter().flat_map(|id| [1, 2].map(|node| (*id, NodeId(node)))) {
        world.apply(Command::HoldArtifact { id, node });
    }
    world.apply(Command::LoseNode { id: NodeId(2) });
    world.settle();
    assert_eq!(live(&world), 12);
    // Back on both, and everything can still go back to the version before.
    world.apply(Command::RegainNode { id: NodeId(2) });
    world.settle();
    for app in &apps {
        let to = world.state.environments[app].kept.expect("it has been deployed three times");
        world.apply(Command::RollBack { environment: *app, to });
        world.settle();
        assert_eq!(world.state.environments[app].current, Some(to));
    }
    assert_eq!(live(&world), 12);
}

#[test]
fn what_is_kept_for_a_rollback_gives_way_only_where_it_must() {
    let mut world = World::new(0);
    let capacity = Capacity { cpu_millis: 8_000, memory_mib: 1_024 };
    world.add(Node { capacity, ..node(1) });
    let production = world.production();
    for _ in 0..2 {
        world.deploy(production, upload());
        world.settle();
    }
    let kept =
        |world: &World| world.state.replicas.values().filter(|r| r.intent == Intent::Keep).count();
    world.apply(Command::SetReplicas { id: production, replicas: 6 });
    world.settle();
    assert_eq!((world.state.replicas.len(), kept(&world)), (7, 1), "896 MiB are seven times 128");
    world.apply(Command::SetReplicas { id: production, replicas: 7 });
    assert!(matches!(
        world.next()[..],
        [Command::YieldReplica { .. }, Command::PlaceReplicas { .. }]
    ));
    world.settle();
    assert_eq!((world.state.replicas.len(), kept(&world)), (7, 0));
    world.apply(Command::SetReplicas { id: production, replicas: 8 });
    world.settle();
    assert_eq!(world.state.replicas.len(), 7);
}

#[test]
fn nothing_gives_way_before_every_node_knows_how() {
    let mut world = World::new(0);
    let capacity = Capacity { cpu_millis: 8_000, memory_mib: 1_024 };
    world.add(Node { capacity, format: 2, ..node(1) });
    let production = world.production();
    for _ in 0..2 {
        world.deploy(production, upload());
        world.settle();
    }
    world.apply(Command::SetReplicas { id: production, replicas: 7 });
    world.settle();
    let serving = world.state.replicas.values().filter(|r| r.serving_endpoint().is_some());
    assert_eq!((serving.count(), world.state.replicas.len()), (6, 7));
}

#[test]
fn only_nodes_that_suit_are_chosen() {
    let (mut state, id) = world(&[4_096; 5]);
    let change = |state: &mut State, id, change: fn(&mut Node)| {
        change(state.nodes.get_mut(&NodeId(id)).expect("it is there"));
    };
    change(&mut state, 1, |node| node.standing = Standing::Draining);
    change(&mut state, 2, |node| node.lost_since = Some(node.joined_at));
    change(&mut state, 3, |node| node.architecture = "arm64".into());
    change(&mut state, 4, |node| drop(node.labels.insert("disk".into(), "ssd".into())));
    let amd64 = Needs { architecture: Some("amd64".into()), ..wants(128) };
    assert_eq!(place(&state, id, &amd64, 4), [4, 5, 4, 5].map(NodeId));
    let labels = [("disk".to_owned(), "ssd".to_owned())].into();
    assert_eq!(place(&state, id, &Needs { labels, ..amd64.clone() }, 2), [4, 4].map(NodeId));
    let labels = [("disk".to_owned(), "tape".to_owned())].into();
    assert_eq!(place(&state, id, &Needs { labels, ..amd64 }, 2), []);
}

#[test]
fn one_ledger_never_promises_the_same_room_twice() {
    let (state, id) = world(&[1_024]);
    let other = DeploymentId::from_parts(1, 1);
    let mut ledger = Ledger::of(&state);
    assert_eq!(ledger.place(id, &wants(1_024), 2).len(), 2);
    assert_eq!(ledger.place(other, &wants(1_024), 3).len(), 1);
}

/// What a node may be promised together.
fn offered(node: &Node) -> Room {
    Room::offered(node.capacity)
}

fn capacity() -> impl Strategy<Value = Capacity> {
    let cpu_millis = prop_oneof![Just(0), 500..8_000u64];
    let memory_mib = prop_oneof![Just(0), 64..8_192u64];
    (cpu_millis, memory_mib)
        .prop_map(|(cpu_millis, memory_mib)| Capacity { cpu_millis, memory_mib })
}

fn limits() -> impl Strategy<Value = Resources> {
    (10..8_000u32, 16..4_096u32).prop_map(|(cpu_millis, memory_mib)| Resources {
        cpu_millis,
        memory_mib,
        pids: 512,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_node_is_promised_more_than_it_offers_and_none_waits_while_there_is_room(
        capacities in proptest::collection::vec(capacity(), 0..6),
        wanted in proptest::collection::vec((limits(), 0..30usize), 1..6),
    ) {
        let mut world = World::new(0);
        for (id, capacity) in (1..).zip(&capacities) {
            world.add(Node { capacity: *capacity, ..node(id) });
        }
        let state = world.state;
        let mut ledger = Ledger::of(&state);
        let mut promised: BTreeMap<NodeId, Room> = BTreeMap::new();
        for (n, (resources, count)) in wanted.into_iter().enumerate() {
            let id = DeploymentId::from_parts(1, n as u128);
            let needs = Needs { resources, ..Needs::default() };
            let places = ledger.place(id, &needs, count);
            for place in &places {
                *promised.entry(*place).or_default() += Room::asked(resources);
                prop_assert!(at_worst(state.nodes[place].capacity).holds(Room::used(resources)));
            }
            for (id, node) in &state.nodes {
                let all = promised.get(id).copied().unwrap_or_default();
                prop_assert!(offered(node).holds(all), "{node:?} has promised {all:?}");
                let left = offered(node) - all;
                let large = at_worst(node.capacity).holds(Room::used(resources));
                let fits = large && left.holds(Room::asked(resources));
                prop_assert!(places.len() == count || !fits, "{node:?} has {left:?} left");
            }
            let lacks = ledger.lacks(&needs);
            prop_assert!(places.len() == count || lacks.len() == state.nodes.len());
        }
    }

    #[test]
    fn replicas_are_balanced_within_one_where_there_is_room(
        nodes in 1..12usize,
        counts in proptest::collection::vec(0..20usize, 1..6),
    ) {
        let mut world = World::new(0);
        for id in 1..=nodes as u64 {
            world.add(Node { capacity: Capacity::default(), ..node(id) });
        }
        let state = world.state;
        let mut ledger = Ledger::of(&state);
        for (i, count) in counts.iter().enumerate() {
            let id = DeploymentId::from_parts(1, i as u128);
            let mut per_node = BTreeMap::new();
            for node in ledger.place(id, &wants(64), *count) {
                *per_node.entry(node).or_insert(0usize) += 1;
            }
            let each = |id: &NodeId| per_node.get(id).copied().unwrap_or(0);
            let (least, most) = state.nodes.keys().map(each).fold((usize::MAX, 0), |(l, m), n| {
                (l.min(n), m.max(n))
            });
            prop_assert_eq!(per_node.values().sum::<usize>(), *count);
            prop_assert!(most - least <= 1, "{:?}", per_node);
        }
    }

    #[test]
    fn replicas_go_to_all_nodes_that_suit_them_alike_and_to_no_other(
        traits in proptest::collection::vec((any::<bool>(), 0..3u8, 0..4u8), 0..12),
        wanted in proptest::collection::vec((any::<bool>(), 0..4u8, 0..20usize), 1..6),
    ) {
        let architecture = |arm: bool| if arm { "arm64" } else { "amd64" }.to_owned();
        let zone = |zone: u8| BTreeMap::from([("zone".to_owned(), format!("z{zone}"))]);
        let mut world = World::new(0);
        for (id, (arm, place, standing)) in (1..).zip(&traits) {
            let unknown = Capacity::default();
            let lost_since = (*standing == 0).then_some(node(id).joined_at);
            let standing = [Standing::Ready, Standing::Draining, Standing::Joining, Standing::Ready]
                [usize::from(*standing)];
            let (architecture, labels) = (architecture(*arm), zone(*place));
            world.add(Node { capacity: unknown, architecture, labels, standing, lost_since, ..node(id) });
        }
        let state = world.state;
        let mut ledger = Ledger::of(&state);
        for (n, (arm, place, count)) in (0..).zip(wanted) {
            // Every fourth asks for no zone.
            let labels = if place == 3 { BTreeMap::new() } else { zone(place) };
            let needs = Needs { architecture: Some(architecture(arm)), labels, ..wants(64) };
            let suits = |node: &Node| {
                node.takes_replicas()
                    && Some(&node.architecture) == needs.architecture.as_ref()
                    && needs.labels.iter().all(|(name, value)| node.labels.get(name) == Some(value))
            };
            let suiting: Vec<NodeId> =
                state.nodes.values().filter(|node| suits(node)).map(|node| node.id).collect();
            let places = ledger.place(DeploymentId::from_parts(1, n), &needs, count);
            prop_assert!(places.iter().all(|place| suiting.contains(place)), "{places:?} of {suiting:?}");
            prop_assert_eq!(places.len(), if suiting.is_empty() { 0 } else { count });
            let each = |id: &NodeId| places.iter().filter(|place| *place == id).count();
            let most = suiting.iter().map(each).max().unwrap_or_default();
            let least = suiting.iter().map(each).min().unwrap_or_default();
            prop_assert!(most - least <= 1, "{places:?} of {suiting:?}");
        }
    }
}
