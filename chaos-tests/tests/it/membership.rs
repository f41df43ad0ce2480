//! Nodes join, drain, leave and come back as new ones.

use std::time::{Duration, Instant};

use serde_json::Value;
use temps_chaos_tests::{Client, Ground, RECOVERY, Start, Traffic, Writes, until};
use tokio::time::sleep;

use crate::common::{APP, cluster, end_well, machines, token, without};

/// What a join that must fail says.
async fn join_error(ground: &Ground, node: usize, token: &str) -> String {
    let joined = ground.node(node).join(ground.node(1).peer(), token).await;
    joined.expect_err("nobody joins with this token").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_use_admits_one_of_two_and_strangers_stay_out() {
    let ground = machines(3, Start::First).await;
    let peer = ground.node(1).peer();
    let once = token(&ground).await;
    let (node2, node3) = (ground.node(2), ground.node(3));
    let (second, third) = tokio::join!(node2.join(peer, &once), node3.join(peer, &once));
    assert!(second.is_ok() != third.is_ok(), "{second:?} {third:?}");
    let loser = if second.is_ok() { 3 } else { 2 };

    let used = join_error(&ground, loser, &once).await;
    assert!(used.contains("used"), "{used}");
    let malformed = join_error(&ground, loser, "tj_nonsense").await;
    assert!(malformed.contains("token"), "{malformed}");
    ground.node(loser).join(peer, &token(&ground).await).await.unwrap();
    let client = ground.client().unwrap();
    until("all three are members", RECOVERY, async || client.names(loser).await.len() == 3)
        .await
        .unwrap();
    for node in ground.nodes() {
        println!("{} uses {:?}", node.name(), node.memory().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_drains_leaves_and_rejoins_under_a_new_id() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 3).await.unwrap();
    let client = ground.client().unwrap();
    let before = client.names(1).await;
    let traffic = Traffic::start(&ground.edges(&[1, 2]), &APP.host(), 30);

    ground.temps(&["nodes", "drain", "n3"]).await.unwrap();
    until("no replica is on the drained node", RECOVERY, async || {
        let on = APP.healthy(&client, 1).await;
        on.len() == 3 && !on.contains(&"n3".to_owned())
    })
    .await
    .unwrap();
    ground.temps(&["nodes", "undrain", "n3"]).await.unwrap();

    let node3 = ground.node(3);
    ground.temps(&["--url", &format!("http://{}", node3.api()), "leave"]).await.unwrap();
    until("two members are left", RECOVERY, async || client.names(1).await.len() == 2)
        .await
        .unwrap();
    node3.stop().await.unwrap();
    node3.wipe().unwrap();
    node3.join(ground.node(1).peer(), &token(&ground).await).await.unwrap();
    until("three members again", RECOVERY, async || client.names(3).await.len() == 3)
        .await
        .unwrap();
    let after = client.names(1).await;
    let id =
        |names: &[(Value, String)]| names.iter().find(|(_, name)| name == "n3").unwrap().0.as_u64();
    assert!(id(&after) > id(&before), "{before:?} {after:?}");
    APP.serves(&ground, 3).await.unwrap();
    let report = traffic.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}

/// What is seen of a node while it drains, by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sight {
    leads: bool,
    replicas: u64,
    drained: bool,
}

async fn look(client: &Client, asked: usize, node: usize) -> Option<Sight> {
    let answer = client.get(asked, &format!("/nodes/n{node}")).await.ok()?;
    let shown = answer.body;
    Some(Sight {
        leads: shown["leader"].as_bool()?,
        replicas: shown["replicas"].as_u64()?,
        drained: shown["drained"].as_bool()?,
    })
}

/// Looks at a node until it is drained; gives all that was seen, in order, without repetitions.
async fn watch_drain(client: &Client, asked: usize, node: usize) -> Vec<Sight> {
    let begun = Instant::now();
    let mut seen: Vec<Sight> = Vec::new();
    while begun.elapsed() < DRAINED_WITHIN && seen.last().is_none_or(|sight| !sight.drained) {
        if let Some(sight) = look(client, asked, node).await
            && seen.last() != Some(&sight)
        {
            println!("{:.1?} {sight:?}", begun.elapsed());
            seen.push(sight);
        }
        sleep(Duration::from_millis(50)).await;
    }
    seen
}

/// How long a drain may take. Requests on replicas that go have 5 s to end.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_drains_and_neither_requests_nor_changes_notice() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 3).await.unwrap();
    let client = ground.client().unwrap();
    let leader = client.leader(1).await.expect("a cluster that has deployed has a leader");
    let (name, others) = (ground.node(leader).name(), without(leader));
    let traffic = Traffic::start(&ground.edges(&[1, 2, 3]), &APP.host(), 50);
    let writes = Writes::start(client.clone(), &[1, 2, 3], "w");
    until("changes are made", RECOVERY, async || writes.acknowledged() > 10).await.unwrap();

    let drain = ["nodes", "drain", &name];
    let (said, seen) = tokio::join!(ground.temps(&drain), watch_drain(&client, others[0], leader));
    let said = said.expect("it drains");
    assert!(said.contains("is drained: it is safe to stop"), "{said}");
    assert!(seen.last().is_some_and(|it| it.drained && !it.leads && it.replicas == 0), "{seen:?}");
    let early = seen.iter().find(|it| !it.leads && it.replicas > 0);
    assert_eq!(early, None, "replicas move before the lead: {seen:?}");
    let on = APP.healthy(&client, leader).await;
    assert!(on.len() == 3 && !on.contains(&name), "{on:?}");
    assert_ne!(client.leader(others[0]).await, Some(leader));

    let acknowledged = writes.acknowledged();
    until("changes go on", RECOVERY, async || writes.acknowledged() > acknowledged + 10)
        .await
        .unwrap();
    ground.temps(&["nodes", "undrain", &name]).await.unwrap();
    until("the cluster is whole", RECOVERY, async || client.is_whole(others[0], 3).await)
        .await
        .unwrap();
    APP.serves(&ground, leader).await.unwrap();
    end_well(&client, traffic, writes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_make_one_cluster_that_may_lose_two() {
    let ground = cluster(5).await;
    let client = ground.client().unwrap();
    until("two nodes may be lost", RECOVERY, async || {
        client.get(5, "/status").await.is_ok_and(|status| status.body["may_lose"] == 2)
    })
    .await
    .unwrap();
    for dead in [1, 3] {
        ground.node(dead).kill9().await.unwrap();
    }
    let writes = temps_chaos_tests::Writes::start(client, &[2, 4, 5], "w");
    until("changes go on", RECOVERY, async || writes.acknowledged() > 10).await.unwrap();
    writes.stop().await;
}
