//! What a node does and reports, as a table and as properties of random containers.

use std::collections::{BTreeMap, HashMap};

use crate::common::*;
use proptest::prelude::*;
use temps_scheduler::container::{Container, DATA_DIR, MANAGED, REPLICA, Role, Status};
use temps_scheduler::health::Verdict;
use temps_scheduler::plan::{Action, plan};
use temps_scheduler::report::{reports, reports_without_engine};
use temps_scheduler::{Ended, Memory};
use temps_state::*;

const ME: NodeId = NodeId(1);

/// One replica of a deployment in that phase, with that intent.
fn world(live: bool, intent: &Intent) -> (World, ReplicaId) {
    let mut world = World::new(1);
    let production = world.production();
    let id = world.deploy(production, upload());
    world.lead();
    world.finish_builds(&image());
    world.lead();
    let replica = world.replicas(id)[0].id;
    if live {
        world.heal();
        world.lead();
        world.observe(replica, Observed::Pending);
    }
    world.state.replicas.get_mut(&replica).expect("it is there").intent = intent.clone();
    (world, replica)
}

fn container(role: Role, status: Status) -> Container {
    let address = matches!(status, Status::Running | Status::Paused)
        .then(|| "10.0.0.1".parse().expect("an address"));
    Container { id: "c".into(), role, status, address }
}

fn ended(world: &World, failures: u32, seconds_ago: i64) -> Memory {
    let at = world.now - jiff::SignedDuration::from_secs(seconds_ago);
    let ended = Ended { at, failure: failure(FailureCode::Exited) };
    Memory { failures, started: None, ended: Some(ended) }
}

#[test]
fn each_container_gets_what_its_replica_needs() {
    use Status::*;
    let serve = || Intent::Serve;
    let drain = || Intent::Drain { until: jiff::Timestamp::MAX };
    // The replica's intent, its container, its failures in a row and the seconds since the last one; and what follows.
    let table = [
        (serve(), None, None, Then::Start),
        (serve(), Some(Created), None, Then::Start),
        (serve(), Some(Running), None, Then::Nothing),
        (serve(), Some(Paused), None, Then::Unpause),
        (serve(), Some(Exited), None, Then::Inquire),
        (serve(), Some(Exited), Some((1, 0)), Then::Start),
        (serve(), Some(Exited), Some((2, 0)), Then::Nothing),
        (serve(), Some(Exited), Some((2, 1)), Then::StartFresh),
        (serve(), Some(Exited), Some((9, 59)), Then::Nothing),
        (serve(), None, Some((3, 1)), Then::Nothing),
        (serve(), Some(Changing), None, Then::Nothing),
        (drain(), None, None, Then::Nothing),
        (drain(), Some(Running), None, Then::Nothing),
        (drain(), Some(Exited), None, Then::Nothing),
        (Intent::Keep, Some(Running), None, Then::Pause),
        (Intent::Keep, Some(Paused), None, Then::Nothing),
        (Intent::Keep, Some(Exited), None, Then::Nothing),
        (Intent::Keep, None, None, Then::Nothing),
    ];
    for (intent, status, memory, then) in table {
        let (world, replica) = world(true, &intent);
        let containers: Vec<_> =
            status.iter().map(|s| container(Role::Replica(replica), *s)).collect();
        let memory = memory.map(|(failures, ago)| (replica, ended(&world, failures, ago)));
        let planned =
            plan(&world.state, ME, &containers, &BTreeMap::from_iter(memory), world.now, true);
        assert_eq!(planned, Vec::from_iter(then.action(replica)), "{intent:?} {status:?}");
    }
}

/// What follows for the container of a replica.
enum Then {
    Nothing,
    Start,
    StartFresh,
    Inquire,
    Pause,
    Unpause,
}

impl Then {
    fn action(self, replica: ReplicaId) -> Option<Action> {
        let container = "c".to_owned();
        Some(match self {
            Self::Nothing => return None,
            Self::Start => Action::Start { replica, fresh: false },
            Self::StartFresh => Action::Start { replica, fresh: true },
            Self::Inquire => Action::Inquire { replica, container },
            Self::Pause => Action::Pause { container },
            Self::Unpause => Action::Unpause { container },
        })
    }
}

