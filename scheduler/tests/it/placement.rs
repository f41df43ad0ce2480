//! Where replicas go.

use crate::common::*;
use proptest::prelude::*;
use temps_scheduler::placement::{MEMORY_OVERCOMMIT, place};
use temps_state::*;

fn world(memory_mib: &[u64]) -> (State, DeploymentId) {
    let mut world = World::new(0);
    for (i, memory_mib) in memory_mib.iter().enumerate() {
        let capacity = Capacity { cpu_millis: 1_000, memory_mib: *memory_mib };
        let node = Node { capacity, ..node(i as u64 + 1) };
        world.apply(Command::RecordNode { node });
    }
    let id = world.fresh();
    (world.state, id)
}

fn wants(memory_mib: u32) -> Resources {
    Resources { memory_mib, ..Resources::default() }
}

#[test]
fn replicas_spread_before_they_crowd_and_the_roomier_node_gets_more() {
    let (state, id) = world(&[1_024, 8_192, 1_024]);
    let places = place(&state, id, wants(512), 4);
    let on = |node| places.iter().filter(|n| **n == NodeId(node)).count();
    assert_eq!((on(1), on(2), on(3)), (1, 2, 1));
}

#[test]
fn a_replica_larger_than_a_node_goes_elsewhere_or_nowhere() {
    let (state, id) = world(&[512, 2_048]);
    assert_eq!(place(&state, id, wants(1_024), 1), [NodeId(2)]);
    assert_eq!(place(&state, id, wants(4_096), 1), []);
}

#[test]
fn an_unknown_capacity_holds_nothing_back() {
    let (state, id) = world(&[0]);
    assert_eq!(place(&state, id, wants(1 << 20), 50).len(), 50);
}

proptest! {
    #[test]
    fn no_node_is_promised_more_than_it_may_and_none_waits_while_there_is_room(
        memory in proptest::collection::vec(0..4_096u64, 0..6),
        each in 16..2_048u32,
        count in 0..40usize,
    ) {
        let (state, id) = world(&memory);
        let places = place(&state, id, wants(each), count);
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
}
