//! What is checked before a request goes on is checked at every edge, and what one edge let in the others let in.

use std::fs;

use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use temps_chaos_tests::{Ground, RECOVERY, Start, until};

use crate::common::machines;

/// What is served.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples/static-site");
const PROJECT: &str = "site";
const HOST: &str = "site-production.localho.st";
const NODES: [usize; 3] = [1, 2, 3];
/// Where a browser sends the password, and as what.
const PASSWORD: &str = "/?_temps=password";
const FORM: &str = "application/x-www-form-urlencoded";
/// What all edges together let through at once, of many more requests.
const RATE: &str = "30/1h";
const LET_THROUGH: usize = 30;

/// A site on three machines, and somebody who looks at it.
struct Site {
    ground: Ground,
    http: Client,
}

impl Site {
    async fn open() -> Self {
        let ground = machines(NODES.len(), Start::Joined).await;
        ground.temps(&["deploy", SITE, "--project", PROJECT]).await.expect("the site is deployed");
        // One that is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().redirect(Policy::none()).build();
        let http = http.expect("a client");
        let site = Self { ground, http };
        site.says_everywhere(200).await;
        site
    }

    async fn guard(&self, what: &[&str]) {
        let set = [&["guards", "set", "--project", PROJECT], what].concat();
        self.ground.temps(&set).await.expect("it is checked from now on");
    }

    /// Returns when every edge has what was changed before.
    async fn is_known_everywhere(&self) {
        let client = self.ground.client().expect("the ground is logged in to");
        let settings = client.get(1, "/settings").await.expect("node 1 answers").body;
        let set = client.put(1, "/settings?wait=edges", &settings).await.expect("node 1 answers");
        assert!(set.is_success(), "{}", set.body);
    }

    fn url(&self, node: usize, path: &str) -> String {
        format!("http://{}{path}", self.ground.node(node).edge())
    }

    async fn send(&self, request: RequestBuilder) -> Response {
        request.header("host", HOST).send().await.expect("the edge answers")
    }

    async fn status(&self, node: usize) -> u16 {
        self.send(self.http.get(self.url(node, "/"))).await.status().as_u16()
    }

    /// Returns when every edge answers so.
    async fn says_everywhere(&self, status: u16) {
        for node in NODES {
            let says = async || self.status(node).await == status;
            until(&format!("edge {node} says {status}"), RECOVERY, says).await.expect("it does");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edge_checks_and_believes_what_another_one_saw() {
    let site = Site::open().await;
    let here = format!("{}/32", site.ground.host());
    site.guard(&["--deny", &here]).await;
    site.says_everywhere(403).await;
    site.guard(&["--deny", "none"]).await;
    site.says_everywhere(200).await;

    let password = site.ground.folder().join("password");
    fs::write(&password, "correct horse").unwrap();
    site.guard(&["--password-file", password.to_str().unwrap()]).await;
    site.says_everywhere(403).await;
    let form = site.http.post(site.url(1, PASSWORD));
    let form = form.header(ACCEPT, "text/html").header("content-type", FORM);
    let entered = site.send(form.body("password=correct+horse&next=%2F")).await;
    assert_eq!(
        (entered.status().as_u16(), &entered.headers()[LOCATION]),
        (303, &"/".parse().unwrap())
    );
    let pass = entered.headers()[SET_COOKIE].to_str().unwrap();
    let pass = pass.split(';').next().unwrap();
    for node in NODES {
        let again = site.send(site.http.get(site.url(node, "/")).header(COOKIE, pass)).await;
        assert_eq!(again.status(), 200, "edge {node} knows who was let in at edge 1");
    }
    site.guard(&["--inherit", "password"]).await;
    site.says_everywhere(200).await;

    // Each edge has its share.
    site.guard(&["--rate-in-all", RATE]).await;
    site.is_known_everywhere().await;
    let mut statuses = Vec::new();
    for _ in 0..LET_THROUGH {
        for node in NODES {
            statuses.push(site.status(node).await);
        }
    }
    let let_through = statuses.iter().filter(|&&status| status == 200).count();
    let refused = statuses.iter().filter(|&&status| status == 429).count();
    assert_eq!(let_through + refused, statuses.len(), "{statuses:?}");
    let about = LET_THROUGH - NODES.len()..=LET_THROUGH + NODES.len();
    assert!(about.contains(&let_through), "{let_through} of {statuses:?}");
}