#[test]
fn containers_of_gone_replicas_are_removed_and_foreign_ones_are_not() {
    let (mut world, replica) = world(true, &Intent::Serve);
    let gone: ReplicaId = world.fresh();
    let prepare = Role::Prepare(world.fresh());
    let containers = [
        Container { id: "mine".into(), ..container(Role::Replica(replica), Status::Running) },
        Container { id: "gone".into(), ..container(Role::Replica(gone), Status::Paused) },
        Container { id: "prepare".into(), ..container(prepare, Status::Exited) },
        Container { id: "foreign".into(), ..container(Role::Foreign, Status::Running) },
    ];
    let planned = plan(&world.state, ME, &containers, &BTreeMap::new(), world.now, true);
    let remove = |id: &str| Action::Remove { container: id.into() };
    assert_eq!(planned, [remove("gone"), remove("prepare")]);
}

#[test]
fn nothing_starts_while_edges_know_an_address_that_may_be_given_away() {
    let (mut world, replica) = world(true, &Intent::Serve);
    world.observe(replica, healthy());
    let exited = [container(Role::Replica(replica), Status::Exited)];
    let memory = BTreeMap::from([(replica, ended(&world, 1, 5))]);
    let start = [Action::Start { replica, fresh: false }];
    let planned = |can_tell| plan(&world.state, ME, &exited, &memory, world.now, can_tell);
    assert_eq!(planned(true), []);
    assert_eq!(planned(false), start, "whom nobody can tell must not wait for ever");
    let told = reports(&world.state, ME, &exited, &memory, &BTreeMap::new());
    assert_eq!(told, [(replica, down())]);
    world.observe(replica, down());
    let planned = plan(&world.state, ME, &exited, &memory, world.now, true);
    assert_eq!(planned, start);
}

#[test]
fn a_new_version_may_end_once_and_a_live_one_is_down_at_once() {
    for (live, failures, told) in
        [(false, 1, vec![]), (false, 2, vec![down()]), (true, 1, vec![down()])]
    {
        let (world, replica) = world(live, &Intent::Serve);
        let exited = [container(Role::Replica(replica), Status::Exited)];
        let memory = BTreeMap::from([(replica, ended(&world, failures, 0))]);
        let reported = reports(&world.state, ME, &exited, &memory, &BTreeMap::new());
        let reported: Vec<Observed> = reported.into_iter().map(|(_, observed)| observed).collect();
        assert_eq!(reported, told, "{live} {failures}");
    }
}

#[test]
fn verdicts_are_reported_when_they_change() {
    let (mut world, replica) = world(true, &Intent::Serve);
    let running = [container(Role::Replica(replica), Status::Running)];
    let endpoint = "10.0.0.1:3000".parse().expect("an address");
    let passed = BTreeMap::from([(replica, Verdict::Healthy { endpoint })]);
    let none = BTreeMap::new();
    let told = |world: &World, verdicts: &BTreeMap<ReplicaId, Verdict>| {
        reports(&world.state, ME, &running, &none, verdicts)
    };
    assert_eq!(told(&world, &BTreeMap::new()), [(replica, Observed::Starting)]);
    assert_eq!(told(&world, &passed), [(replica, healthy())]);
    world.observe(replica, healthy());
    assert_eq!(told(&world, &passed), []);
    assert_eq!(told(&world, &BTreeMap::new()), []);
    let failed = Verdict::Unhealthy { failure: failure(FailureCode::Unhealthy) };
    let unhealthy = Observed::Unhealthy { failure: failure(FailureCode::Unhealthy) };
    assert_eq!(told(&world, &BTreeMap::from([(replica, failed)])), [(replica, unhealthy)]);
}

