//! Nodes that are far from each other, or stall for a moment, still count as there.

use std::time::{Duration, Instant};

use crate::common::ground::{Place, found_behind, join_behind, leader, voters};
use crate::common::link::Link;
use crate::common::{numbers, put, until};

/// Half of a round trip between nodes.
const ONE_WAY: Duration = Duration::from_millis(250);
/// How long a node may stall.
const STALL: Duration = Duration::from_secs(1);
/// For how long nothing bad may happen.
const WATCHED: Duration = Duration::from_secs(6);

/// Three nodes, each reached by a link of its own.
async fn three() -> (Vec<Place>, Vec<Link>) {
    let (founder, link) = found_behind().await;
    let (mut places, mut links) = (vec![founder], vec![link]);
    while places.len() < 3 {
        let (place, link) = join_behind(&places[0]).await;
        places.push(place);
        links.push(link);
    }
    until("all of them vote", || places.iter().all(|place| voters(place) == 3)).await;
    (places, links)
}

/// Everybody counts as there, and everybody knows of the quorum, for a while.
async fn nobody_is_missed(places: &[Place], term: u64) {
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        for place in places.iter().filter(|place| place.is_running()) {
            let (status, after) = (place.status(), begun.elapsed());
            assert!(status.quorum, "node {} misses the quorum after {after:?}", place.id);
            assert_eq!(status.term, term, "they voted after {after:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn lost(places: &[Place], at: usize) -> Vec<temps_state::NodeId> {
    let state = places[at].node().state();
    state.nodes.values().filter(|node| !node.is_reachable()).map(|node| node.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn half_a_second_to_and_fro_is_no_reason_to_miss_anybody() {
    let (mut places, links) = three().await;
    let leads = leader(&places).await;
    for link in &links {
        link.delay(ONE_WAY);
    }
    nobody_is_missed(&places, places[leads].status().term).await;
    assert_eq!(lost(&places, leads), []);
    for (number, place) in (1..).zip(&places) {
        let begun = Instant::now();
        put(place.node(), number).await.expect("writes go on");
        let wrote = begun.elapsed();
        let begun = Instant::now();
        let seen = place.node().read_latest().await.expect("reads go on");
        println!("node {}: wrote in {wrote:?}, read in {:?}", place.id, begun.elapsed());
        assert!(numbers(&seen).contains(&number));
    }
    assert_eq!(lost(&places, leads), []);

    // Votes get through, too.
    places[leads].stop().await;
    let asked = (leads + 1) % 3;
    let begun = Instant::now();
    // A try whose outcome was not known may have succeeded.
    while put(places[asked].node(), 9).await.is_err()
        && !numbers(&places[asked].node().state()).contains(&9)
    {
        assert!(begun.elapsed() < crate::common::PATIENCE, "another node leads");
    }
    println!("far leader stopped -> next write after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stall_of_a_second_is_no_reason_to_miss_anybody() {
    let (mut places, links) = three().await;
    let leads = leader(&places).await;
    let (dead, needed) = ((leads + 1) % 3, (leads + 2) % 3);
    places[dead].stop().await;
    let gone = places[dead].id;
    until("the loss is noticed", || lost(&places, leads) == [gone]).await;
    let term = places[leads].status().term;
    let stalls = async {
        let begun = Instant::now();
        while begun.elapsed() < WATCHED {
            links[needed].delay(STALL);
            tokio::time::sleep(Duration::from_millis(50)).await;
            links[needed].delay(Duration::ZERO);
            tokio::time::sleep(STALL * 2).await;
        }
    };
    tokio::join!(nobody_is_missed(&places, term), stalls);
    assert_eq!(lost(&places, leads), [gone]);
    put(places[leads].node(), 1).await.expect("writes go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_dies_is_missed() {
    let (mut places, _links) = three().await;
    let leads = leader(&places).await;
    let (dies, stays) = ((leads + 1) % 3, (leads + 2) % 3);
    let begun = Instant::now();
    places[dies].stop().await;
    let gone = places[dies].id;
    until("a follower is missed", || lost(&places, leads) == [gone]).await;
    let follower = begun.elapsed();
    places[dies].start().await;
    until("it is back", || lost(&places, leads).is_empty()).await;

    let begun = Instant::now();
    places[leads].stop().await;
    let gone = places[leads].id;
    until("the leader is missed", || lost(&places, stays) == [gone]).await;
    println!("follower missed after {follower:?}, leader after {:?}", begun.elapsed());
}
