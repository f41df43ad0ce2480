//! A real cluster of one with a real edge, for certificates from a real authority.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use temps_dns::{Authority, AuthoritySockets, Lookup};
use temps_proxy::{
    DomainProbe, Edge, EdgeConfig, EdgeHandle, Names, keep_certificates, keep_previews,
    keep_renewal_advice,
};
use temps_raft::{Cluster, Config, Proposal};
use temps_state::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;
use crate::support::pebble::Pebble;

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

/// A DNS that leads every name here.
struct Here;

impl Names for Here {
    fn addresses(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::ready(Ok(vec![[127, 0, 0, 1].into()])))
    }

    fn texts(&self, _: String) -> BoxFuture<'static, io::Result<Vec<String>>> {
        Box::pin(std::future::ready(Ok(vec![])))
    }
}

/// A cluster of one node with its edge.
pub struct Ground {
    pub cluster: Cluster,
    edge: EdgeHandle,
    pub http: SocketAddr,
    pub https: SocketAddr,
    folder: TempDir,
}

impl Ground {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// In a folder.
    pub async fn start_in(folder: TempDir) -> Self {
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

    pub async fn change(&self, command: Command) -> Reply {
        let actor = Actor::Node { id: self.cluster.node_id() };
        self.cluster.propose(Proposal::new(actor, command)).await.unwrap().reply
    }

    /// Asks an authority from now on.
    pub async fn ask(&self, pebble: &Pebble) {
        self.ask_as(pebble.settings()).await;
    }

    /// Asks one as these settings say.
    pub async fn ask_as(&self, acme: AcmeSettings) {
        let settings = Settings { acme, ..self.cluster.state().settings() };
        self.change(Command::ChangeSettings { settings }).await;
    }

    /// The production environment of a new project.
    pub async fn project(&self, name: &str) -> EnvironmentId {
        let project = Project {
            id: temps_raft::fresh_id(),
            name: Name::slug(name).unwrap(),
            created_at: Timestamp::now(),
            disabled: false,
            repository: None,
            webhook_secret: self.cluster.seal("place", "value").unwrap(),
            previews: false,
            deployments_made: 0,
            callers: Default::default(),
        };
        let production = temps_raft::fresh_id();
        self.change(Command::CreateProject { project, production }).await;
        production
    }

    /// A domain of a new project, which was seen to be the cluster's.
    pub async fn domain(&self, name: &str) -> DomainName {
        let production = self.project(name).await;
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
    pub async fn fail_once(&self, name: &DomainName) {
        let until = Timestamp::now() + SignedDuration::from_secs(60);
        let (name, node) = (name.clone(), self.cluster.node_id());
        let lease = Command::LeaseOrder { name: name.clone(), node, until };
        let Reply::Lease { fence } = self.change(lease).await else { panic!("a lease") };
        let retry_at = Timestamp::now();
        let failure = OrderFailure { error: "before".into(), retry_at, over: true };
        self.change(Command::FailOrder { name, fence, failure, spent: vec![] }).await;
    }

    /// Every name leads here.
    pub fn keep(&self) -> (JoinHandle<()>, CancellationToken) {
        self.keep_by(Arc::new(Here))
    }

    /// Finds names at a port of loopback.
    pub fn keep_with(&self, dns: u16) -> (JoinHandle<()>, CancellationToken) {
        self.keep_by(self.names(dns))
    }

    fn keep_by(&self, names: Arc<dyn Names>) -> (JoinHandle<()>, CancellationToken) {
        let cancel = CancellationToken::new();
        let probe = DomainProbe::new(names, self.http.port()).unwrap();
        (tokio::spawn(keep_certificates(self.cluster.clone(), probe, cancel.clone())), cancel)
    }

    fn names(&self, dns: u16) -> Arc<dyn Names> {
        let path = self.folder.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 127.0.0.1\n").unwrap();
        Arc::new(Resolvers(Lookup::new(path, dns)))
    }

    /// Asks the authority when its certificates are to be renewed.
    pub fn heed_advice(&self, cancel: &CancellationToken) {
        tokio::spawn(keep_renewal_advice(self.cluster.clone(), cancel.clone()));
    }

    /// Has certificates asked for that clients wish for, where this DNS leads their names here.
    pub fn heed_wishes(&self, dns: u16, cancel: &CancellationToken) {
        let probe = DomainProbe::new(self.names(dns), self.http.port()).unwrap();
        let wishes = self.edge.view().wishes().unwrap();
        tokio::spawn(keep_previews(self.cluster.clone(), probe, wishes, cancel.clone()));
    }

    /// Answers for this zone on loopback; the preview domain is `apps` of it.
    pub async fn answer_for(&self, zone: &str) -> (Authority, SocketAddr) {
        let dns = DnsSettings { zones: vec![zone.parse().unwrap()] };
        let preview_domain = format!("apps.{zone}");
        let settings = Settings { dns, preview_domain, ..self.cluster.state().settings() };
        self.change(Command::ChangeSettings { settings }).await;
        let sockets = AuthoritySockets::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let at = sockets.udp.local_addr().unwrap();
        (Authority::start(sockets, self.cluster.watch()).unwrap(), at)
    }

    /// Waits until the state is as it should be.
    pub async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let mut changes = self.cluster.watch();
        let found = changes.wait_for(|state| is_so(state));
        let found = tokio::time::timeout(PATIENCE, found).await;
        let orders = &self.cluster.state().orders;
        found.unwrap_or_else(|_| panic!("{what}: {orders:?}")).unwrap();
    }

    /// Whether a client that trusts the authority and nobody else gets an answer over HTTPS.
    pub async fn is_served(&self, pebble: &Pebble, name: &str) -> bool {
        self.is_served_within(PATIENCE, pebble, name).await
    }

    /// The same of a client that gives up sooner.
    pub async fn is_served_within(&self, most: Duration, pebble: &Pebble, name: &str) -> bool {
        let client = reqwest::Client::builder()
            .tls_certs_only([pebble.root_of_certificates().await])
            .resolve(name, self.https)
            .build()
            .unwrap();
        let url = format!("https://{name}:{}/", self.https.port());
        let begun = Instant::now();
        while begun.elapsed() < most {
            if client.get(&url).send().await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    pub async fn stop(self) {
        self.edge.stop(Duration::ZERO).await;
        self.cluster.stop().await.unwrap();
    }
}

/// Whether the cluster got a certificate for a name.
pub fn has(state: &State, name: &DomainName) -> bool {
    state.issued_for(name).is_some()
}