#[test]
fn without_an_engine_what_runs_is_left_alone_and_what_is_new_fails_in_time() {
    let (mut world, replica) = world(true, &Intent::Serve);
    let away = |failures| {
        let failure = failure(FailureCode::EngineUnavailable);
        let ended = Some(Ended { at: jiff::Timestamp::UNIX_EPOCH, failure });
        BTreeMap::from([(replica, Memory { failures, started: None, ended })])
    };
    let told = |world: &World, failures| {
        reports_without_engine(&world.state, ME, &away(failures), &BTreeMap::new()).len()
    };
    assert_eq!((told(&world, 1), told(&world, 5)), (0, 1));
    world.observe(replica, healthy());
    assert_eq!(told(&world, 5), 0);
}

#[test]
fn without_an_engine_what_stops_to_answer_is_unhealthy_first_and_down_in_time() {
    let (mut world, replica) = world(true, &Intent::Serve);
    world.observe(replica, healthy());
    let verdict = Verdict::Unhealthy { failure: failure(FailureCode::PortClosed) };
    let verdicts = BTreeMap::from([(replica, verdict)]);
    let away = failure(FailureCode::EngineUnavailable);
    let told = |world: &World, failures| {
        let ended = Some(Ended { at: world.now, failure: away.clone() });
        let memory = BTreeMap::from([(replica, Memory { failures, started: None, ended })]);
        reports_without_engine(&world.state, ME, &memory, &verdicts)
    };
    let unhealthy = Observed::Unhealthy { failure: failure(FailureCode::PortClosed) };
    assert_eq!(told(&world, 4), [(replica, unhealthy)]);
    let down = Observed::Down { failure: away.clone() };
    assert_eq!(told(&world, 5), [(replica, down.clone())]);
    // Also what ended by itself just before.
    world.observe(replica, self::down());
    assert_eq!(told(&world, 5), [(replica, down.clone())]);
    // The engine is there again, and has not been asked to start it yet.
    world.observe(replica, down);
    let back = reports(&world.state, ME, &[], &BTreeMap::new(), &BTreeMap::new());
    assert_eq!(back, [(replica, Observed::Pending)]);
}

#[test]
fn a_replica_that_drains_or_is_kept_is_never_known_at_an_address_it_left() {
    let until = jiff::Timestamp::MAX;
    let (mut world, replica) = world(true, &Intent::Drain { until });
    world.observe(replica, healthy());
    let told = reports(&world.state, ME, &[], &BTreeMap::new(), &BTreeMap::new());
    assert_eq!(told, [(replica, Observed::Pending)]);
}

fn status() -> impl Strategy<Value = Status> {
    use Status::*;
    proptest::sample::select(vec![Created, Running, Paused, Exited, Dead, Changing])
}

proptest! {
    #[test]
    fn only_containers_with_this_folders_labels_are_ever_touched(
        statuses in proptest::collection::vec((status(), 0..4u8), 0..12),
        failures in 0..5u32,
    ) {
        let (world, replica) = world(true, &Intent::Serve);
        let labels = |kind: u8| {
            let folder = if kind == 0 { "/mine" } else { "/other" };
            let id = if kind == 1 { replica } else { ReplicaId::from_parts(1, 1) };
            let managed = if kind == 2 { "false" } else { "true" };
            HashMap::from([
                (MANAGED.to_owned(), managed.to_owned()),
                (DATA_DIR.to_owned(), folder.to_owned()),
                (REPLICA.to_owned(), id.to_string()),
            ])
        };
        let containers: Vec<Container> = statuses.iter().enumerate().map(|(i, (status, kind))| {
            let role = Role::of(&labels(*kind), "/mine");
            Container { id: format!("{i}/{kind}"), ..container(role, *status) }
        }).collect();
        let memory = BTreeMap::from([(replica, ended(&world, failures, 100))]);
        for action in plan(&world.state, ME, &containers, &memory, world.now, true) {
            match action {
                Action::Start { replica: started, .. } => prop_assert_eq!(started, replica),
                Action::Inquire { container, .. } | Action::Pause { container }
                | Action::Unpause { container } | Action::Remove { container } => {
                    prop_assert!(container.ends_with("/0"), "{}", container);
                }
            }
        }
    }
}
