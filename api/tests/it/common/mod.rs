//! A real node's API on a free port: a cluster of one in a temporary folder, a builder, a scheduler without an engine.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use temps_api::{
    Api, ApiConfig, ApiHandle, DomainLook, DomainSeen, Duplex, Nodes, OtherNodes, Sites, ZoneLook,
    ensure_admin,
};
use temps_builder::{Builder, Engine};
use temps_raft::{Cluster, Config, PeerConfig, Proposal};
use temps_scheduler::{Scheduler, SchedulerConfig};
use temps_state::{Actor, Capacity, DelegationSight, DomainName, Node, NodeId};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const ADMIN: &str = "admin@example.com";
pub const PASSWORD: &str = "a-long-password";
const NO_ENGINE: &str = "/nonexistent/docker.sock";

pub struct TestNode {
    pub url: String,
    pub cluster: Cluster,
    pub builder: Builder,
    pub scheduler: Scheduler,
    pub edge: watch::Sender<u64>,
    /// What the node says of its static sites.
    pub sites: watch::Sender<Sites>,
    /// Cancelled when the node has left through its own API.
    pub left: CancellationToken,
    /// What the node sees of every domain.
    pub looks: Looks,
    /// What the node sees of how every zone is handed over.
    pub zone_looks: ZoneLooks,
    pub folder: tempfile::TempDir,
    /// An API key of the admin's.
    pub key: String,
    http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts that this is a problem document of that status and code, whole.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem
    }
}

impl TestNode {
    pub async fn start() -> Self {
        Self::with_engine(NO_ENGINE).await
    }

    pub async fn with_engine(socket: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let node = Self::on_folder(folder, socket, None, None).await;
        record_node(&node.cluster).await;
        node.with_admin().await
    }

