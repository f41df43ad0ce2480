//! What lets nodes of several versions live together: see `docs/decisions/009-formats.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::domains;
use crate::draws::{Draw, KINDS, at, command, dns_provider, entry, fresh, guard, run, tag_name};
use proptest::prelude::*;
use serde_json::{Value, json};
use temps_state::*;

/// Fields whose values are maps: what is in them are keys, not fields.
const MAPS: [&str; 6] = ["headers", "labels", "node_labels", "paths", "set", "variables"];

/// Puts a field that nobody knows into every object.
fn add_fields(value: &mut Value, is_map: bool) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| add_fields(value, false)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                add_fields(value, MAPS.contains(&name.as_str()));
            }
            if !is_map {
                fields.insert("of_a_later_version".into(), json!({"a": [1, null, "b"]}));
            }
        }
        _ => {}
    }
}

/// The same value as a later version might write it.
fn later(bytes: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&bytes[1..]).expect("values are JSON");
    add_fields(&mut value, false);
    let mut later = vec![bytes[0]];
    later.extend(value.to_string().into_bytes());
    later
}

/// A state with a row in every table.
fn full() -> State {
    let kinds: [u8; 20] =
        [0, 42, 30, 32, 1, 27, 29, 4, 7, 9, 12, 14, 23, 24, 19, 10, 12, 14, 23, 24];
    let draws: Vec<Draw> = kinds.iter().map(|kind| (*kind, 0, 1)).collect();
    let mut state = run(&draws);
    let user = *state.users.keys().next().expect("there is a user");
    let session = Session {
        id: fresh(90),
        user,
        hash: "00".into(),
        created_at: at(90),
        expires_at: at(10_000),
    };
    let commands = [
        Command::OpenSession { session },
        Command::ChangeSettings { settings: Settings::default() },
        Command::SetImageTag { name: tag_name(0), manifest: "0f".repeat(32), holder: NodeId(1) },
        Command::SetGuard { scope: Scope::Cluster, guard: Some(guard(0)) },
        Command::AddDnsProvider { provider: dns_provider(94, 0) },
    ];
    for (index, command) in (90..).zip(commands) {
        let entry = Entry { request: Some(format!("key {index}")), ..entry(index, command) };
        state.apply(index, entry).expect("it takes effect");
    }
    for (index, command) in (100..).zip(of_domains(&state)) {
        state.apply(index, entry(index, command)).expect("it takes effect");
    }
    state
}

/// The domains' story, about the environment that a state has.
fn of_domains(state: &State) -> Vec<Command> {
    let environment = *state.environments.keys().next().expect("there is one");
    domains::story(100, environment)
}

#[test]
fn every_kind_of_row_may_have_fields_that_are_not_known_here() {
    let state = full();
    let (mut restored, mut tables) = (State::default(), BTreeSet::new());
    for row in state.rows() {
        let value = row.value.expect("rows of a state have values");
        restored.restore(&row.key, &later(&value)).unwrap_or_else(|e| panic!("{}: {e}", row.key));
        tables.insert(row.key.split('/').next().expect("a table").to_owned());
    }
    assert_eq!(restored, state);
    assert_eq!(tables.len(), 28, "a row of every table: {tables:?}");
}

/// The name of a command, as written.
fn name(command: &Command) -> String {
    let value = serde_json::to_value(command).expect("a command is JSON");
    value["type"].as_str().expect("a command has a type").into()
}

/// All commands that there are, as serde knows them.
fn all_commands() -> BTreeSet<String> {
    let refused = serde_json::from_value::<Command>(json!({"type": "?"}))
        .expect_err("there is no such command")
        .to_string();
    let (_, names) = refused.split_once("expected one of").expect("serde lists them");
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn somebody_decided_the_format_of_every_command() {
    let decided: BTreeMap<String, u32> = include_str!("golden/commands.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(format, name)| (name.to_owned(), format.parse().expect("a format")))
        .collect();
    let names: BTreeSet<String> = decided.keys().cloned().collect();
    assert_eq!(
        all_commands(),
        names,
        "a new command is of a new format: raise FORMAT, give it an arm in Command::format, and \
         note both in golden/commands.txt"
    );
    let state = full();
    for draw in (0..KINDS).flat_map(|kind| (0..4).map(move |b| (kind, 0, b))) {
        let command = command(&state, 7, draw);
        assert_eq!(command.format(), decided[&name(&command)], "{}", name(&command));
        assert!(command.format() <= u32::from(FORMAT));
    }
    for command in of_domains(&state) {
        assert_eq!(command.format(), decided[&name(&command)], "{}", name(&command));
    }
}

#[test]
fn an_entry_says_which_format_it_needs() {
    let state = full();
    for kind in 0..KINDS {
        let entry = entry(7, command(&state, 7, (kind, 0, 0)));
        assert_eq!(u32::from(entry.encode()[0]), entry.command.format());
    }
    let mut bytes = entry(7, command(&state, 7, (0, 0, 0))).encode();
    bytes[0] = FORMAT + 1;
    let refused = decode::<Entry>(&bytes);
    assert!(matches!(refused, Err(RowError::Format { found }) if found == FORMAT + 1));
}

proptest! {
    #[test]
    fn entries_and_answers_may_have_fields_that_are_not_known_here(
        draws in proptest::collection::vec(any::<Draw>(), 0..100), last in any::<Draw>(),
    ) {
        let mut state = run(&draws);
        let index = draws.len() as u64 + 1;
        let written = entry(index, command(&state, index, last));
        prop_assert_eq!(decode::<Entry>(&later(&written.encode()))?, written.clone());
        match state.apply(index, written) {
            Ok(reply) => prop_assert_eq!(decode::<Reply>(&later(&encode(&reply)))?, reply),
            Err(why) => prop_assert_eq!(decode::<Rejected>(&later(&encode(&why)))?, why),
        }
    }

    #[test]
    fn random_rows_may_have_fields_that_are_not_known_here(
        draws in proptest::collection::vec(any::<Draw>(), 0..100),
    ) {
        let state = run(&draws);
        let mut restored = State::default();
        for row in state.rows() {
            let value = row.value.expect("rows of a state have values");
            restored.restore(&row.key, &later(&value))?;
        }
        prop_assert_eq!(restored, state);
    }
}
