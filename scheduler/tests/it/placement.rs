//! Where replicas go.

use crate::common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

use temps_scheduler::placement::{Ledger, MEMORY_OVERCOMMIT, Needs};
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
}

#[test]
fn an_unknown_capacity_holds_nothing_back() {
    let (state, id) = world(&[0]);
    assert_eq!(place(&state, id, &wants(1 << 20), 50).len(), 50);
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
    assert_eq!(ledger.place(id, &wants(1_024), 3).len(), 3);
    assert_eq!(ledger.place(other, &wants(1_024), 3).len(), 1);
}

proptest! {
    #[test]
    fn no_node_is_promised_more_than_it_may_and_none_waits_while_there_is_room(
        memory in proptest::collection::vec(0..4_096u64, 0..6),
        each in 16..2_048u32,
        count in 0..40usize,
    ) {
        let (state, id) = world(&memory);
        let places = place(&state, id, &wants(each), count);
        let mut counts = vec![0u64; memory.len()];
        for node in &places {
            counts[node.0 as usize - 1] += 1;
        }
        let each = u64::from(each);
        let mut room = false;
        for (has, count) in memory.iter().zip(&counts) {
            let fits = |n: u64| *has == 0 || (each <= *has && n * each <= has * MEMORY_OVERCOMMIT);
            prop_assert!(*count == 0 || fits(*count));
            room |= fits(count + 1);
        }
        prop_assert!(places.len() == count || !room);
    }

    #[test]
    fn replicas_are_balanced_within_one_where_there_is_room(
        nodes in 1..12usize,
        counts in proptest::collection::vec(0..20usize, 1..6),
    ) {
        let (state, _) = world(&vec![0; nodes]);
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
}
