//! A container engine that halts takes nothing with it: what runs stays where it is, and is served.

use std::time::{Duration, Instant};

use temps_chaos_tests::{Client, RECOVERY, Traffic, until};
use tokio::time::sleep;

use crate::common::{APP, cluster};

/// How long it is halted once that is known: longer than replicas that are down are waited for.
const HALTED: Duration = Duration::from_secs(20);
/// How long it is watched that nothing moves after that: longer than a node is avoided then.
const WATCHED: Duration = Duration::from_secs(35);

/// The replicas of the app with their nodes, and whether they serve, as one node sees them.
async fn replicas(client: &Client, node: usize) -> Vec<String> {
    let path = format!("/projects/{}/environments/production/replicas", APP.project());
    let answer = client.get(node, &path).await.expect("it answers").body;
    let row = |row: &serde_json::Value| {
        let [id, node, intent, observed] =
            [&row["id"], &row["node"], &row["intent"]["type"], &row["observed"]["type"]];
        format!("{id} on {node}: {intent}, {observed}")
    };
    answer.as_array().into_iter().flatten().map(row).collect()
}

/// Returns when a node has told that its engine does not answer, or does.
async fn told(client: &Client, node: usize, away: bool) -> Duration {
    let path = format!("/nodes/n{node}");
    let known = async || {
        let shown = client.get(node, &path).await;
        shown.is_ok_and(|shown| shown.body["engine_away_since"].is_null() != away)
    };
    until(&format!("it is told that engine {node} is away: {away}"), RECOVERY, known)
        .await
        .expect("it tells")
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_stay_and_serve_while_their_engine_is_halted_and_after() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 3).await.unwrap();
    let client = ground.client().unwrap();
    let before = replicas(&client, 1).await;
    let leader = client.leader(1).await.expect("a cluster that has deployed has a leader");
    let stays = async |what: &str, how_long: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < how_long {
            assert_eq!(replicas(&client, leader).await, before, "{what}");
            sleep(Duration::from_millis(200)).await;
        }
    };
    let traffic = Traffic::start(&ground.edges(&[1, 2, 3]), &APP.host(), 30);
    ground.node(leader).pause_engine().await.unwrap();
    println!("node {leader} told after {:?}", told(&client, leader, true).await);
    stays("while it is halted", HALTED).await;
    ground.node(leader).resume_engine().await.unwrap();
    println!("and again after {:?}", told(&client, leader, false).await);
    stays("once it is back, until it is trusted again", WATCHED).await;
    let report = traffic.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}
