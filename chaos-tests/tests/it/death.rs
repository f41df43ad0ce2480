//! Nodes and machines die, one at a time: apps are served on, what was acknowledged is kept, replicas move.

use std::process::Command;
use std::time::Duration;

use temps_chaos_tests::{Ground, RECOVERY, Traffic, Writes, until};

use crate::common::{APP, cluster, end_well, without};

/// Requests a second at each living edge.
const RATE: u32 = 50;
/// When changes count as stuck after a leader died. The gap itself, 3 s at most on an idle machine, is printed.
const WRITE_GAP_MAX: Duration = Duration::from_secs(20);
/// When a dead machine's replicas count as lost. On an idle machine they run elsewhere within 13 s.
const REPLACED_WITHIN: Duration = Duration::from_secs(60);

/// Goes on until so many more requests are answered and changes acknowledged.
async fn more(traffic: &Traffic, writes: &Writes, requests: u64, changes: usize) {
    let (done, acknowledged) = (traffic.done(), writes.acknowledged());
    until("traffic and changes go on", RECOVERY, async || {
        traffic.done() >= done + requests && writes.acknowledged() >= acknowledged + changes
    })
    .await
    .expect("living nodes serve and change things");
}

/// Containers of the app that run on any machine.
fn containers(ground: &Ground) -> usize {
    let on = |folder: std::path::PathBuf| {
        let socket = format!("unix://{}/run/docker.sock", folder.display());
        let filter = "label=sh.temps.managed=true";
        let listed =
            Command::new("docker").args(["-H", &socket, "ps", "-q", "--filter", filter]).output();
        String::from_utf8_lossy(&listed.expect("docker is there").stdout).lines().count()
    };
    ground.nodes().map(|node| on(node.folder())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_dies_in_turn_and_no_request_fails() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 2).await.unwrap();
    let client = ground.client().unwrap();
    for victim in 1..=3 {
        let others = without(victim);
        let traffic = Traffic::start(&ground.edges(&others), &APP.host(), RATE);
        let writes = Writes::start(client.clone(), &others, &format!("w{victim}"));
        more(&traffic, &writes, 50, 5).await;
        ground.node(victim).kill9().await.unwrap();
        more(&traffic, &writes, 300, 20).await;
        ground.node(victim).start().await.unwrap();
        more(&traffic, &writes, 100, 5).await;
        println!("node {victim}:");
        let written = end_well(&client, traffic, writes).await;
        assert!(written.longest_gap <= WRITE_GAP_MAX, "{:?}", written.longest_gap);
        APP.serves(&ground, victim).await.unwrap();
        // One death at a time: what the last one broke is whole again before the next.
        until("both replicas are healthy", RECOVERY, async || {
            APP.healthy(&client, 1).await.len() == 2
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_a_dead_machine_move_and_its_own_are_stopped_when_it_returns() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 2).await.unwrap();
    let client = ground.client().unwrap();
    let victim = APP.healthy(&client, 1).await[0].clone();
    let number: usize = victim[1..].parse().unwrap();
    let others = without(number);
    let traffic = Traffic::start(&ground.edges(&others), &APP.host(), RATE);
    let writes = Writes::start(client.clone(), &others, "w");
    more(&traffic, &writes, 50, 5).await;

    ground.node(number).power_off().await.unwrap();
    let moved = until("both replicas run on living machines", REPLACED_WITHIN, async || {
        let on = APP.healthy(&client, others[0]).await;
        on.len() == 2 && !on.contains(&victim)
    });
    println!("replaced after {:?}", moved.await.unwrap());
    more(&traffic, &writes, 100, 5).await;

    ground.node(number).power_on().await.unwrap();
    until("two replicas run, and no third", RECOVERY, async || {
        APP.healthy(&client, number).await.len() == 2 && containers(&ground) == 2
    })
    .await
    .unwrap();
    end_well(&client, traffic, writes).await;
    APP.serves(&ground, number).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_machines_lose_power_at_once_and_everything_is_there_after() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 1).await.unwrap();
    let client = ground.client().unwrap();
    let writes = Writes::start(client.clone(), &[1, 2, 3], "w");
    until("changes are acknowledged", RECOVERY, async || writes.acknowledged() > 30).await.unwrap();
    for node in ground.nodes() {
        node.power_off().await.unwrap();
    }
    let written = writes.stop().await;
    for node in ground.nodes() {
        node.power_on().await.unwrap();
    }
    client.know_all(&[1, 2, 3], &written.acknowledged).await.unwrap();
    for node in ground.nodes() {
        APP.serves(&ground, node.number).await.unwrap();
    }
}
