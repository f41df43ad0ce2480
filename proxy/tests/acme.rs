//! Certificates from a real authority, for a real cluster of one with a real edge.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use support::PATIENCE;
use support::pebble::Pebble;
use tempfile::TempDir;
use temps_dns::{Authority, AuthoritySockets, Lookup};
use temps_proxy::{Edge, EdgeConfig, EdgeHandle, Names, keep_certificates};
use temps_raft::{Cluster, Config, Proposal};
use temps_state::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const NAME: &str = "shop.example.test";

/// The DNS as resolvers of a file see it.
struct Resolvers(Lookup);

impl Names for Resolvers {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let lookup = self.0.clone();
        Box::pin(async move { lookup.addresses(&name).await })
    }

    fn texts(&self, name: String) -> BoxFuture<'static, io::Result<Vec<String>>> {
        let lookup = self.0.clone();
        Box::pin(async move { lookup.texts(&name).await })
    }
}

/// A cluster of one node with its edge.
struct Ground {
    cluster: Cluster,
    edge: EdgeHandle,
    http: SocketAddr,
    https: SocketAddr,
    folder: TempDir,
}

impl Ground {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().join("node"), peer: None };
        let cluster = Cluster::start(config).await.unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = EdgeConfig {
            http: any,
            https: Some(any),
            data_dir: folder.path().join("node"),
            node: cluster.node_id(),
        };
        let edge = Edge::bind(config).unwrap().with_key(cluster.key().clone());
        let (http, https) = (edge.http_addr(), edge.https_addr().unwrap());
        let edge = edge.start(cluster.watch(), &mut Registry::default());
        cluster.tell_edge(edge.applied());
        let ground = Self { cluster, edge, http, https, folder };
        let id = ground.cluster.node_id();
        let format = u32::from(FORMAT);
        let node = Node { format, ..Node::new(id, "test", Timestamp::now()) };
        ground.change(Command::RecordNode { node }).await;
        ground
    }

    async fn change(&self, command: Command) -> Reply {
        let actor = Actor::Node { id: self.cluster.node_id() };
        self.cluster.propose(Proposal::new(actor, command)).await.unwrap().reply
    }

    /// Asks an authority from now on.
    async fn ask(&self, pebble: &Pebble) {
        let settings = Settings { acme: pebble.settings(), ..self.cluster.state().settings() };
        self.change(Command::ChangeSettings { settings }).await;
    }

    /// A domain of a new project, which was seen to be the cluster's.
    async fn domain(&self, name: &str) -> DomainName {
        let project = Project {
            id: temps_raft::fresh_id(),
            name: Name::slug(name).unwrap(),
            created_at: Timestamp::now(),
            disabled: false,
            repository: None,
            webhook_secret: self.cluster.seal("place", "value").unwrap(),
            previews: false,
            deployments_made: 0,
        };
        let production = temps_raft::fresh_id();
        self.change(Command::CreateProject { project, production }).await;
        let name: DomainName = name.parse().unwrap();
        let domain = Domain {
            name: name.clone(),
            environment: production,
            redirect: None,
            paths: BTreeMap::new(),
            proof: "proof".into(),
            verified_at: None,
            created_at: Timestamp::now(),
        };
        self.change(Command::CreateDomain { domain }).await;
        self.change(Command::VerifyDomain { name: name.clone() }).await;
        name
    }

    /// Has an order failed before, so that the next try looks elsewhere.
    async fn fail_once(&self, name: &DomainName) {
        let until = Timestamp::now() + SignedDuration::from_secs(60);
        let (name, node) = (name.clone(), self.cluster.node_id());
        let lease = Command::LeaseOrder { name: name.clone(), node, until };
        let Reply::Lease { fence } = self.change(lease).await else { panic!("a lease") };
        let retry_at = Timestamp::now();
        let failure = OrderFailure { error: "before".into(), retry_at, over: true };
        self.change(Command::FailOrder { name, fence, failure, spent: vec![] }).await;
    }

    fn keep(&self) -> (JoinHandle<()>, CancellationToken) {
        // Nobody is asked for names.
        self.keep_with(0)
    }

    /// Finds names at a port of loopback.
    fn keep_with(&self, dns: u16) -> (JoinHandle<()>, CancellationToken) {
        let path = self.folder.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 127.0.0.1\n").unwrap();
        let names = Arc::new(Resolvers(Lookup::new(path, dns)));
        let cancel = CancellationToken::new();
        (tokio::spawn(keep_certificates(self.cluster.clone(), names, cancel.clone())), cancel)
    }

    /// Answers for this zone on loopback; the preview domain is `apps` of it.
    async fn answer_for(&self, zone: &str) -> (Authority, SocketAddr) {
        let dns = DnsSettings { zones: vec![zone.parse().unwrap()] };
        let preview_domain = format!("apps.{zone}");
        let settings = Settings { dns, preview_domain, ..self.cluster.state().settings() };
        self.change(Command::ChangeSettings { settings }).await;
        let sockets = AuthoritySockets::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let at = sockets.udp.local_addr().unwrap();
        (Authority::start(sockets, self.cluster.watch()).unwrap(), at)
    }

    /// Waits until the state is as it should be.
    async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let mut changes = self.cluster.watch();
        let found = changes.wait_for(|state| is_so(state));
        let found = tokio::time::timeout(PATIENCE, found).await;
        let orders = &self.cluster.state().orders;
        found.unwrap_or_else(|_| panic!("{what}: {orders:?}")).unwrap();
    }

    /// Whether a client that trusts the authority and nobody else gets an answer over HTTPS.
    async fn is_served(&self, pebble: &Pebble, name: &str) -> bool {
        let client = reqwest::Client::builder()
            .tls_certs_only([pebble.root_of_certificates().await])
            .resolve(name, self.https)
            .build()
            .unwrap();
        let url = format!("https://{name}:{}/", self.https.port());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            if client.get(&url).send().await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    async fn stop(self) {
        self.edge.stop(Duration::ZERO).await;
        self.cluster.stop().await.unwrap();
    }
}

