//! How nodes join, drain, are lost and go.

use crate::draws::{at, entry, join_token, node};
use temps_state::*;

/// A cluster of one node with a token for two more.
fn founded() -> State {
    let mut state = State::default();
    let token = join_token(2, 2);
    for (index, command) in
        [(1, Command::RecordNode { node: node(1) }), (2, Command::CreateJoinToken { token })]
    {
        state.apply(index, entry(index, command)).expect("a new cluster takes it");
    }
    state
}

fn admit(state: &mut State, index: u64, key: &str) -> Result<Reply, Rejected> {
    let token_key = join_token(2, 0).key;
    let node = Node { key: key.into(), ..node(0) };
    state.apply(index, entry(index, Command::AdmitNode { token_key, node }))
}

fn ask(state: &mut State, index: u64, command: Command) -> Result<Reply, Rejected> {
    state.apply(index, entry(index, command))
}

#[test]
fn a_node_gets_the_log_index_as_its_id() {
    let mut state = founded();
    assert_eq!(admit(&mut state, 17, "aa"), Ok(Reply::Node { id: NodeId(17) }));
    assert_eq!(state.nodes[&NodeId(17)].standing, Standing::Joining);
}

#[test]
fn joining_again_with_the_same_key_takes_no_use() {
    let mut state = founded();
    for index in [3, 4, 5] {
        assert_eq!(admit(&mut state, index, "aa"), Ok(Reply::Node { id: NodeId(3) }));
    }
    assert_eq!(admit(&mut state, 6, "bb"), Ok(Reply::Node { id: NodeId(6) }));
    assert_eq!(admit(&mut state, 7, "cc"), Err(Rejected::TokenUsed));
    assert_eq!(admit(&mut state, 8, "aa"), Ok(Reply::Node { id: NodeId(3) }));
}

#[test]
fn a_node_that_could_not_read_the_state_is_not_admitted() {
    let mut state = founded();
    ask(&mut state, 3, Command::RecordNode { node: Node { format: 2, ..node(1) } }).expect("it is");
    assert!(matches!(admit(&mut state, 4, "aa"), Err(Rejected::Invalid { .. })));
    let token_key = join_token(2, 0).key;
    let newer = Node { key: "bb".into(), format: 3, ..node(0) };
    let admitted = ask(&mut state, 5, Command::AdmitNode { token_key, node: newer });
    assert_eq!(admitted, Ok(Reply::Node { id: NodeId(5) }));
    assert_eq!(state.format(), 2);
}

#[test]
fn a_token_ends() {
    let mut state = founded();
    let late = 102;
    assert_eq!(admit(&mut state, late, "aa"), Err(Rejected::TokenExpired { at: at(late) }));
    let id = join_token(2, 0).id;
    ask(&mut state, late, Command::DeleteJoinToken { id }).expect("it is there");
    assert_eq!(admit(&mut state, late + 1, "aa"), Err(Rejected::TokenUnknown));
}

#[test]
fn a_removed_node_cannot_come_back_by_telling_of_itself() {
    let mut state = founded();
    admit(&mut state, 3, "aa").expect("admitted");
    ask(&mut state, 4, Command::RemoveNode { id: NodeId(3), beside: [].into() })
        .expect("it is there");
    let refused = ask(&mut state, 5, Command::RecordNode { node: node(3) });
    assert!(matches!(refused, Err(Rejected::NotFound { .. })));
    assert_eq!(admit(&mut state, 6, "aa"), Ok(Reply::Node { id: NodeId(6) }));
}

#[test]
fn what_others_say_of_a_node_outlives_what_it_tells() {
    let mut state = founded();
    admit(&mut state, 3, "aa").expect("admitted");
    let id = NodeId(3);
    assert_eq!(ask(&mut state, 4, Command::DrainNode { id }), Err(Rejected::NodeJoining { id }));
    ask(&mut state, 5, Command::RecordNode { node: node(3) }).expect("it is there");
    let set = [("zone".to_owned(), "a".to_owned())].into();
    ask(&mut state, 6, Command::LabelNode { id, set, unset: vec![] }).expect("it is there");
    ask(&mut state, 7, Command::DrainNode { id }).expect("it is there");
    ask(&mut state, 8, Command::LoseNode { id }).expect("it is there");
    ask(&mut state, 9, Command::RecordNode { node: node(3) }).expect("it is there");
    let node = &state.nodes[&id];
    assert_eq!(node.labels["zone"], "a");
    assert_eq!((node.standing, node.lost_since), (Standing::Draining, Some(at(8))));
    assert_eq!((node.joined_at, node.key.as_str()), (at(3), "aa"));
}

