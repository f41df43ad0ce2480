use super::*;
use proptest::prelude::*;

const LEADER: u64 = 1;

fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn node(id: u64) -> NodeView {
    NodeView {
        id: NodeId(id),
        address: Some(SocketAddr::from(([127, 0, 0, 1], 7000))),
        standing: Standing::Ready,
        serves: false,
        age: Duration::from_secs(60),
        lost: None,
        caught_up: true,
        lacks_room: false,
    }
}

fn lost(id: u64, seconds: u64) -> NodeView {
    NodeView { lost: Some(Duration::from_secs(seconds)), caught_up: false, ..node(id) }
}

fn full(id: u64) -> NodeView {
    NodeView { lacks_room: true, ..node(id) }
}

fn standing(id: u64, standing: Standing) -> NodeView {
    NodeView { standing, ..node(id) }
}

fn view(voters: &[u64], learners: &[u64], nodes: Vec<NodeView>) -> View {
    let (voters, learners) = (ids(voters), ids(learners));
    View { leader: NodeId(LEADER), is_joint: false, voters, learners, nodes }
}

fn vote(voters: &[u64]) -> Option<Change> {
    Some(Change::Vote(ids(voters)))
}

fn added(id: u64) -> Option<Change> {
    Some(Change::Add(NodeId(id), SocketAddr::from(([127, 0, 0, 1], 7000))))
}

#[test]
fn nodes_come_and_go() {
    let behind = |id| NodeView { caught_up: false, ..node(id) };
    let nowhere = |id| NodeView { address: None, ..node(id) };
    let old = |id| NodeView { age: JOINING_MAX * 2, ..standing(id, Standing::Joining) };
    let cases = [
        ("nobody told anything yet", view(&[1], &[], vec![]), None),
        ("alone", view(&[1], &[], vec![node(1)]), None),
        ("admitted", view(&[1], &[], vec![node(1), node(2)]), added(2)),
        ("admitted, but nobody knows where", view(&[1], &[], vec![node(1), nowhere(2)]), None),
        ("two do not vote", view(&[1], &[2], vec![node(1), node(2)]), None),
        ("three vote", view(&[1], &[2, 3], vec![node(1), node(2), node(3)]), vote(&[1, 2, 3])),
        (
            "whoever is behind does not",
            view(&[1], &[2, 3], vec![node(1), node(2), behind(3)]),
            None,
        ),
        (
            "nor whoever has not begun",
            view(&[1], &[2, 3], vec![node(1), node(2), standing(3, Standing::Joining)]),
            None,
        ),
        ("never began", view(&[1], &[2], vec![node(1), old(2)]), Some(Change::Expire(NodeId(2)))),
        ("left", view(&[1], &[2, 3], vec![node(1), node(2)]), Some(Change::Remove(NodeId(3)))),
        ("a voter left", view(&[1, 2, 3], &[], vec![node(1), node(2)]), vote(&[1])),
        (
            "a voter left, a learner is there",
            view(&[1, 2, 3], &[4], vec![node(1), node(2), node(4)]),
            vote(&[1, 2, 4]),
        ),
        (
            "the leader left",
            view(&[1, 2, 3], &[], vec![node(2), node(3)]),
            Some(Change::HandOver(NodeId(2))),
        ),
        ("the only voter left", view(&[1], &[2], vec![node(2)]), vote(&[2])),
    ];
    for (what, view, change) in cases {
        assert_eq!(next(&view), change, "{what}");
    }
}

#[test]
fn lost_and_draining_voters_are_replaced() {
    let draining = |id| standing(id, Standing::Draining);
    let serves = |node| NodeView { serves: true, ..node };
    let cases = [
        (
            "lost for a moment",
            view(&[1, 2, 3], &[4], vec![node(1), node(2), lost(3, 5), node(4)]),
            None,
        ),
        (
            "lost for long",
            view(&[1, 2, 3], &[4], vec![node(1), node(2), lost(3, 40), node(4)]),
            vote(&[1, 2, 4]),
        ),
        ("nobody instead", view(&[1, 2, 3], &[], vec![node(1), node(2), lost(3, 40)]), None),
        (
            "fewer must agree when two of five are gone",
            view(&[1, 2, 3, 4, 5], &[], vec![node(1), node(2), node(3), lost(4, 40), lost(5, 40)]),
            vote(&[1, 2, 3]),
        ),
        (
            "one of five is gone",
            view(&[1, 2, 3, 4, 5], &[], vec![node(1), node(2), node(3), node(4), lost(5, 40)]),
            vote(&[1, 2, 3]),
        ),
        (
            "without a majority alive nothing is begun",
            view(&[1, 2, 3], &[], vec![node(1), lost(2, 40), lost(3, 40)]),
            None,
        ),
        (
            "draining, nobody instead",
            view(&[1, 2, 3], &[], vec![node(1), node(2), draining(3)]),
            None,
        ),
        (
            "draining, a learner instead",
            view(&[1, 2, 3], &[4], vec![node(1), node(2), draining(3), node(4)]),
            vote(&[1, 2, 4]),
        ),
        (
            "the leader drains",
            view(&[1, 2, 3], &[4], vec![draining(1), node(2), node(3), node(4)]),
            Some(Change::HandOver(NodeId(2))),
        ),
        (
            "the leader has no room",
            view(&[1, 2, 3], &[4], vec![full(1), full(2), node(3), node(4)]),
            Some(Change::HandOver(NodeId(3))),
        ),
        ("another has none", view(&[1, 2, 3], &[], vec![node(1), full(2), node(3)]), None),
        ("nobody has", view(&[1, 2, 3], &[], vec![full(1), full(2), full(3)]), None),
        (
            "the leader drains, nobody gets its vote",
            view(&[1, 2, 3], &[], vec![draining(1), node(2), node(3)]),
            Some(Change::HandOver(NodeId(2))),
        ),
        (
            "the leader drains, its replicas first",
            view(&[1, 2, 3], &[4], vec![serves(draining(1)), node(2), node(3), node(4)]),
            None,
        ),
        (
            "another one drains, whatever it serves",
            view(&[1, 2, 3], &[4], vec![node(1), node(2), serves(draining(3)), node(4)]),
            vote(&[1, 2, 4]),
        ),
        (
            "everybody drains",
            view(&[1, 2, 3], &[], vec![draining(1), draining(2), draining(3)]),
            None,
        ),
        ("the only voter drains", view(&[1], &[2], vec![draining(1), node(2)]), vote(&[2])),
        (
            "half done",
            View { is_joint: true, ..view(&[1, 2, 3], &[], vec![node(1)]) },
            Some(Change::Finish),
        ),
    ];
    for (what, view, change) in cases {
        assert_eq!(next(&view), change, "{what}");
    }
}

