//! The nodes get another program, one after the other, with clients on every edge throughout.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use temps_chaos_tests::{Client, Ground, RECOVERY, Traffic, Writes, until};

use crate::common::{APP, cluster, end_well};

/// Requests a second at each edge.
const RATE: u32 = 20;

/// The digest of the program that a node runs, as it says itself.
async fn runs(client: &Client, node: usize) -> Option<String> {
    let path = format!("/nodes/n{node}/upgrade?consistency=stale");
    let status = client.get(node, &path).await.ok()?;
    Some(status.body["binary"].as_str()?.to_owned())
}

async fn all_run(client: &Client) -> Vec<Option<String>> {
    vec![runs(client, 1).await, runs(client, 2).await, runs(client, 3).await]
}

/// The program that the nodes were started from, but another file by its digest.
fn next_binary(ground: &Ground) -> PathBuf {
    let path = ground.folder().join("next");
    let temps = ground.node(1).folder().join("temps");
    // What it says for debuggers is most of it, and would have to pass from node to node.
    let mut strip = Command::new("strip");
    strip.arg("--strip-debug").arg("-o").args([&path, &temps]);
    if !strip.status().is_ok_and(|status| status.success()) {
        fs::copy(&temps, &path).expect("every node has its program");
    }
    let mut next = File::options().append(true).open(&path).expect("the copy is there");
    next.write_all(b"the next one").expect("the disk has room");
    path
}

/// What says of itself that it is a temps binary, and cannot do anything else.
fn broken_binary(ground: &Ground) -> PathBuf {
    let temps = ground.node(1).folder().join("temps");
    let facts = Command::new(temps).args(["version", "--json"]).output();
    let facts = String::from_utf8_lossy(&facts.expect("it is a program").stdout).into_owned();
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'version --json' ] || {{ echo broken >&2; exit 1; }}\ncat <<'E'\n{}\nE\n",
        facts.trim()
    );
    let path = ground.folder().join("broken");
    fs::write(&path, script).expect("the disk has room");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("the file is ours");
    path
}

/// How many programs the nodes keep to run.
fn binaries(ground: &Ground) -> usize {
    let folders = ground.nodes().map(|node| node.folder().join("data/bin"));
    let entries = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir())).count()
}

async fn upgrade(ground: &Ground, binary: &Path) -> Result<Value, String> {
    let binary = binary.to_string_lossy();
    let said = ground.temps(&["upgrade", "--json", "--binary", &binary]).await;
    let said = said.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&said).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_gets_the_new_program_and_nobody_notices() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 2).await.unwrap();
    let client = ground.client().unwrap();
    let before = all_run(&client).await;
    let traffic = Traffic::start(&ground.edges(&[1, 2, 3]), &APP.host(), RATE);
    let writes = Writes::start(client.clone(), &[1, 2, 3], "w");

    let said = upgrade(&ground, &next_binary(&ground)).await.unwrap();
    let digest = said["binary"].as_str().unwrap().to_owned();
    let now = all_run(&client).await;
    assert!(now.iter().all(|runs| runs.as_ref() == Some(&digest)), "{before:?} {now:?}");
    assert_ne!(now, before);
    let done = traffic.done();
    until("traffic goes on", RECOVERY, async || traffic.done() > done + 200).await.unwrap();
    end_well(&client, traffic, writes).await;

    // What the machine starts from now on is the new program too.
    for node in ground.nodes() {
        node.kill9().await.unwrap();
        node.start().await.unwrap();
        APP.serves(&ground, node.number).await.unwrap();
        until("the cluster is whole", RECOVERY, async || client.is_whole(1, 3).await)
            .await
            .unwrap();
    }
    assert_eq!(all_run(&client).await, now);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_come_up_stops_the_roll_and_harms_nothing() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 2).await.unwrap();
    let client = ground.client().unwrap();
    let before = all_run(&client).await;
    let traffic = Traffic::start(&ground.edges(&[1, 2, 3]), &APP.host(), RATE);
    let writes = Writes::start(client.clone(), &[1, 2, 3], "w");

    let said = upgrade(&ground, &broken_binary(&ground)).await.unwrap_err();
    assert!(said.contains("went back"), "{said}");
    assert_eq!(binaries(&ground), 0, "what did not come up takes no room");
    until("the cluster is whole", RECOVERY, async || client.is_whole(1, 3).await).await.unwrap();
    assert_eq!(all_run(&client).await, before);
    let acknowledged = writes.acknowledged();
    until("changes go on", RECOVERY, async || writes.acknowledged() > acknowledged + 10)
        .await
        .unwrap();
    end_well(&client, traffic, writes).await;

    // What is no program of ours at all is refused before any node takes it.
    let text = ground.folder().join("text");
    fs::write(&text, "just text").unwrap();
    let said = upgrade(&ground, &text).await.unwrap_err();
    assert!(said.contains("not a temps binary"), "{said}");
    assert_eq!(all_run(&client).await, before);
}
