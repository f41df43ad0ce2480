//! A domain gets one certificate from a real authority, and every edge of the cluster serves it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use temps_chaos_tests::{Authority, Client, Ground, RECOVERY, Start, Visitor, until};

use crate::common::machines;
use crate::tools;

/// What is served.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples/static-site");
const PROJECT: &str = "site";
/// What its page says.
const WORDS: &str = "Hello from a static site";
/// The name that leads to it.
const NAME: &str = "shop.example.test";
const NODES: [usize; 5] = [1, 2, 3, 4, 5];
/// An authority that looks at once.
const QUICK: (&str, &str) = ("PEBBLE_VA_NOSLEEP", "1");
/// One that looks three times, each time after so many seconds at most. That all of them are over before somebody can be
/// killed happens once in thousands of times.
const SLOW: (&str, &str) = ("PEBBLE_VA_SLEEPTIME", "20");

/// A cluster that serves a site, and a name that leads to all of its edges.
struct Shop {
    authority: Authority,
    client: Client,
    root: String,
    ground: Ground,
}

impl Shop {
    async fn open(habit: (&str, &str)) -> Self {
        let ground = machines(NODES.len(), Start::Joined).await;
        ground.temps(&["deploy", SITE, "--project", PROJECT]).await.expect("the site is deployed");
        let authority = Authority::start(&ground, &[habit]).await.expect("there is an authority");
        let client = ground.client().expect("the ground is logged in to");
        let root = authority.root().await.expect("the authority has a root");
        let shop = Self { authority, client, root, ground };
        shop.ask_the_authority().await;
        shop.lead_to(&NODES).await;
        shop
    }

    async fn ask_the_authority(&self) {
        let mut settings = self.client.get(1, "/settings").await.expect("node 1 answers").body;
        settings["acme"] = self.authority.settings();
        let set = self.client.put(1, "/settings", &settings).await.expect("node 1 answers");
        assert!(set.is_success(), "{}", set.body);
    }

    async fn lead_to(&self, nodes: &[usize]) {
        let addresses: Vec<Ipv4Addr> =
            nodes.iter().map(|&number| self.ground.node(number).address).collect();
        self.authority.lead(NAME, &addresses).await.expect("the DNS is told");
    }

    async fn add_domain(&self) {
        let domain = json!({ "name": NAME, "project": PROJECT });
        let added = self.client.post(1, "/domains", &domain, None).await.expect("node 1 answers");
        assert!(added.is_success(), "{}", added.body);
    }

    /// The domain, as this node sees it.
    async fn domain(&self, node: usize) -> Value {
        let asked = self.client.get(node, &format!("/domains/{NAME}")).await;
        asked.map(|answer| answer.body).unwrap_or_default()
    }

    /// When each of these edges showed a certificate that is right for the first time, the first edge first.
    async fn served_by(&self, nodes: &[usize]) -> Vec<(Duration, usize)> {
        let began = Instant::now();
        let visitor = Visitor::trusting(&self.root).expect("the authority has a root");
        let served = nodes.iter().map(async |&node| {
            let edge = self.ground.node(node).secure_edge();
            let shown = async || visitor.visit(edge, NAME).await.is_ok();
            if until("it is shown", RECOVERY, shown).await.is_err() {
                panic!("edge {node} does not serve {}", self.domain(node).await);
            }
            (began.elapsed(), node)
        });
        let mut served = join_all(served).await;
        served.sort();
        served
    }

    /// Asserts that these edges serve the site under its name, and that there was one order.
    async fn serves_by_one_order(&self, nodes: &[usize]) {
        let visitor = Visitor::trusting(&self.root).expect("the authority has a root");
        for &node in nodes {
            let edge = self.ground.node(node).secure_edge();
            let answers = async || visitor.visit(edge, NAME).await.is_ok_and(|it| it.status == 200);
            until(&format!("edge {node} serves the site"), RECOVERY, answers)
                .await
                .expect("it answers");
        }
        assert_eq!((self.authority.orders(), self.authority.certificates()), (1, 1));
    }
}

fn print(served: &[(Duration, usize)]) {
    let [(first, _), .., (last, _)] = served else { return };
    println!("the last edge serves {:?} after the first: {served:?}", *last - *first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_served_by_every_edge_with_one_certificate() {
    let shop = Shop::open(QUICK).await;
    let added = Instant::now();
    shop.add_domain().await;
    let active = async {
        let active = async || shop.domain(1).await["status"] == "active";
        until("the domain is active", RECOVERY, active).await.unwrap();
        added.elapsed()
    };
    let (active, served) = tokio::join!(active, shop.served_by(&NODES));
    println!("active {active:?} after it was added");
    print(&served);
    shop.serves_by_one_order(&NODES).await;

    // A session that began at one edge goes on at another.
    let (one, two) = (shop.ground.node(1).secure_edge(), shop.ground.node(2).secure_edge());
    until("all edges have the key of tickets", RECOVERY, async || {
        let visitor = Visitor::resuming(&shop.root).unwrap();
        let first = visitor.visit(one, NAME).await;
        let second = visitor.visit(two, NAME).await;
        first.is_ok_and(|it| !it.resumed) && second.is_ok_and(|it| it.resumed)
    })
    .await
    .unwrap();
    tools::try_everywhere(&shop.ground, &NODES, NAME, &shop.root, WORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_outlives_the_node_that_works_on_it() {
    let shop = Shop::open(SLOW).await;
    shop.add_domain().await;
    until("the authority is about to look", RECOVERY, async || shop.authority.looks() == 1)
        .await
        .unwrap();
    assert_eq!(shop.domain(1).await["order"]["under_way"], true);
    let worker = shop.client.leader(1).await.expect("somebody leads");
    let others: Vec<usize> = NODES.into_iter().filter(|&node| node != worker).collect();
    // An authority looks at one address only and believes what it sees there.
    shop.lead_to(&others).await;
    shop.ground.node(worker).kill9().await.unwrap();
    assert_eq!((shop.authority.orders(), shop.authority.certificates()), (1, 0));
    let killed = Instant::now();

    let served = shop.served_by(&others).await;
    println!("node {worker} was killed; served {:?} after that", killed.elapsed());
    print(&served);
    shop.serves_by_one_order(&others).await;

    shop.ground.node(worker).start().await.unwrap();
    shop.serves_by_one_order(&NODES).await;
}