/// Does what a change says, as the group would.
fn apply(view: &mut View, change: Change) {
    match change {
        Change::Finish => view.is_joint = false,
        Change::Expire(id) => view.nodes.retain(|node| node.id != id),
        Change::Add(id, _) => drop(view.learners.insert(id)),
        Change::Vote(target) => {
            let before: BTreeSet<NodeId> = &view.voters | &view.learners;
            assert!(target.is_subset(&before), "only members vote");
            view.learners = &before - &target;
            view.voters = target;
            if !view.voters.contains(&view.leader) {
                let living =
                    |id: &NodeId| view.nodes.iter().any(|n| n.id == *id && n.lost.is_none());
                view.leader = view.voters.iter().copied().find(living).expect("a voter lives");
            }
        }
        Change::HandOver(id) => {
            assert!(view.voters.contains(&id) && id != view.leader);
            view.leader = id;
        }
        Change::Remove(id) => {
            assert!(!view.voters.contains(&id));
            view.learners.remove(&id);
        }
    }
}

fn any_node(id: u64) -> impl Strategy<Value = NodeView> {
    let standing = prop_oneof![
        4 => Just(Standing::Ready),
        1 => Just(Standing::Joining),
        1 => Just(Standing::Draining)
    ];
    let lost = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Duration::from_secs(5))),
        1 => Just(Some(Duration::from_secs(60)))
    ];
    let flags = any::<(bool, bool, bool)>();
    (standing, lost, flags).prop_map(move |(standing, lost, (is_old, ok, serves))| {
        let age = if is_old { JOINING_MAX * 2 } else { Duration::from_secs(9) };
        NodeView { standing, serves, lost, age, caught_up: ok && lost.is_none(), ..node(id) }
    })
}

prop_compose! {
    /// A group whose leader lives and has a quorum; some members may have left the state, some nodes not be members.
    fn any_view()(
        nodes in (1..9u64).prop_map(|count| (1..=count).map(any_node).collect::<Vec<_>>()).prop_flat_map(|nodes| nodes),
        roles in proptest::collection::vec(0..3u8, 9),
        left in proptest::collection::vec(proptest::bool::weighted(0.15), 9),
    ) -> View {
        let mut view = view(&[LEADER], &[], nodes);
        for (node, role) in view.nodes.iter_mut().zip(roles) {
            match role {
                _ if node.id.0 == LEADER => node.lost = None,
                0 => drop(view.voters.insert(node.id)),
                1 => drop(view.learners.insert(node.id)),
                _ => {}
            }
        }
        let stays = |node: &NodeView| !left[node.id.0 as usize - 1];
        if view.nodes.iter().any(stays) {
            view.nodes.retain(stays);
        }
        view
    }
}

fn living_voters(view: &View) -> usize {
    let lives = |id: &&NodeId| view.nodes.iter().all(|n| n.id != **id || n.lost.is_none());
    view.voters.iter().filter(lives).count()
}

proptest! {
    #[test]
    fn every_step_keeps_a_quorum_and_the_steps_end(mut view in any_view()) {
        prop_assume!(living_voters(&view) >= majority(view.voters.len()));
        let mut steps = 0;
        while let Some(change) = next(&view) {
            if let Change::Vote(target) = &change {
                prop_assert!(target.len() % 2 == 1 && target.len() <= VOTERS_MAX);
                let lives = |id: &&NodeId| {
                    view.nodes.iter().any(|node| node.id == **id && node.lost.is_none())
                };
                let living = target.iter().filter(lives).count();
                prop_assert!(living >= majority(target.len()), "{change:?} in {view:?}");
            }
            apply(&mut view, change);
            steps += 1;
            prop_assert!(steps < 40, "does not end: {view:?}");
        }
    }

    #[test]
    fn ready_nodes_vote_in_the_end(count in 1..12u64) {
        let mut view = view(&[LEADER], &[], (1..=count).map(node).collect());
        while let Some(change) = next(&view) {
            apply(&mut view, change);
        }
        let wanted = odd((count as usize).min(VOTERS_MAX));
        prop_assert_eq!(view.voters.len(), wanted);
        prop_assert_eq!(view.voters.len() + view.learners.len(), count as usize);
    }
}
