//! The nodes get another program, one after the other, with clients on every edge throughout.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use temps_chaos_tests::{
    Client, Ground, RECOVERY, Traffic, Visitor, Writes, until, write_other_binary,
};

use crate::clients::{Count, Http3, Https, Place, Question, Regular, Socket, Streams};
use crate::common::{APP, cluster, end_well};

/// Requests a second at each edge.
const RATE: u32 = 20;
/// What the nodes answer for, the part of it that leads to apps, and who is asked in it.
const ZONE: &str = "example.test";
const PREVIEW: &str = "apps.example.test";
const NAME: &str = "app-production.apps.example.test";

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
    write_other_binary(&temps, &path, "the next one").expect("the disk has room");
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

/// Gives the apps' names a certificate of an authority's own, has the nodes answer for them and take HTTP/3; returns the
/// authority once every edge shows the certificate.
async fn speak_everything(ground: &Ground, client: &Client) -> CertifiedIssuer<'static, KeyPair> {
    let mut settings = client.get(1, "/settings").await.expect("node 1 answers").body;
    settings["acme"]["enabled"] = json!(false);
    settings["preview_domain"] = json!(PREVIEW);
    settings["dns"]["zones"] = json!([ZONE]);
    settings["edge"]["http3"] = json!(true);
    let set = client.put(1, "/settings", &settings).await.expect("node 1 answers");
    assert!(set.is_success(), "{}", set.body);

    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().expect("a key"))
        .expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new([format!("*.{PREVIEW}")]).expect("a name");
    let chain = own.signed_by(&key, &root).expect("a certificate").pem();
    let own = json!({ "chain": chain, "key": key.serialize_pem() });
    let added = client.post(1, "/certificates", &own, None).await.expect("node 1 answers");
    assert!(added.is_success(), "{}", added.body);
    let visitor = Visitor::trusting(&root.pem()).expect("a root");
    for node in ground.nodes() {
        let shown = async || visitor.visit(node.secure_edge(), NAME).await.is_ok_and(is_well);
        until("the certificate is shown", RECOVERY, shown).await.expect("it is");
    }
    root
}

fn is_well(visit: temps_chaos_tests::Visit) -> bool {
    visit.status == 200
}

/// How often clients were told to come again, or asked again by themselves.
#[derive(Debug, Default)]
struct Counts {
    sockets: Count,
    streams: Count,
    http3: Count,
    datagrams: Count,
}

/// Clients of every kind at one edge.
fn regulars(place: &Place, node: usize, counts: &Counts) -> Vec<Regular> {
    let at = |what: &str| format!("{what} at node {node}");
    let https = |http1| Https::new(place.clone(), http1);
    let (socket, streams) = (counts.sockets.clone(), counts.streams.clone());
    let (http3, datagrams) = (counts.http3.clone(), counts.datagrams.clone());
    vec![
        Regular::start(at("HTTP/1.1"), https(true)),
        Regular::start(at("HTTP/2"), https(false)),
        Regular::start(at("HTTP/2, long answers"), Streams::new(place.clone(), streams)),
        Regular::start(at("HTTP/3"), Http3::new(place.clone(), http3)),
        Regular::start(at("WebSocket"), Socket::new(place.clone(), socket)),
        Regular::start(at("DNS over UDP"), Question::over_udp(place.clone(), datagrams)),
        Regular::start(at("DNS over TCP"), Question::over_tcp(place.clone())),
    ]
}

/// Clients of every kind, without pause, at the edges of every node.
async fn visit_all(
    ground: &Ground,
    root: &CertificateDer<'static>,
    counts: &[Counts],
) -> Vec<Regular> {
    let mut everybody = Vec::new();
    for (node, counts) in ground.nodes().zip(counts) {
        let place = Place { edge: node.address, name: NAME.into(), root: root.clone() };
        everybody.extend(regulars(&place, node.number, counts));
    }
    for one in &mut everybody {
        one.goes_on().await;
    }
    everybody
}

/// Ends clients that go on once more; none of them was refused or cut off.
async fn all_went_well(mut everybody: Vec<Regular>) {
    for one in &mut everybody {
        one.goes_on().await;
    }
    let mut failures = Vec::new();
    for one in everybody {
        failures.extend(one.end().await);
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_gets_the_new_program_and_nobody_notices_whatever_they_speak() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 2).await.unwrap();
    let client = ground.client().unwrap();
    let before = all_run(&client).await;
    let counts: Vec<Counts> = ground.nodes().map(|_| Counts::default()).collect();
    let root = speak_everything(&ground, &client).await;
    let everybody = visit_all(&ground, root.der(), &counts).await;
    let writes = Writes::start(client.clone(), &[1, 2, 3], "w");

    let said = upgrade(&ground, &next_binary(&ground)).await.unwrap();
    let digest = said["binary"].as_str().unwrap().to_owned();
    let now = all_run(&client).await;
    assert!(now.iter().all(|runs| runs.as_ref() == Some(&digest)), "{before:?} {now:?}");
    assert_ne!(now, before);
    all_went_well(everybody).await;
    println!("{counts:?}");
    for Counts { sockets, streams, .. } in &counts {
        assert!(sockets.get() > 0, "whoever has a WebSocket is told to come again");
        assert!(streams.get() > 0, "whoever has a connection of HTTP/2 is told to leave it");
    }
    let written = writes.stop().await;
    println!("{} writes, gap {:?}", written.acknowledged.len(), written.longest_gap);
    client.know_all(&[1, 2, 3], &written.acknowledged).await.expect("nothing is lost");

    // What the machine starts from now on is the new program too.
    let visitor = Visitor::trusting(&root.pem()).unwrap();
    for node in ground.nodes() {
        node.kill9().await.unwrap();
        node.start().await.unwrap();
        let served = async || visitor.visit(node.secure_edge(), NAME).await.is_ok_and(is_well);
        until("the edge answers", RECOVERY, served).await.unwrap();
        until("the cluster is whole", RECOVERY, async || client.is_whole(1, 3).await)
            .await
            .unwrap();
    }
    assert_eq!(all_run(&client).await, now);
}
