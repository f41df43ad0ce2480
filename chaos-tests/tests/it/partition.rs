//! Links are cut: the larger part goes on, the smaller one says what it cannot do and serves apps still.

use std::time::{Duration, Instant};

use serde_json::json;
use temps_chaos_tests::{App, Client, Ground, RECOVERY, Traffic, Writes, until};

use tokio::time::sleep;

use crate::common::{APP, cluster, end_well, without};

/// When a node without quorum counts as mute; on an idle machine it says so within two seconds.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
/// When the larger part counts as leaderless.
const ELECTED_WITHIN: Duration = RECOVERY;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_refuses_and_the_others_go_on() {
    let ground = cluster(3).await;
    // A replica on every node, so that a lone node can serve the app.
    APP.deploy(&ground, 3).await.unwrap();
    let client = ground.client().unwrap();
    let lone = client.leader(1).await.expect("a cluster that has deployed has a leader");
    let others = without(lone);
    let traffic = Traffic::start(&ground.edges(&[1, 2, 3]), &APP.host(), 30);
    until("traffic flows", RECOVERY, async || traffic.done() > 60).await.unwrap();

    ground.partition(&[&[lone], &others]).await.unwrap();
    let writes = Writes::start(client.clone(), &others, "w");
    until("the others go on", ELECTED_WITHIN, async || writes.acknowledged() > 0).await.unwrap();

    let asked = Instant::now();
    let refused = client.post(lone, "/projects", &json!({ "name": "lost" }), None).await.unwrap();
    assert_eq!((refused.status, refused.code()), (503, "no_quorum"));
    assert!(asked.elapsed() < REFUSED_WITHIN, "{:?}", asked.elapsed());
    let stale =
        client.get(lone, &format!("/projects/{}?consistency=stale", APP.project())).await.unwrap();
    assert_eq!(stale.status, 200);
    let latest = client.get(lone, &format!("/projects/{}", APP.project())).await.unwrap();
    assert_eq!((latest.status, latest.code()), (503, "no_quorum"));

    ground.heal().await.unwrap();
    until("the node is back", RECOVERY, async || client.projects(lone).await.contains("w-0"))
        .await
        .unwrap();
    end_well(&client, traffic, writes).await;
    assert!(!client.projects(lone).await.contains("lost"));
}

/// Tied to the one node with this label.
const TIED: App = App::new("tied").in_zone("lone");

/// What an edge answers for an app.
async fn status(ground: &Ground, node: usize, app: App) -> u16 {
    let url = format!("http://{}/", ground.node(node).edge());
    let asked = reqwest::Client::new().get(url).header("host", app.host()).send().await;
    asked.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_replica_that_is_cut_off_runs_twice_unless_it_is_tied_to_its_node() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 1).await.unwrap();
    let client = ground.client().unwrap();
    let home = APP.healthy(&client, 1).await;
    let lone: usize = home[0].trim_start_matches('n').parse().unwrap();
    ground.temps(&["nodes", "label", &home[0], "zone=lone"]).await.unwrap();
    TIED.deploy(&ground, 1).await.unwrap();
    assert_eq!(TIED.healthy(&client, 1).await, home);

    let others = without(lone);
    ground.partition(&[&[lone], &others]).await.unwrap();
    until("the others have a replica of their own", RECOVERY, async || {
        APP.healthy(&client, others[0]).await.iter().any(|node| *node != home[0])
            && status(&ground, others[0], APP).await == 200
    })
    .await
    .unwrap();
    assert_eq!(status(&ground, lone, APP).await, 200, "each client sees one of two");
    assert_eq!(status(&ground, lone, TIED).await, 200);
    for other in &others {
        assert_eq!(status(&ground, *other, TIED).await, 503, "there is only one");
    }

    ground.heal().await.unwrap();
    until("there is one of each, and every edge has it", RECOVERY, async || {
        let one = APP.healthy(&client, lone).await.len() == 1;
        one && TIED.healthy(&client, others[0]).await == home
            && status(&ground, lone, APP).await == 200
            && status(&ground, others[0], TIED).await == 200
    })
    .await
    .unwrap();
}

/// The names of the nodes that are missed, as one of them knows.
async fn lost(client: &Client, node: usize) -> Vec<String> {
    let known = client.get(node, "/nodes?consistency=stale").await.expect("it answers").body;
    let items = known["items"].as_array().cloned().unwrap_or_default();
    let lost = items.iter().filter(|node| !node["lost_since"].is_null());
    lost.filter_map(|node| node["name"].as_str().map(str::to_owned)).collect()
}

/// How long it is watched that nothing moves: longer than any node is given to answer again.
const WATCHED: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn when_all_links_were_cut_nobody_is_missed_and_nothing_moves() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 3).await.unwrap();
    let client = ground.client().unwrap();
    let before = APP.healthy(&client, 1).await;
    assert_eq!(before.len(), 3);
    for cut in [3, 8] {
        ground.partition(&[&[1], &[2], &[3]]).await.unwrap();
        sleep(Duration::from_secs(cut)).await;
        ground.heal().await.unwrap();
        let healed = Instant::now();
        while healed.elapsed() < WATCHED {
            for node in [1, 2, 3] {
                let lost = lost(&client, node).await;
                assert_eq!(lost, [""; 0], "{:?} after a cut of {cut} s", healed.elapsed());
            }
            sleep(Duration::from_millis(100)).await;
        }
        until("the cluster is whole", RECOVERY, async || client.is_whole(1, 3).await)
            .await
            .unwrap();
        assert_eq!(APP.healthy(&client, 1).await, before, "after a cut of {cut} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_started_alone_serves_the_apps_whose_containers_it_has() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 3).await.unwrap();
    for node in ground.nodes() {
        node.kill9().await.unwrap();
    }
    ground.node(2).start().await.unwrap();
    APP.serves(&ground, 2).await.unwrap();
    let client = ground.client().unwrap();
    let stale =
        client.get(2, &format!("/projects/{}?consistency=stale", APP.project())).await.unwrap();
    assert_eq!(stale.status, 200);
    let shown = ground.temps(&["nodes", "list"]).await.expect("what it last knew is shown");
    assert!(["n1", "n2", "n3"].iter().all(|name| shown.contains(name)), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_comes_back_alone_after_a_power_cut_starts_and_serves_its_apps() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 3).await.unwrap();
    for node in ground.nodes() {
        node.power_off().await.unwrap();
    }
    ground.node(2).power_on().await.unwrap();
    APP.serves(&ground, 2).await.unwrap();
    for number in [1, 3] {
        ground.node(number).power_on().await.unwrap();
    }
    let client = ground.client().unwrap();
    until("the cluster is whole", RECOVERY, async || client.is_whole(1, 3).await).await.unwrap();
    for number in [1, 2, 3] {
        APP.serves(&ground, number).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_sends_to_another_is_lost_and_changes_go_on() {
    let ground = cluster(3).await;
    let client = ground.client().unwrap();
    let lone = client.leader(1).await.expect("a cluster that has logged a user in has a leader");
    let others = without(lone);
    let writes = Writes::start(client.clone(), &others, "w");
    // The leader hears both, but only one of them hears it.
    ground.cut(lone, others[0]).await.unwrap();
    let before = writes.acknowledged();
    until("changes go on", RECOVERY, async || writes.acknowledged() > before + 20).await.unwrap();
    ground.heal().await.unwrap();
    let written = writes.stop().await;
    client.know_all(&[1, 2, 3], &written.acknowledged).await.unwrap();
}
