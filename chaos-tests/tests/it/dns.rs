//! A zone of the DNS, which the nodes answer for or a provider does: it leads to living edges, and gets the certificates
//! of its wildcards.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use temps_chaos_tests::{Authority, Client, Ground, NameServer, RECOVERY, Start, Visitor, until};
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

/// What `dig` says of a question to a server, line by line.
async fn dig(server: Ipv4Addr, question: &[&str]) -> Vec<String> {
    let mut dig = Command::new("dig");
    dig.args([&format!("@{server}"), "+tries=1", "+time=2"]).args(question);
    let said = dig.output().await.expect("deploy/test.sh installs dig");
    let lines = String::from_utf8_lossy(&said.stdout).into_owned();
    lines.lines().map(str::to_owned).collect()
}

/// Where a name leads, as a server says.
async fn led(server: Ipv4Addr, name: &str) -> BTreeSet<Ipv4Addr> {
    let lines = dig(server, &["+short", name, "A"]).await;
    lines.iter().filter_map(|line| line.parse().ok()).collect()
}

fn addresses(ground: &Ground, nodes: &[usize]) -> Vec<Ipv4Addr> {
    nodes.iter().map(|&number| ground.node(number).address).collect()
}

/// Returns when each of the servers answers that the names lead to these edges and no other.
async fn all_lead(servers: &[Ipv4Addr], names: &[&str], edges: &[Ipv4Addr], within: Duration) {
    let wanted: BTreeSet<Ipv4Addr> = edges.iter().copied().collect();
    for server in servers {
        for name in names {
            let what = format!("{server} leads {name} to the edges {edges:?}");
            let leads = async || led(*server, name).await == wanted;
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

/// Three machines that serve a site.
async fn site() -> (Ground, Client) {
    let ground = machines(NODES.len(), Start::Joined).await;
    ground.temps(&["deploy", SITE, "--project", PROJECT]).await.expect("the site is deployed");
    let client = ground.client().expect("the ground is logged in to");
    set(&client, |settings| {
        settings["acme"]["enabled"] = json!(false);
        settings["preview_domain"] = json!(PREVIEW);
    })
    .await;
    (ground, client)
}

/// Every edge serves names below both wildcards, each with the one certificate that it was given.
async fn wildcards_are_served(ground: &Ground, client: &Client, dns: Ipv4Addr) {
    let authority = Authority::asking(ground, dns, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    let authority = authority.expect("there is an authority");
    set(client, |settings| settings["acme"] = authority.settings()).await;
    let root = authority.root().await.expect("the authority has a root");
    let visitor = Visitor::trusting(&root).expect("it is a certificate");
    for node in NODES {
        for name in [HOST, BELOW] {
            let edge = ground.node(node).secure_edge();
            let served = async || visitor.visit(edge, name).await.is_ok_and(|it| it.status == 200);
            if until("it is served", RECOVERY, served).await.is_err() {
                let domain = client.get(node, &format!("/domains/{WILDCARD}")).await;
                panic!("edge {node} does not serve {name}: {domain:?}");
            }
        }
    }
    assert_eq!((authority.orders(), authority.certificates()), (2, 2));
}

/// A node dies and comes back, and these servers follow in time.
async fn a_dead_edge_is_not_listed(
    ground: &Ground,
    client: &Client,
    servers: impl Fn(&[usize]) -> Vec<Ipv4Addr>,
    names: &[&str],
) {
    let (victim, others) = (2, without(2));
    let (all, living) = (addresses(ground, &NODES), addresses(ground, &others));
    ground.node(victim).kill9().await.expect("it runs");
    let noticed = is_noticed(client, others[0], &ground.node(victim).name()).await;
    let unlisted = Instant::now();
    all_lead(&servers(&others), names, &living, UNLISTED_WITHIN).await;
    println!("noticed after {noticed:?}, unlisted {:?} later", unlisted.elapsed());
    ground.node(victim).start().await.expect("it starts");
    all_lead(&servers(&NODES), names, &all, RECOVERY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_lists_living_edges_and_gets_certificates_for_its_wildcards() {
    let (ground, client) = site().await;
    set(&client, |settings| settings["dns"]["zones"] = json!([ZONE])).await;
    // As if the zone were delegated: each machine's resolver is the node's own authority.
    for node in ground.nodes() {
        node.look_names_up_at(node.address).unwrap();
    }
    let servers = addresses(&ground, &NODES);
    for server in &servers {
        let known = async || dig(*server, &["+short", "+tcp", ZONE, "NS"]).await.len() == 3;
        until("every node is a server of the zone", RECOVERY, known).await.unwrap();
    }
    let added = ground.temps(&["domains", "add", WILDCARD, "--project", PROJECT]).await.unwrap();
    let line = format!("ns-1.{ZONE}. 3600 IN A {}", servers[0]);
    assert!(
        added.contains(&line) && added.contains(&format!("{ZONE}. 3600 IN NS ns-1.{ZONE}.")),
        "{added}"
    );

    let names = [ZONE, HOST, BELOW];
    all_lead(&servers, &names, &servers, RECOVERY).await;
    for server in &servers {
        let others = dig(*server, &["example.org", "A"]).await.join("\n");
        assert!(others.contains("status: REFUSED") && !others.contains("flags: qr aa"), "{others}");
        let nobody = dig(*server, &["nobody.example.test", "A"]).await.join("\n");
        assert!(nobody.contains("status: NXDOMAIN") && nobody.contains("IN\tSOA"), "{nobody}");
    }
    wildcards_are_served(&ground, &client, servers[0]).await;
    let living = |nodes: &[usize]| addresses(&ground, nodes);
    a_dead_edge_is_not_listed(&ground, &client, living, &names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_lists_living_edges_and_proves_wildcards() {
    let (ground, client) = site().await;
    let provider = NameServer::start(&ground, ZONE).await.expect("there is a name server");
    let credentials = provider.credentials().to_str().expect("a path of the ground");
    let add = ["dns", "providers", "add", "rfc2136", "--zone", ZONE, "--credentials", credentials];
    ground.temps(&add).await.expect("the provider takes the credentials");
    ground.temps(&["domains", "add", WILDCARD, "--project", PROJECT]).await.unwrap();
    let (server, names) = (ground.host(), [HOST, BELOW]);
    all_lead(&[server], &names, &addresses(&ground, &NODES), RECOVERY).await;
    wildcards_are_served(&ground, &client, server).await;
    a_dead_edge_is_not_listed(&ground, &client, |_| vec![server], &names).await;
}
