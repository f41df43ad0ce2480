//! The nodes answer for a zone of the DNS: it leads to living edges, and gets the certificates of its wildcards.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use temps_chaos_tests::{Authority, Client, Ground, RECOVERY, Start, Visitor, until};
use tokio::process::Command;

use crate::common::{machines, without};

/// What is served.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples/static-site");
const PROJECT: &str = "site";
/// What the nodes answer for.
const ZONE: &str = "example.test";
/// A part of it.
const PREVIEW: &str = "apps.example.test";
const HOST: &str = "site-production.apps.example.test";
/// A name of a team's own in it, and one of those that it stands for.
const WILDCARD: &str = "*.shop.example.test";
const BELOW: &str = "www.shop.example.test";
const NODES: [usize; 3] = [1, 2, 3];
/// How long a dead edge may be listed once somebody knows that it is dead.
const UNLISTED_WITHIN: Duration = Duration::from_secs(10);

/// What `dig` says of a question to one node, line by line.
async fn dig(ground: &Ground, node: usize, question: &[&str]) -> Vec<String> {
    let server = format!("@{}", ground.node(node).address);
    let mut dig = Command::new("dig");
    dig.args([server.as_str(), "+tries=1", "+time=2"]).args(question);
    let said = dig.output().await.expect("deploy/test.sh installs dig");
    let lines = String::from_utf8_lossy(&said.stdout).into_owned();
    lines.lines().map(str::to_owned).collect()
}

/// Where a name leads, as a node says.
async fn led(ground: &Ground, node: usize, name: &str) -> BTreeSet<Ipv4Addr> {
    let lines = dig(ground, node, &["+short", name, "A"]).await;
    lines.iter().filter_map(|line| line.parse().ok()).collect()
}

/// Returns when each of the nodes answers that the names lead to these edges and no other.
async fn all_lead(ground: &Ground, asked: &[usize], edges: &[usize], within: Duration) {
    let wanted: BTreeSet<Ipv4Addr> =
        edges.iter().map(|&number| ground.node(number).address).collect();
    for &node in asked {
        for name in [ZONE, HOST, BELOW] {
            let what = format!("node {node} leads {name} to the edges {edges:?}");
            let leads = async || led(ground, node, name).await == wanted;
            until(&what, within, leads).await.expect("the names lead there");
        }
    }
}

async fn set(client: &Client, change: impl Fn(&mut Value)) {
    let mut settings = client.get(1, "/settings").await.expect("node 1 answers").body;
    change(&mut settings);
    let set = client.put(1, "/settings", &settings).await.expect("node 1 answers");
    assert!(set.is_success(), "{}", set.body);
}

/// Returns when the nodes' leader counts a node as lost.
async fn is_noticed(client: &Client, asked: usize, lost: &str) -> Duration {
    until(&format!("{lost} is noticed"), RECOVERY, async || {
        let nodes = client.list(asked, "/nodes").await;
        nodes.iter().any(|node| node["name"] == lost && node["reachable"] == false)
    })
    .await
    .expect("it is missed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_lists_living_edges_and_gets_certificates_for_its_wildcards() {
    let ground = machines(NODES.len(), Start::Joined).await;
    ground.temps(&["deploy", SITE, "--project", PROJECT]).await.expect("the site is deployed");
    let client = ground.client().expect("the ground is logged in to");
    set(&client, |settings| {
        settings["acme"]["enabled"] = json!(false);
        settings["preview_domain"] = json!(PREVIEW);
        settings["dns"]["zones"] = json!([ZONE]);
    })
    .await;
    // As if the zone were delegated: each machine's resolver is the node's own authority.
    for node in ground.nodes() {
        node.look_names_up_at(node.address).unwrap();
    }
    for node in NODES {
        let servers = async || dig(&ground, node, &["+short", "+tcp", ZONE, "NS"]).await.len() == 3;
        until("every node is a server of the zone", RECOVERY, servers).await.unwrap();
    }
    let added = ground.temps(&["domains", "add", WILDCARD, "--project", PROJECT]).await.unwrap();
    let line = format!("ns-1.{ZONE}. 3600 IN A {}", ground.node(1).address);
    assert!(
        added.contains(&line) && added.contains(&format!("{ZONE}. 3600 IN NS ns-1.{ZONE}.")),
        "{added}"
    );

    all_lead(&ground, &NODES, &NODES, RECOVERY).await;
    for node in NODES {
        let others = dig(&ground, node, &["example.org", "A"]).await.join("\n");
        assert!(others.contains("status: REFUSED") && !others.contains("flags: qr aa"), "{others}");
        let nobody = dig(&ground, node, &["nobody.example.test", "A"]).await.join("\n");
        assert!(nobody.contains("status: NXDOMAIN") && nobody.contains("IN\tSOA"), "{nobody}");
    }

    let dns = ground.node(1).address;
    let authority = Authority::asking(&ground, dns, &[("PEBBLE_VA_NOSLEEP", "1")]).await.unwrap();
    set(&client, |settings| settings["acme"] = authority.settings()).await;
    let visitor = Visitor::trusting(&authority.root().await.unwrap()).unwrap();
    for node in NODES {
        for name in [HOST, BELOW] {
            let edge = ground.node(node).secure_edge();
            let served = async || visitor.visit(edge, name).await.is_ok_and(|it| it.status == 200);
            if until("it is served", RECOVERY, served).await.is_err() {
                let domain = client.get(node, &format!("/domains/{WILDCARD}")).await.unwrap();
                panic!("edge {node} does not serve {name}: {}", domain.body);
            }
        }
    }
    assert_eq!((authority.orders(), authority.certificates()), (2, 2));

    let (victim, others) = (2, without(2));
    ground.node(victim).kill9().await.unwrap();
    let noticed = is_noticed(&client, others[0], &ground.node(victim).name()).await;
    let unlisted = std::time::Instant::now();
    all_lead(&ground, &others, &others, UNLISTED_WITHIN).await;
    println!("noticed after {noticed:?}, unlisted {:?} later", unlisted.elapsed());
    ground.node(victim).start().await.unwrap();
    all_lead(&ground, &NODES, &NODES, RECOVERY).await;
}
