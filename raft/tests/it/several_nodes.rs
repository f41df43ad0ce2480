//! Several nodes: they join, agree, lose one another and find together again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use temps_raft::{Cluster, Proposal, ProposeError, ReadError};
use temps_state::{Actor, Command, NodeId};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::common::ground::{Place, cluster_of, found, join_one, leader, propose, voters};
use crate::common::{email, numbers, put, until, write};

/// Within which time somebody must say that there is no quorum.
const SOON: Duration = Duration::from_secs(2);

/// Two places of `places` other than `not`.
fn others(places: &[Place], not: usize) -> Vec<usize> {
    (0..places.len()).filter(|at| *at != not).collect()
}

/// Writes until a write is acknowledged; says how long that took.
async fn gap(cluster: &Cluster, number: u64) -> Duration {
    let begun = Instant::now();
    loop {
        match put(cluster, number).await {
            Ok(_) => return begun.elapsed(),
            Err(ProposeError::NoQuorum | ProposeError::Timeout) => {
                assert!(begun.elapsed() < crate::common::PATIENCE, "writes go on");
            }
            // A try whose outcome was not known had succeeded.
            Err(ProposeError::Rejected(_)) => return begun.elapsed(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_agree_whichever_is_asked_and_whichever_dies() {
    let mut places = cluster_of(3).await;
    let first = leader(&places).await;
    let follows = others(&places, first);
    let (b, c) = (follows[0], follows[1]);

    // What one follower is told took effect is there for whoever asks another one.
    for number in 1..=20 {
        put(places[b].node(), number).await.expect("a follower hands it on");
        let seen = places[c].node().read_latest().await.expect("a follower reads");
        assert!(seen.emails.contains_key(&email(number)));
    }
    a_retry_takes_effect_once(&places).await;
    status_tells_about_everybody(&places, first).await;
    edges_are_waited_for(&places, first).await;

    // The lead goes to somebody else when asked to.
    places[first].node().hand_over().await.expect("another node takes the lead");
    until("another node leads", || others(&places, first).iter().any(|at| places[*at].leads()))
        .await;
    put(places[first].node(), 21).await.expect("the former leader hands it on");

    // A leader that dies is replaced.
    let dead = leader(&places).await;
    places[dead].stop().await;
    let alive = others(&places, dead);
    let took = gap(places[alive[0]].node(), 22).await;
    println!("leader stopped -> next write acknowledged after {took:?}");
    let lost = places[dead].id;
    let is_lost = |place: &Place| !place.node().state().nodes[&lost].is_reachable();
    until("its loss is noticed", || alive.iter().all(|at| is_lost(&places[*at]))).await;
    assert!(places[alive[0]].node().may_lose(&Default::default()).text.starts_with("No more node"));

    // It comes back, and knows what happened meanwhile.
    places[dead].start().await;
    until("its return is noticed", || alive.iter().all(|at| !is_lost(&places[*at]))).await;
    let seen = places[dead].node().read_latest().await.expect("the returned node reads");
    let written: Vec<u64> = numbers(&seen).into_iter().collect();
    assert_eq!(written, (1..=22).chain([500]).collect::<Vec<_>>());

    a_removed_node_is_refused(&mut places).await;
}

/// A proposal that finds the leader dead waits for the next one: it was sent to nobody, so its outcome is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_leader_leaves_no_outcome_open() {
    let mut places = cluster_of(3).await;
    for round in 0..3 {
        let dead = leader(&places).await;
        places[dead].stop().await;
        let asked = places[others(&places, dead)[0]].node().clone();
        let begun = Instant::now();
        while let Err(error) = put(&asked, round).await {
            println!("after {:?}: {error}", begun.elapsed());
            assert!(matches!(error, ProposeError::NoQuorum), "{error}");
            assert!(begun.elapsed() < crate::common::PATIENCE, "writes go on");
        }
        println!("leader stopped -> next write acknowledged after {:?}", begun.elapsed());
        places[dead].start().await;
        asked.read_latest().await.expect("two of three agree");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_edge_of_a_node_that_just_died_is_waited_for_until_it_is_lost() {
    let mut places = cluster_of(3).await;
    let leads = leader(&places).await;
    let dead = others(&places, leads)[0];
    let id = places[dead].id;
    places[dead].stop().await;
    let cluster = places[leads].node().clone();
    let index = put(&cluster, 1).await.unwrap().index;
    assert!(cluster.state().nodes[&id].is_reachable(), "nobody has noticed yet");
    let hasty = cluster.wait_edges(index, Duration::from_millis(300)).await;
    assert_eq!(hasty, Err(vec![id]));
    let begun = Instant::now();
    cluster.wait_edges(index, crate::common::PATIENCE).await.expect("a lost node serves nobody");
    assert!(!cluster.state().nodes[&id].is_reachable());
    println!("a dead node was waited for {:?}", begun.elapsed());

    // One that is back in time is waited for as well.
    places[dead].start().await;
    until("its return is noticed", || cluster.state().nodes[&id].is_reachable()).await;
    places[dead].stop().await;
    let index = put(&cluster, 2).await.unwrap().index;
    let waiting = cluster.wait_edges(index, crate::common::PATIENCE);
    let (waited, ()) = tokio::join!(waiting, places[dead].start());
    assert_eq!(waited, Ok(()));
    assert!(places[dead].status().applied >= index);
}

/// Another one led while it was away, and it leads again before that one heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_counts_as_lost_comes_back_by_itself() {
    let places = cluster_of(3).await;
    let leads = places[leader(&places).await].node().clone();
    let id = leads.node_id();
    until("the leader has a record", || leads.state().nodes.contains_key(&id)).await;
    let lost = Proposal::new(Actor::Node { id }, Command::LoseNode { id });
    leads.propose(lost).await.expect("the cluster agrees");
    until("it is back", || leads.state().nodes[&id].is_reachable()).await;
}

async fn a_retry_takes_effect_once(places: &[Place]) {
    let change = Proposal { request: Some("the same one".into()), ..write(500) };
    let first = places[0].node().propose(change.clone()).await.expect("it is taken");
    for place in places {
        let again = place.node().propose(change.clone()).await.expect("it has taken effect");
        assert_eq!(again.reply, first.reply);
    }
}

async fn status_tells_about_everybody(places: &[Place], leads: usize) {
    let caught_up = || places[leads].status().members.iter().all(|member| member.lag == Some(0));
    until("the leader knows that nobody is behind", caught_up).await;
    let status = places[leads].status();
    let addresses: Vec<_> = status.members.iter().map(|member| member.address).collect();
    assert_eq!(addresses, places.iter().map(|place| Some(place.address)).collect::<Vec<_>>());
    assert!(status.members.iter().all(|member| member.voter && member.reachable));
    assert_eq!(places[leads].node().may_lose(&Default::default()).count, 1);
    let asked = places[0].node().peer_status(places[2].id).await.expect("it answers");
    assert_eq!(asked.version, env!("CARGO_PKG_VERSION"));
    assert!(asked.applied > 0 && asked.last_log >= asked.applied);
}

async fn edges_are_waited_for(places: &[Place], leads: usize) {
    let index = places[leads].status().applied;
    let cluster = places[leads].node();
    cluster.wait_edges(index, SOON).await.expect("no edge is behind");
    let (edge, shown) = watch::channel(0);
    places[2].node().tell_edge(shown);
    let behind = cluster.wait_edges(index, Duration::from_millis(200)).await;
    assert_eq!(behind, Err(vec![places[2].id]));
    let waiting = cluster.wait_edges(index, crate::common::PATIENCE);
    let (waited, ()) = tokio::join!(waiting, async {
        edge.send_replace(u64::MAX);
    });
    assert_eq!(waited, Ok(()));
    std::mem::forget(edge);
}

async fn a_removed_node_is_refused(places: &mut Vec<Place>) {
    let leads = leader(places).await;
    let gone = places.remove(others(places, leads)[0]);
    let leads = leader(places).await;
    assert!(places[leads].node().may_remove(gone.id).is_ok());
    propose(places[leads].node(), Command::RemoveNode { id: gone.id, beside: [].into() }).await;
    until("it is no member any more", || places.iter().all(|p| p.status().members.len() == 2))
        .await;
    assert_eq!(voters(&places[leads]), 1);
    let asked = gone.node().peer_status(places[leads].id).await;
    assert!(asked.is_err(), "a removed node gets no answer: {asked:?}");
    assert!(put(gone.node(), 99).await.is_err());
    put(places[leads].node(), 23).await.expect("the others go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_minority_says_so_and_goes_on_showing_what_it_knows() {
    let mut places = cluster_of(3).await;
    put(places[0].node(), 1).await.unwrap();
    for place in &places {
        until("the write is everywhere", || numbers(&place.node().state()).contains(&1)).await;
    }
    let survivor = leader(&places).await;
    for at in others(&places, survivor) {
        places[at].stop().await;
    }
    let cluster = places[survivor].node().clone();
    // A leader that has not noticed yet may only say that it does not know.
    let begun = Instant::now();
    let early = put(&cluster, 2).await.unwrap_err();
    assert!(matches!(early, ProposeError::Timeout | ProposeError::NoQuorum), "{early}");
    println!("leader that just lost its quorum answered after {:?}: {early}", begun.elapsed());
    assert!(begun.elapsed() < SOON);
    for _ in 0..3 {
        let begun = Instant::now();
        let refused = cluster.propose(write(3)).await.unwrap_err();
        println!("without a quorum: {refused} after {:?}", begun.elapsed());
        assert!(matches!(refused, ProposeError::NoQuorum), "{refused}");
        assert!(begun.elapsed() < SOON);
        let begun = Instant::now();
        assert!(matches!(cluster.read_latest().await, Err(ReadError::NoQuorum)));
        assert!(begun.elapsed() < SOON);
    }
    assert!(numbers(&cluster.state()).contains(&1));
    assert!(cluster.may_remove(places[survivor].id).is_err());

    // Alone after a restart: it starts, and shows what it knew.
    drop(cluster);
    places[survivor].stop().await;
    let begun = Instant::now();
    places[survivor].start().await;
    println!("started without a quorum in {:?}", begun.elapsed());
    assert!(numbers(&places[survivor].node().state()).contains(&1));
    assert!(matches!(put(places[survivor].node(), 3).await, Err(ProposeError::NoQuorum)));

    // Everybody comes back.
    for at in others(&places, survivor) {
        places[at].start().await;
    }
    gap(places[0].node(), 4).await;
    let seen = places[2].node().read_latest().await.expect("all is well again");
    let seen = numbers(&seen);
    assert!(seen.contains(&1) && seen.contains(&4) && !seen.contains(&3), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_nodes_survive_the_loss_of_two() {
    let mut places = cluster_of(5).await;
    assert_eq!(places[0].node().may_lose(&Default::default()).count, 2);
    let (stop, stopped) = watch::channel(false);
    let writers: JoinSet<BTreeSet<u64>> = (1..)
        .zip(&places)
        .map(|(from, place)| write_anyhow(place.node().clone(), from * 1000, stopped.clone()))
        .collect();
    for number in [1, 2] {
        let dead = leader(&places).await;
        let before = numbers(&places[dead].node().state()).len();
        let goes_on = || numbers(&places[dead].node().state()).len() >= before + 50;
        until("writes go on", goes_on).await;
        places[dead].stop().await;
        let mut alive = places.iter().filter(|place| place.is_running());
        let asked = alive.next_back().unwrap();
        let took = gap(asked.node(), number).await;
        println!("leader {number} of five stopped -> next write after {took:?}");
    }
    stop.send_replace(true);
    let acknowledged: BTreeSet<u64> = writers.join_all().await.into_iter().flatten().collect();
    let alive: Vec<&Place> = places.iter().filter(|place| place.is_running()).collect();
    assert_eq!(alive.len(), 3);
    for place in alive {
        let seen = numbers(&place.node().read_latest().await.expect("three of five agree"));
        let missing: Vec<_> = acknowledged.difference(&seen).collect();
        assert!(missing.is_empty(), "acknowledged, but not on node {}: {missing:?}", place.id);
    }
    println!("{} writes acknowledged meanwhile, all there", acknowledged.len());
}

/// Writes one after the other, whatever happens; says which were acknowledged.
async fn write_anyhow(
    cluster: Cluster,
    from: u64,
    stopped: watch::Receiver<bool>,
) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    for number in from.. {
        if *stopped.borrow() {
            break;
        }
        match put(&cluster, number).await {
            Ok(_) => drop(acknowledged.insert(number)),
            Err(ProposeError::NoQuorum | ProposeError::Timeout) => {}
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_joiner_gets_a_large_state_while_writes_go_on() {
    const LARGE: u64 = 400;
    const OCTETS: usize = 250_000;
    // A snapshot that reaches so far lets the log begin after the large entries.
    const LOG_BEGINS: u64 = 7_000;
    let mut founder = found().await;
    for number in 0..LARGE {
        let mut proposal = write(number);
        if let Command::CreateUser { user } = &mut proposal.command {
            user.password_hash = "x".repeat(OCTETS);
        }
        founder.node().propose(proposal).await.unwrap();
    }
    // So many entries that the joiner cannot be fed from the log.
    crate::common::churn(founder.node(), 10_500).await;
    founder.report().await;
    until("the log begins later", || founder.status().snapshot >= Some(LOG_BEGINS)).await;

    let (stop, stopped) = watch::channel(false);
    let writer = tokio::spawn(write_steadily(founder.node().clone(), stopped));
    let begun = Instant::now();
    let mut joiner = join_one(&founder).await;
    until("it knows everything", || numbers(&joiner.node().state()).len() as u64 >= LARGE).await;
    println!("100 MB handed over in {:?}", begun.elapsed());
    stop.send_replace(true);
    let (acknowledged, longest) = writer.await.unwrap();
    println!("{} writes meanwhile, the longest took {longest:?}", acknowledged.len());
    assert!(!acknowledged.is_empty(), "writes went on");
    assert!(joiner.status().snapshot.is_some(), "it was fed by a snapshot");
    let written: BTreeSet<u64> = (0..LARGE).chain(acknowledged).collect();
    until("both have the same state", || {
        let (one, other) = (founder.node().state(), joiner.node().state());
        one.index == other.index && one.state == other.state
    })
    .await;
    assert_eq!(numbers(&joiner.node().state()), written);
    assert_eq!(joiner.node().state().nodes[&NodeId(1)].address, Some(founder.address));
    joiner.stop().await;
    founder.stop().await;
}

/// One write after the other; says which were acknowledged, and how long the longest took.
async fn write_steadily(cluster: Cluster, stopped: watch::Receiver<bool>) -> (Vec<u64>, Duration) {
    let (mut acknowledged, mut longest) = (Vec::new(), Duration::ZERO);
    for number in 1_000_000.. {
        if *stopped.borrow() {
            break;
        }
        let begun = Instant::now();
        put(&cluster, number).await.expect("writes go on");
        longest = longest.max(begun.elapsed());
        acknowledged.push(number);
    }
    (acknowledged, longest)
}

/// It may not know of the next leader for as long as it is cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_nobody_answers_does_no_work_for_all() {
    let mut places = cluster_of(3).await;
    let leads = leader(&places).await;
    let rest = others(&places, leads);
    for at in &rest {
        places[*at].stop().await;
    }
    until("it works for all no longer", || !places[leads].leads()).await;
    places[rest[0]].start().await;
    until("somebody does again", || places.iter().any(|one| one.is_running() && one.leads())).await;
}
