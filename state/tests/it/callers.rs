//! Which projects may call which others.

use crate::draws::{at, entry, fresh, project};
use temps_state::*;

/// Three projects, by the indices of the entries that created them.
const SHOP: u64 = 1;
const BLOG: u64 = 2;
const WEB: u64 = 3;

fn founded() -> State {
    let mut state = State::default();
    for (index, name) in [(SHOP, "shop"), (BLOG, "blog"), (WEB, "web")] {
        create(&mut state, index, name);
    }
    state
}

fn create(state: &mut State, index: u64, name: &str) {
    let project = project(fresh(index), name, at(index));
    let command = Command::CreateProject { project, production: fresh(index) };
    state.apply(index, entry(index, command)).expect("there is none of that name");
}

fn allow(state: &mut State, id: u64, caller: u64) -> Result<Reply, Rejected> {
    let command = Command::AllowCaller { id: fresh(id), caller: fresh(caller) };
    state.apply(900, entry(900, command))
}

fn deny(state: &mut State, id: u64, caller: u64) -> Result<Reply, Rejected> {
    let command = Command::DenyCaller { id: fresh(id), caller: fresh(caller) };
    state.apply(901, entry(901, command))
}

fn admits(state: &State, id: u64, caller: u64) -> bool {
    state.projects[&fresh::<ProjectId>(id)].admits(fresh(caller))
}

#[test]
fn only_the_project_itself_and_those_that_are_allowed_may_call() {
    let mut state = founded();
    assert!(admits(&state, SHOP, SHOP) && !admits(&state, SHOP, BLOG));
    for _ in 0..2 {
        assert_eq!(allow(&mut state, SHOP, BLOG), Ok(Reply::Done));
    }
    assert!(admits(&state, SHOP, BLOG) && admits(&state, SHOP, SHOP));
    assert!(!admits(&state, BLOG, SHOP), "it holds in one direction");
    assert!(!admits(&state, SHOP, WEB));
    let record = state.audit.get(&900).expect("a record");
    let (shop, blog): (ProjectId, ProjectId) = (fresh(SHOP), fresh(BLOG));
    assert_eq!(record.action, "project.caller.allow");
    assert_eq!(record.target, format!("{shop}: {blog}"));
    assert_eq!(deny(&mut state, SHOP, BLOG), Ok(Reply::Done));
    assert!(!admits(&state, SHOP, BLOG));
    assert_eq!(state.projects, founded().projects, "nothing is left of it");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut state = founded();
    let before = state.clone();
    let unknown = |id: u64| Rejected::NotFound {
        noun: "project".into(),
        id: fresh::<ProjectId>(id).to_string(),
    };
    assert_eq!(allow(&mut state, SHOP, 77), Err(unknown(77)));
    assert_eq!(allow(&mut state, 77, SHOP), Err(unknown(77)));
    assert_eq!(deny(&mut state, 77, SHOP), Err(unknown(77)));
    assert!(matches!(allow(&mut state, SHOP, SHOP), Err(Rejected::Invalid { .. })));
    let refused = deny(&mut state, SHOP, BLOG);
    assert!(matches!(refused, Err(Rejected::NotFound { noun, .. }) if noun == "caller"));
    assert_eq!(state, before);
}

#[test]
fn a_project_that_is_gone_is_on_no_list() {
    let mut state = founded();
    for called in [SHOP, WEB] {
        allow(&mut state, called, BLOG).expect("it is known");
    }
    allow(&mut state, SHOP, WEB).expect("it is known");
    state.apply(10, entry(10, Command::DeleteProject { id: fresh(BLOG) })).expect("it is there");
    let callers = |id| Vec::from_iter(state.projects[&fresh::<ProjectId>(id)].callers.clone());
    assert_eq!((callers(SHOP), callers(WEB)), (vec![fresh(WEB)], vec![]));
}

#[test]
fn there_are_only_so_many() {
    let mut state = founded();
    let most = CALLERS_MAX as u64;
    for index in 10..=10 + most {
        create(&mut state, index, &format!("p{index}"));
    }
    for caller in 10..10 + most {
        assert_eq!(allow(&mut state, SHOP, caller), Ok(Reply::Done));
    }
    let refused = allow(&mut state, SHOP, 10 + most);
    assert_eq!(refused, Err(Rejected::TooMany { noun: "callers".into(), max: CALLERS_MAX }));
    assert_eq!(allow(&mut state, SHOP, 10), Ok(Reply::Done), "it may already");
}
