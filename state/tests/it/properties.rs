//! What holds after any sequence of commands.

use std::collections::{BTreeMap, BTreeSet};

use crate::draws::{Draw, command, entry, run};
use proptest::prelude::*;
use temps_state::*;

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    proptest::collection::vec(any::<Draw>(), 0..200)
}

fn check_names_are_unique(state: &State) {
    assert_eq!(state.project_names.len(), state.projects.len());
    for project in state.projects.values() {
        assert_eq!(state.project_names.get(&project.name), Some(&project.id));
    }
    assert_eq!(state.emails.len(), state.users.len());
    for user in state.users.values() {
        assert_eq!(state.emails.get(&user.email), Some(&user.id));
    }
    assert_eq!(state.hosts.len(), state.environments.len());
    for environment in state.environments.values() {
        let project = &state.projects[&environment.project];
        let label = host_label(&project.name, &environment.name);
        assert_eq!(state.hosts.get(&label), Some(&environment.id));
    }
}

fn check_nothing_dangles(state: &State) {
    for project in state.projects.values() {
        let known =
            |caller: &ProjectId| *caller != project.id && state.projects.contains_key(caller);
        assert!(project.callers.iter().all(known));
    }
    for environment in state.environments.values() {
        assert!(state.projects.contains_key(&environment.project));
        for id in environment.current.iter().chain(&environment.kept) {
            assert_eq!(state.deployments[id].environment, environment.id);
        }
    }
    for deployment in state.deployments.values() {
        assert!(state.environments.contains_key(&deployment.environment));
        assert!(state.projects.contains_key(&deployment.project));
    }
    for replica in state.replicas.values() {
        let drains = matches!(replica.intent, Intent::Drain { .. });
        assert!(drains || state.deployments[&replica.deployment].phase.holds_replicas());
        assert!(state.nodes.contains_key(&replica.node));
    }
    for deployment in state.deployments.values() {
        assert!(deployment.holders.iter().all(|node| state.nodes.contains_key(node)));
    }
    for tag in state.image_tags.values() {
        assert!(tag.holders.iter().all(|node| state.nodes.contains_key(node)));
    }
    assert!(state.guards.keys().all(|scope| match scope {
        Scope::Cluster => true,
        Scope::Project(id) => state.projects.contains_key(id),
        Scope::Environment(id) => state.environments.contains_key(id),
    }));
    assert!(state.variables.keys().all(|(id, _)| state.environments.contains_key(id)));
    assert!(state.api_keys.values().all(|key| state.users.contains_key(&key.user)));
    assert!(state.sessions.values().all(|session| state.users.contains_key(&session.user)));
}

fn check_one_deployment_of_each_kind(state: &State) {
    for environment in state.environments.values() {
        let of = |test: fn(&Phase) -> bool| -> Vec<DeploymentId> {
            let all = state.deployments_of(environment.id);
            all.filter(|d| test(&d.phase)).map(|d| d.id).collect()
        };
        let live = of(|phase| *phase == Phase::Live);
        assert_eq!(live, Vec::from_iter(environment.current));
        assert!(of(Phase::is_under_way).len() <= 1);
        let kept = of(|phase| *phase == Phase::Kept);
        assert!(kept.len() <= 1 && kept.iter().all(|id| environment.kept == Some(*id)));
    }
}

fn check_nodes(state: &State) {
    let keys = state.nodes.values().map(|node| &node.key).filter(|key| !key.is_empty());
    let keys: Vec<&String> = keys.collect();
    let distinct: BTreeSet<&String> = keys.iter().copied().collect();
    assert_eq!(keys.len(), distinct.len());
    assert!(state.nodes.iter().all(|(id, node)| *id == node.id));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn names_are_unique_and_nothing_dangles(draws in draws()) {
        let state = run(&draws);
        check_names_are_unique(&state);
        check_nothing_dangles(&state);
        check_one_deployment_of_each_kind(&state);
        check_nodes(&state);
    }

    #[test]
    fn the_same_sequence_gives_the_same_bytes(draws in draws()) {
        prop_assert_eq!(run(&draws).rows(), run(&draws).rows());
    }

    #[test]
    fn a_state_is_its_rows(draws in draws()) {
        let state = run(&draws);
        let mut restored = State::default();
        for row in state.rows() {
            restored.restore(&row.key, &row.value.expect("rows of a state have values"))?;
        }
        prop_assert_eq!(restored, state);
    }

    #[test]
    fn the_changes_turn_the_older_rows_into_the_newer(draws in draws(), cut in any::<usize>()) {
        let cut = cut % (draws.len() + 1);
        let (older, newer) = (run(&draws[..cut]), run(&draws));
        let table = |state: &State| -> BTreeMap<String, Vec<u8>> {
            state.rows().into_iter().filter_map(|row| Some((row.key, row.value?))).collect()
        };
        let mut rows = table(&older);
        for change in newer.changes_since(&older) {
            match change.value {
                Some(value) => rows.insert(change.key, value),
                None => rows.remove(&change.key),
            };
        }
        prop_assert_eq!(rows, table(&newer));
    }

    #[test]
    fn a_rejected_command_changes_nothing(draws in draws(), last in any::<Draw>()) {
        let state = run(&draws);
        let index = draws.len() as u64 + 1;
        let mut after = state.clone();
        if after.apply(index, entry(index, command(&state, index, last))).is_err() {
            prop_assert_eq!(after, state);
        }
    }

    #[test]
    fn a_retried_request_takes_effect_once(draws in draws(), last in any::<Draw>()) {
        let mut state = run(&draws);
        let index = draws.len() as u64 + 1;
        let mut asked = entry(index, command(&state, index, last));
        asked.request = Some("key".into());
        if let Ok(reply) = state.apply(index, asked.clone()) {
            let once = state.clone();
            prop_assert_eq!(state.apply(index + 1, asked), Ok(reply));
            prop_assert_eq!(state, once);
        }
    }

    #[test]
    fn an_entry_reads_back_what_was_written(draws in draws(), last in any::<Draw>()) {
        let state = run(&draws);
        let written = entry(1, command(&state, 1, last));
        prop_assert_eq!(decode::<Entry>(&encode(&written))?, written);
    }
}
