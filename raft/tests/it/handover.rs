//! A node that stopped leaves everything to its successor, though it lives on and answers what it knew.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use temps_raft::{Cluster, ProposeError, ReadError};
use temps_state::NodeId;

use crate::common::ground::{Place, cluster_of, leader};
use crate::common::{churn, numbers, put, start, until};

/// Within which time a stopped node must refuse, and a node must stop.
const AT_ONCE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(2);

/// What this process has open below a folder.
fn open_below(dir: &Path) -> Vec<String> {
    let handles = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = handles.filter_map(|handle| std::fs::read_link(handle.unwrap().path()).ok());
    let below = files.filter(|file| file.starts_with(dir));
    below.map(|file| file.display().to_string()).collect()
}

/// A node that has left off says so at once, and has not failed.
async fn refuses(former: &Cluster) {
    let begun = Instant::now();
    let refused = put(former, 90).await;
    assert!(matches!(refused, Err(ProposeError::Stopped { .. })), "{refused:?}");
    let refused = former.read_latest().await;
    assert!(matches!(refused, Err(ReadError::Stopped { .. })), "{refused:?}");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(!*former.leading().borrow());
    let failed = tokio::time::timeout(AT_ONCE, former.failed()).await;
    assert!(failed.is_err(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_node_of_three_is_succeeded_in_its_own_process() {
    let mut places = cluster_of(3).await;
    put(places[0].node(), 1).await.unwrap();
    for place in &places {
        place.node().read_latest().await.unwrap();
    }
    let leads = leader(&places).await;
    for at in [(leads + 1) % 3, (leads + 2) % 3, leads] {
        let number = 2 + at as u64;
        let (former, successor) = succeed(&mut places, at).await;
        put(&successor, number).await.expect("the successor takes part");
        let seen = successor.read_latest().await.expect("the successor reads");
        assert!(numbers(&seen).contains(&number));
        assert!(!numbers(&former.state()).contains(&number), "the former stays as it was");
    }
    for place in &places {
        let has_all = || [1, 2, 3, 4].iter().all(|n| numbers(&place.node().state()).contains(n));
        until("all is everywhere", has_all).await;
    }
}

/// Writes one after the other; says why it could not go on.
async fn write_until_refused(cluster: Cluster, from: u64) -> ProposeError {
    for number in from.. {
        if let Err(error) = put(&cluster, number).await {
            return error;
        }
    }
    unreachable!("the numbers do not end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_alone_is_succeeded_after_much_work() {
    let dir = tempfile::tempdir().unwrap();
    let former = start(dir.path()).await;
    put(&former, 1).await.unwrap();
    // Enough that a snapshot is on its way.
    churn(&former, 4_100).await;
    let clone = former.clone();
    let stopped = tokio::join!(former.stop(), clone.stop());
    assert!(stopped.0.is_ok() && stopped.1.is_ok(), "{stopped:?}");
    assert_eq!(open_below(dir.path()), Vec::<String>::new());
    let successor = start(dir.path()).await;
    refuses(&former).await;
    assert_eq!(successor.state().state, former.state().state);
    put(&successor, 2).await.expect("it leads itself");
    successor.stop().await.unwrap();
}

/// Longer than any node may be silent that has not announced a handover.
const LONG: Duration = Duration::from_secs(5);

fn is_lost(place: &Place, node: NodeId) -> bool {
    !place.node().state().nodes[&node].is_reachable()
}

/// Says that the node hands over, and ends its process; returns once the others have been without it for long. What it
/// returns is the socket that is to go from one process to the next.
async fn leave_for_long(places: &mut [Place], at: usize, others: [usize; 2]) -> TcpListener {
    let id = places[at].id;
    places[at].node().announce_handover().await.expect("every node knows the command");
    places[at].stop().await;
    let socket = TcpListener::bind(places[at].address).expect("the port is free");
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        for other in others {
            assert!(!is_lost(&places[other], id), "node {id} hands over, and is not lost");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_dies_while_it_hands_over_is_lost_at_once() {
    let mut places = cluster_of(3).await;
    let leads = leader(&places).await;
    for at in [(leads + 1) % 3, leads] {
        let (id, others) = (places[at].id, [(at + 1) % 3, (at + 2) % 3]);
        let (socket, begun) = (leave_for_long(&mut places, at, others).await, Instant::now());
        drop(socket);
        until("its loss is noticed", || others.iter().all(|at| is_lost(&places[*at], id))).await;
        println!("noticed after {:?}", begun.elapsed());
        places[at].start().await;
        places[at].report().await;
        until("its return is noticed", || others.iter().all(|at| !is_lost(&places[*at], id))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_hands_over_may_be_silent_and_is_lost_when_it_dies_afterwards() {
    let mut places = cluster_of(3).await;
    let leads = leader(&places).await;
    // A follower first, then the one that leads.
    for at in [(leads + 1) % 3, leads] {
        let (id, others) = (places[at].id, [(at + 1) % 3, (at + 2) % 3]);
        let socket = leave_for_long(&mut places, at, others).await;
        let spare = places[others[0]].node().may_lose(&Default::default());
        assert_eq!(spare.count, 0, "who is silent does not vote: {}", spare.text);
        drop(socket);
        places[at].start().await;
        places[at].report().await;
        let ended = |place: &Place| place.node().state().nodes[&id].hands_over_since.is_none();
        until("the handover is over", || others.iter().all(|at| ended(&places[*at]))).await;
        places[at].stop().await;
        until("its loss is noticed", || others.iter().all(|at| is_lost(&places[*at], id))).await;
        places[at].start().await;
        until("its return is noticed", || others.iter().all(|at| !is_lost(&places[*at], id))).await;
    }
}

/// Stops one node while everything that it handed out lives, and starts its successor.
async fn succeed(places: &mut [Place], at: usize) -> (Cluster, Cluster) {
    let (kept, peers) = (places[at].node().clone(), places[at].node().peers().unwrap());
    let (mut watching, other) = (kept.watch(), places[(at + 1) % 3].id);
    let under_way = tokio::spawn(write_until_refused(kept.clone(), 1000 * (1 + at as u64)));
    let begun = Instant::now();
    kept.stop().await.unwrap();
    let took = begun.elapsed();
    println!("node {} stopped in {took:?}", places[at].id);
    assert!(took < SOON, "{took:?}");
    assert_eq!(open_below(&places[at].dir()), Vec::<String>::new());
    let under_way = tokio::time::timeout(AT_ONCE, under_way).await.unwrap().unwrap();
    assert!(matches!(under_way, ProposeError::Stopped { .. }), "{under_way}");

    let former = places[at].succeed().await;
    refuses(&former).await;
    assert!(numbers(&former.state()).contains(&1));
    assert_eq!(former.status().members.len(), 3);
    assert!(peers.address(other).is_some());
    assert!(peers.server(&[b"t"]).alpn_protocols.contains(&b"t".to_vec()));
    watching.mark_unchanged();
    let told = tokio::time::timeout(AT_ONCE, watching.changed()).await;
    assert!(told.is_err(), "nothing changes, and the watch stays: {told:?}");
    former.stop().await.expect("stopping again is harmless");
    (former, places[at].node().clone())
}
