//! Tags of pushed images: what they mean, and who has it.

use std::collections::BTreeSet;

use crate::draws::{at, entry, node};
use temps_state::*;

/// A state of two nodes.
fn founded() -> State {
    let mut state = State::default();
    for id in [1, 2] {
        state.nodes.insert(NodeId(id), node(id));
    }
    state
}

fn ask(state: &mut State, index: u64, command: Command) -> Result<Reply, Rejected> {
    state.apply(index, entry(index, command))
}

fn name(text: &str) -> TagName {
    text.parse().expect("a name")
}

fn manifest(n: u64) -> String {
    format!("{n:064x}")
}

fn set(text: &str, n: u64, holder: u64) -> Command {
    Command::SetImageTag { name: name(text), manifest: manifest(n), holder: NodeId(holder) }
}

fn holders(state: &State, text: &str) -> Vec<u64> {
    state.image_tags[&name(text)].holders.iter().map(|node| node.0).collect()
}

#[test]
fn a_tag_means_what_was_set_last_and_is_held_by_who_says_so() {
    let mut state = founded();
    let hold = |n, node| Command::HoldImage {
        name: name("team/app:1"),
        manifest: manifest(n),
        node: NodeId(node),
    };
    let release = |n, node| Command::ReleaseImage {
        name: name("team/app:1"),
        manifest: manifest(n),
        node: NodeId(node),
    };
    ask(&mut state, 1, set("team/app:1", 1, 1)).expect("set");
    ask(&mut state, 2, hold(1, 2)).expect("held");
    assert_eq!(holders(&state, "team/app:1"), [1, 2]);
    ask(&mut state, 3, set("team/app:1", 1, 1)).expect("set again");
    assert_eq!(holders(&state, "team/app:1"), [1, 2], "what it means is the same");
    assert_eq!(state.image_tags[&name("team/app:1")].set_at, at(3));
    ask(&mut state, 4, release(1, 1)).expect("released");
    assert_eq!(holders(&state, "team/app:1"), [2]);
    // It comes to mean something else, and whoever was about to tell of the old one is late.
    ask(&mut state, 5, set("team/app:1", 2, 1)).expect("moved");
    assert_eq!(holders(&state, "team/app:1"), [1]);
    for late in [hold(1, 2), release(1, 1)] {
        assert!(matches!(ask(&mut state, 6, late), Err(Rejected::Changed { .. })));
    }
    let remove = Command::RemoveImageTag { name: name("team/app:1") };
    ask(&mut state, 7, remove.clone()).expect("removed");
    for gone in [hold(2, 1), release(2, 1), remove] {
        assert!(matches!(ask(&mut state, 8, gone), Err(Rejected::NotFound { .. })));
    }
    let asked: BTreeSet<&str> = state.audit.values().map(|record| record.action.as_str()).collect();
    assert_eq!(asked, BTreeSet::from(["image.push", "image.delete"]));
}

#[test]
fn only_nodes_hold_and_a_node_that_goes_holds_nothing() {
    let mut state = founded();
    assert!(matches!(ask(&mut state, 1, set("app:1", 1, 9)), Err(Rejected::NotFound { .. })));
    ask(&mut state, 2, set("app:1", 1, 1)).expect("set");
    let stranger =
        Command::HoldImage { name: name("app:1"), manifest: manifest(1), node: NodeId(9) };
    assert!(matches!(ask(&mut state, 3, stranger), Err(Rejected::NotFound { .. })));
    ask(&mut state, 4, Command::RemoveNode { id: NodeId(1), beside: [].into() }).expect("removed");
    assert!(holders(&state, "app:1").is_empty(), "the tag stays");
    let wrong =
        Command::SetImageTag { name: name("app:1"), manifest: "../..".into(), holder: NodeId(2) };
    assert!(matches!(ask(&mut state, 5, wrong), Err(Rejected::Invalid { .. })));
}

#[test]
fn there_are_so_many_tags_and_no_more() {
    let mut state = founded();
    for n in 0..IMAGE_TAGS_MAX as u64 {
        ask(&mut state, n + 1, set(&format!("app:{n}"), n, 1)).expect("there is room");
    }
    let one_more = ask(&mut state, 20_000, set("app:more", 1, 1));
    assert!(matches!(one_more, Err(Rejected::TooMany { max: IMAGE_TAGS_MAX, .. })));
    ask(&mut state, 20_001, set("app:1", 2, 1)).expect("one that is there may move");
}

#[test]
fn a_repository_has_its_own_tags_and_no_others() {
    let mut state = founded();
    let names = ["a-b:1", "a/b:1", "a:2", "a:1", "a.b:1", "aa:1"];
    for (index, text) in (1..).zip(names) {
        ask(&mut state, index, set(text, index, 1)).expect("set");
    }
    let of = |repository: &str| -> Vec<String> {
        state.tags_of(repository).map(|(name, _)| name.tag().into()).collect()
    };
    assert_eq!(of("a"), ["1", "2"]);
    for one in ["a-b", "a/b", "a.b", "aa"] {
        assert_eq!(of(one), ["1"], "{one}");
    }
    assert!(of("b").is_empty() && of("").is_empty());
}