#[test]
fn a_node_stays_lost_since_it_was_first_missed() {
    let mut state = founded();
    for index in [4, 5] {
        ask(&mut state, index, Command::LoseNode { id: NodeId(1) }).expect("it is there");
    }
    assert_eq!(state.nodes[&NodeId(1)].lost_since, Some(at(4)));
    assert!(!state.nodes[&NodeId(1)].takes_replicas());
    ask(&mut state, 6, Command::RegainNode { id: NodeId(1) }).expect("it is there");
    assert!(state.nodes[&NodeId(1)].takes_replicas());
}

#[test]
fn a_handover_ends_when_the_node_tells_of_itself_or_is_lost() {
    let mut state = founded();
    admit(&mut state, 3, "aa").expect("admitted");
    let id = NodeId(3);
    let hand_over = Command::HandOverNode { id };
    let lasts = |state: &State| state.nodes[&id].hands_over_since;
    ask(&mut state, 4, hand_over.clone()).expect("it is there");
    assert_eq!(lasts(&state), Some(at(4)));
    assert!(state.nodes[&id].is_reachable());
    // That it is heard says nothing: the new process may still end.
    ask(&mut state, 5, Command::RegainNode { id }).expect("it is there");
    assert_eq!(lasts(&state), Some(at(4)));
    let told = Node { hands_over_since: Some(at(4)), ..node(3) };
    ask(&mut state, 6, Command::RecordNode { node: told }).expect("it is there");
    assert_eq!(lasts(&state), None);
    ask(&mut state, 7, hand_over.clone()).expect("it is there");
    ask(&mut state, 8, Command::LoseNode { id }).expect("it is there");
    assert_eq!((lasts(&state), state.nodes[&id].lost_since), (None, Some(at(8))));
    ask(&mut state, 9, Command::RemoveNode { id, beside: [].into() }).expect("it is there");
    assert!(matches!(ask(&mut state, 10, hand_over), Err(Rejected::NotFound { .. })));
}

#[test]
fn an_engine_is_away_until_its_node_says_otherwise() {
    let mut state = founded();
    let id = NodeId(1);
    let away = |state: &State| state.nodes[&id].engine_away_since;
    for index in [4, 5] {
        ask(&mut state, index, Command::ReportEngine { id, away: true }).expect("it is there");
    }
    assert_eq!(away(&state), Some(at(4)));
    // What a node tells when it starts says nothing of its engine.
    ask(&mut state, 6, Command::RecordNode { node: node(1) }).expect("it is there");
    assert_eq!(away(&state), Some(at(4)));
    ask(&mut state, 7, Command::ReportEngine { id, away: false }).expect("it is there");
    assert_eq!(away(&state), None);
    let stranger = Command::ReportEngine { id: NodeId(9), away: true };
    assert!(matches!(ask(&mut state, 8, stranger), Err(Rejected::NotFound { .. })));
}

#[test]
fn a_removal_that_counted_on_a_node_which_went_meanwhile_is_refused() {
    let mut state = founded();
    for (index, key) in [(3, "aa"), (4, "bb")] {
        admit(&mut state, index, key).expect("admitted");
    }
    let removal = |id, others: [u64; 2]| Command::RemoveNode {
        id: NodeId(id),
        beside: others.map(NodeId).into(),
    };
    let (first, second) = (removal(3, [1, 4]), removal(4, [1, 3]));
    assert_eq!(
        (first.format(), Command::RemoveNode { id: NodeId(3), beside: [].into() }.format()),
        (4, 1)
    );
    ask(&mut state, 5, first).expect("the others are there");
    let refused = ask(&mut state, 6, second);
    assert_eq!(refused, Err(Rejected::Changed { row: "nodes/00000000000000000003".into() }));
    assert!(state.nodes.contains_key(&NodeId(4)));
}

#[test]
fn the_last_node_and_bad_labels_are_refused() {
    let mut state = founded();
    let id = NodeId(1);
    assert_eq!(
        ask(&mut state, 3, Command::RemoveNode { id, beside: [].into() }),
        Err(Rejected::LastNode)
    );
    let set = [("two words".to_owned(), String::new())].into();
    let refused = ask(&mut state, 4, Command::LabelNode { id, set, unset: vec![] });
    assert!(matches!(refused, Err(Rejected::Invalid { .. })));
    assert!(state.nodes[&id].labels.is_empty());
}