fn has(state: &State, name: &DomainName) -> bool {
    state.issued_for(name).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_gets_its_certificate_by_one_order() {
    let ground = Ground::start().await;
    // Half of the requests are refused for their nonce, and must be sent again.
    let habits = [("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "50")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    ground.ask(&pebble).await;
    let (_, cancel) = ground.keep();
    let name = ground.domain(NAME).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, NAME).await);
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    let state = ground.cluster.state();
    assert!(state.orders.is_empty());
    let spent: Vec<Spending> = state.spending.values().map(|spent| spent.what).collect();
    assert_eq!(spent, [Spending::Order, Spending::Certificate]);
    // The account is kept: another domain needs no second one.
    let other = ground.domain("other.example.test").await;
    ground.until("it gets one, too", |state| has(state, &other)).await;
    assert_eq!(pebble.logged("There are now 1 accounts in memory"), 1);
    assert_eq!(pebble.logged("There are now 2 accounts in memory"), 0);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn port_443_proves_a_name_where_port_80_did_not() {
    let ground = Ground::start().await;
    // Nobody listens where it looks for HTTP.
    let pebble = Pebble::start(1, ground.https.port(), &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    ground.fail_once(&name).await;
    let (_, cancel) = ground.keep();
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, NAME).await);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_found_says_why_and_waits() {
    let ground = Ground::start().await;
    let pebble = Pebble::start(1, 1, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    let (_, cancel) = ground.keep();
    let failed = |state: &State| state.orders.get(&name).is_some_and(|order| order.failures == 1);
    ground.until("it fails", failed).await;
    let state = ground.cluster.state();
    let order = &state.orders[&name];
    let error = order.error.clone().unwrap();
    assert!(error.contains(NAME) && error.contains("refused"), "{error}");
    assert!(order.retry_at.unwrap() > Timestamp::now() + SignedDuration::from_secs(30));
    assert!(order.attempt.is_none() && order.lease.is_none());
    let spent: Vec<Spending> = state.spending.values().map(|spent| spent.what).collect();
    assert_eq!(spent, [Spending::Order, Spending::FailedValidation]);
    assert_eq!(pebble.orders(), 1, "it is not asked again at once");
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_gone_on_with_by_the_next_worker() {
    let ground = Ground::start().await;
    // The authority takes its time to look.
    let pebble =
        Pebble::start(ground.http.port(), ground.https.port(), &[("PEBBLE_VA_SLEEPTIME", "3")])
            .await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    let (worker, cancel) = ground.keep();
    let shown = |state: &State| {
        let attempt = state.orders.get(&name).and_then(|order| order.attempt.as_ref());
        attempt.is_some_and(|attempt| !attempt.challenges.is_empty())
    };
    ground.until("the challenge is shown", shown).await;
    let fence = ground.cluster.state().orders[&name].lease.unwrap().fence;
    cancel.cancel();
    worker.await.unwrap();
    assert!(!has(&ground.cluster.state(), &name));

    let (_, cancel) = ground.keep();
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, NAME).await);
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    assert!(ground.cluster.state().index > fence);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_keeps_its_right_while_it_works() {
    let ground = Ground::start().await;
    // Mostly slower than a lease is renewed.
    let pebble =
        Pebble::start(ground.http.port(), ground.https.port(), &[("PEBBLE_VA_SLEEPTIME", "12")])
            .await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    let (_, cancel) = ground.keep();
    let lease = |state: &State| state.orders.get(&name).and_then(|order| order.lease);
    ground.until("it is worked on", |state| lease(state).is_some()).await;
    let first = lease(&ground.cluster.state()).unwrap();
    let renewed = |state: &State| lease(state).is_some_and(|lease| lease.until > first.until);
    let renewed = |state: &State| has(state, &name) || renewed(state);
    ground.until("it is worked on for longer", renewed).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    assert!(ground.cluster.state().orders.is_empty());
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_forgot_the_account_gets_another() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let mut pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    ground.ask(&pebble).await;
    let (_, cancel) = ground.keep();
    let name = ground.domain(NAME).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    pebble.forget().await;
    let other = ground.domain("other.example.test").await;
    ground.until("it gets one, too", |state| has(state, &other)).await;
    assert!(ground.is_served(&pebble, "other.example.test").await);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_does_not_answer_is_named() {
    let ground = Ground::start().await;
    let acme = AcmeSettings { directory: "https://127.0.0.1:1/dir".into(), ..Default::default() };
    let settings = Settings { acme, ..ground.cluster.state().settings() };
    ground.change(Command::ChangeSettings { settings }).await;
    let name = ground.domain(NAME).await;
    let (_, cancel) = ground.keep();
    let failed = |state: &State| state.orders.get(&name).is_some_and(|order| order.failures == 1);
    ground.until("it fails", failed).await;
    let error = ground.cluster.state().orders[&name].error.clone().unwrap();
    assert!(error.contains("https://127.0.0.1:1/dir does not answer"), "{error}");
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wildcards_get_their_certificates_through_the_clusters_own_dns() {
    let ground = Ground::start().await;
    let (_authority, dns) = ground.answer_for("example.test").await;
    let pebble = Pebble::start_asking(dns, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    let wildcard = ground.domain("*.shop.example.test").await;
    let (_, cancel) = ground.keep_with(dns.port());
    let preview: DomainName = "*.apps.example.test".parse().unwrap();
    for (name, host) in
        [(&wildcard, "a.shop.example.test"), (&preview, "site-production.apps.example.test")]
    {
        ground.until("it gets one", |state| has(state, name)).await;
        assert!(ground.is_served(&pebble, host).await, "{host}");
    }
    assert_eq!((pebble.orders(), pebble.certificates()), (2, 2));
    assert!(ground.cluster.state().orders.is_empty());
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_authority_is_asked_before_the_dns_leads_to_the_cluster() {
    let ground = Ground::start().await;
    let (authority, dns) = ground.answer_for("example.test").await;
    let pebble = Pebble::start_asking(dns, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    drop(authority);
    let wildcard = ground.domain("*.shop.example.test").await;
    let (_, cancel) = ground.keep_with(dns.port());
    let error = |state: &State| state.orders.get(&wildcard).and_then(|order| order.error.clone());
    ground.until("it fails", |state| error(state).is_some()).await;
    let said = error(&ground.cluster.state()).unwrap();
    assert!(said.contains("_acme-challenge.shop.example.test"), "{said}");
    assert!(said.contains("delegate example.test to the nodes"), "{said}");
    assert_eq!(pebble.orders(), 0);
    cancel.cancel();
    ground.stop().await;
}