    /// A node that others may join, with its way to them.
    pub async fn that_meets(wires: &Wires) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let node = Self::on_folder(folder, NO_ENGINE, Some(meeting()), Some(wires)).await;
        record_node(&node.cluster).await;
        node.with_admin().await
    }

    /// A second node of this one's cluster, with the same API key.
    pub async fn joined_by(&self, wires: &Wires) -> Self {
        let made = self.post("/api/nodes/tokens", json!({})).await.ok();
        let words: Vec<_> = made["command"].as_str().unwrap().split(' ').collect();
        assert_eq!((words[..2].join(" "), words[3]), ("temps join".into(), "--token"));
        let folder = tempfile::tempdir().unwrap();
        let listen = free_port();
        let joining = temps_raft::JoinConfig {
            data_dir: folder.path().into(),
            peer: words[2].into(),
            token: words[4].into(),
            facts: facts(NodeId::default(), true),
            listen,
            advertise: None,
        };
        temps_raft::join(joining, |_| {}).await.unwrap();
        let peer = PeerConfig { listen, advertise: None };
        let mut node = Self::on_folder(folder, NO_ENGINE, Some(peer), Some(wires)).await;
        node.key.clone_from(&self.key);
        let proposal = || {
            let node = facts(node.cluster.node_id(), true);
            Proposal::new(Actor::Node { id: node.id }, node.into())
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = node.cluster.propose(proposal()).await {
            assert!(Instant::now() < deadline, "{error}");
        }
        node
    }

    async fn on_folder(
        folder: tempfile::TempDir,
        socket: &str,
        peer: Option<PeerConfig>,
        wires: Option<&Wires>,
    ) -> Self {
        let data_dir = folder.path().to_path_buf();
        let config = Config { data_dir: data_dir.clone(), peer };
        let cluster = Cluster::start(config).await.unwrap();
        let engine = Engine::on_socket(socket);
        let mut builder = Builder::open(&data_dir, engine.clone()).unwrap();
        if let Some(wires) = wires {
            builder = builder.with_peers(Arc::new(OtherNodes::over(Arc::new(wires.clone()))));
        }
        let config =
            SchedulerConfig { data_dir: data_dir.clone(), api_url: "http://n".into(), edge: None };
        let scheduler = Scheduler::start(cluster.clone(), builder.clone(), engine, config);
        if wires.is_some() {
            // What several nodes do is told by hand.
            scheduler.stop().await;
        }
        let (edge, edge_applied) = watch::channel(0);
        cluster.tell_edge(edge_applied);
        let sites = watch::Sender::new(Sites::Here);
        let left = CancellationToken::new();
        let http = reqwest::Client::builder().build().unwrap();
        let (url, key) = (String::new(), String::new());
        let (looks, zone_looks) = (Looks::default(), ZoneLooks::default());
        let mut node = Self {
            url,
            cluster,
            builder,
            scheduler,
            edge,
            sites,
            left,
            looks,
            zone_looks,
            folder,
            key,
            http,
        };
        let nodes = wires.cloned().map(|wires| Arc::new(wires) as Arc<dyn Nodes>);
        let handle = node.api(nodes).handle();
        if let Some(wires) = wires {
            wires.0.lock().unwrap().insert(node.cluster.node_id(), handle.clone());
        }
        node.url = serve(handle).await;
        node
    }

    fn api(&self, nodes: Option<Arc<dyn Nodes>>) -> Api {
        Api {
            cluster: self.cluster.clone(),
            scheduler: self.scheduler.clone(),
            builder: self.builder.clone(),
            edge_applied: self.edge.subscribe(),
            sites: self.sites.subscribe(),
            metrics: Arc::default(),
            nodes,
            left: self.left.clone(),
            upgrades: None,
            domain_look: Some(Arc::new(self.looks.clone())),
            zone_look: Some(Arc::new(self.zone_looks.clone())),
            requests: None,
            config: ApiConfig {
                http_port: 8080,
                https_port: None,
                peer_address: self.cluster.peer_listen_addr(),
                data_dir: self.folder.path().to_path_buf(),
                countries: false,
            },
        }
    }

    /// The first admin, and a key of theirs.
    async fn with_admin(mut self) -> Self {
        ensure_admin(&self.cluster, ADMIN, Some(PASSWORD.into())).await.unwrap();
        let (cookie, csrf) = self.log_in(ADMIN, PASSWORD).await;
        let made = self.anonymous(Method::POST, "/api/api-keys").json(&json!({"name": "tests"}));
        let made = read(made.header("cookie", cookie).header("x-csrf-token", csrf)).await.ok();
        self.key = made["key"].as_str().unwrap().into();
        self
    }

    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).timeout(Duration::from_secs(60))
    }

    pub fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.key)
    }

    pub async fn get(&self, path: &str) -> Answer {
        read(self.admin(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        read(self.admin(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        read(self.admin(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        read(self.admin(Method::PATCH, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        read(self.admin(Method::DELETE, path)).await
    }

    /// Logs in; gives the cookie and the CSRF token.
    pub async fn log_in(&self, email: &str, password: &str) -> (String, String) {
        let body = json!({"email": email, "password": password});
        let answer = read(self.anonymous(Method::POST, "/api/auth/login").json(&body)).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_string();
        let csrf = answer.ok()["csrf_token"].as_str().unwrap().to_string();
        (cookie, csrf)
    }

    /// The same node's API once more, on another port, until it is told to stop.
    pub async fn serve_until(
        &self,
        stop: CancellationToken,
    ) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = self.api(None);
        (address, tokio::spawn(api.handle().serve(listener, stop)))
    }

    /// A new user's API key with all that the role permits.
    pub async fn user_key(&self, role: &str) -> String {
        let email = format!("{role}@example.com");
        let user = json!({"email": email, "role": role, "password": PASSWORD});
        self.post("/api/users", user).await.ok();
        let (cookie, csrf) = self.log_in(&email, PASSWORD).await;
        let made = self.anonymous(Method::POST, "/api/api-keys").json(&json!({"name": role}));
        let made = read(made.header("cookie", cookie).header("x-csrf-token", csrf)).await.ok();
        made["key"].as_str().unwrap().into()
    }

    /// Sends a source of that media type.
    pub async fn upload(&self, octets: Vec<u8>, media: &str) -> Answer {
        let request = self.admin(Method::POST, "/api/uploads");
        read(request.header("content-type", media).body(octets)).await
    }

    pub async fn create_project(&self, name: &str) -> Value {
        self.post("/api/projects", json!({"name": name})).await.ok()
    }

    /// Polls until `found` gives something.
    pub async fn eventually<T>(
        &self,
        what: &str,
        mut found: impl FnMut(&Cluster) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut states = self.cluster.watch();
        loop {
            if let Some(value) = found(&self.cluster) {
                return value;
            }
            assert!(Instant::now() < deadline, "{what} did not happen");
            let _ = tokio::time::timeout(Duration::from_secs(1), states.changed()).await;
        }
    }
}

pub async fn read(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    for name in ["x-request-id", "x-temps-node", "x-temps-applied-index"] {
        assert!(headers.contains_key(name), "{name} is missing");
    }
    Answer { status, headers, text: response.text().await.unwrap() }
}

async fn record_node(cluster: &Cluster) {
    record(cluster, cluster.node_id(), true).await;
}

/// Tells the cluster that its node answers for zones, at an address.
pub async fn record_name_server(cluster: &Cluster, address: SocketAddr) {
    let id = cluster.node_id();
    let node = Node { address: Some(address), dns: Some(address), ..facts(id, true) };
    cluster.propose(Proposal::new(Actor::Node { id }, node.into())).await.unwrap();
}

/// Tells the cluster of its node.
pub async fn record(cluster: &Cluster, id: NodeId, builds: bool) {
    let proposal = Proposal::new(Actor::Node { id }, facts(id, builds).into());
    cluster.propose(proposal).await.unwrap();
}

fn facts(id: NodeId, builds: bool) -> Node {
    let capacity = Capacity { cpu_millis: 2_000, memory_mib: 2_048 };
    let fresh = Node::new(id, format!("n{}", id.0), jiff::Timestamp::now());
    let (version, format) = (env!("CARGO_PKG_VERSION").into(), temps_state::FORMAT.into());
    Node { architecture: "amd64".into(), capacity, builds, version, format, ..fresh }
}

fn meeting() -> PeerConfig {
    PeerConfig { listen: "127.0.0.1:0".parse().unwrap(), advertise: None }
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn serve(api: ApiHandle) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(api.serve(listener, CancellationToken::new()));
    format!("http://{address}")
}

/// How nodes of one process reach each other: pipes between their APIs. Those that are cut are not there.
#[derive(Clone, Default)]
pub struct Wires(Arc<Mutex<BTreeMap<NodeId, ApiHandle>>>);

impl Wires {
    pub fn cut(&self, node: NodeId) {
        self.0.lock().unwrap().remove(&node);
    }
}

impl Nodes for Wires {
    fn open(&self, node: NodeId) -> BoxFuture<'_, std::io::Result<Box<dyn Duplex>>> {
        let there = self.0.lock().unwrap().get(&node).cloned();
        let opened = there.map(|api| {
            let (here, there) = tokio::io::duplex(1 << 10);
            tokio::spawn(async move { api.serve_peer(there, NodeId(0)).await });
            Box::new(here) as Box<dyn Duplex>
        });
        let gone = std::io::Error::from(std::io::ErrorKind::HostUnreachable);
        Box::pin(std::future::ready(opened.ok_or(gone)))
    }
}

/// What a node sees of every domain, as a test says.
#[derive(Clone, Default)]
pub struct Looks(Arc<Mutex<DomainSeen>>, Arc<Mutex<Option<Gate>>>);

/// Where a look waits: it says that it has come, and goes on when it is told to.
type Gate = (oneshot::Sender<()>, oneshot::Receiver<()>);

impl Looks {
    pub fn see(&self, seen: DomainSeen) {
        *self.0.lock().unwrap() = seen;
    }

    /// Has the next look wait: it says when it has come, and goes on when it is told to.
    pub fn stop_next(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((come, comes), (go, goes)) = (oneshot::channel(), oneshot::channel());
        *self.1.lock().unwrap() = Some((come, goes));
        (comes, go)
    }
}

impl DomainLook for Looks {
    fn look(&self, _: DomainName) -> BoxFuture<'_, DomainSeen> {
        let (seen, gate) = (self.0.lock().unwrap().clone(), self.1.lock().unwrap().take());
        Box::pin(async move {
            if let Some((come, goes)) = gate {
                let _ = come.send(());
                let _ = goes.await;
            }
            seen
        })
    }
}

/// What a test says that the node sees of how zones are handed over, and what it saw last.
#[derive(Clone, Default)]
pub struct ZoneLooks(Arc<Mutex<(Option<DelegationSight>, Option<DelegationSight>)>>);

impl ZoneLooks {
    pub fn see(&self, sight: DelegationSight) {
        self.0.lock().unwrap().0 = Some(sight);
    }
}

impl ZoneLook for ZoneLooks {
    fn look(&self, _: DomainName) -> BoxFuture<'_, DelegationSight> {
        let (now, last) = &mut *self.0.lock().unwrap();
        let sight = now.clone().expect("the test says what is seen");
        *last = Some(sight.clone());
        Box::pin(async { sight })
    }

    fn last(&self, _: &DomainName) -> Option<DelegationSight> {
        self.0.lock().unwrap().1.clone()
    }
}
