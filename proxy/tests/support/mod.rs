//! An edge on loopback, with a state that tests change by commands.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod authority;
pub mod chromium;
pub mod corpus;
pub mod frames;
#[path = "../../../providers/tests/it/held_port.rs"]
pub mod held_port;
pub mod http3;
pub mod mmdb;
pub mod pebble;
pub mod recorder;
pub mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use temps_proxy::{Edge, EdgeConfig, EdgeHandle, EdgeView};
use temps_raft::Applied;
use temps_state::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running edge.
pub struct TestEdge {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub data: TempDir,
    pub metrics: Registry,
    handle: Option<EdgeHandle>,
    state: watch::Sender<Arc<Applied>>,
    made: u64,
}

pub fn fresh<I: Id>(n: u64) -> I {
    I::from_parts(1_700_000_000_000, u128::from(n))
}

/// What the secrets of the state are sealed with.
pub fn cluster_key() -> ClusterKey {
    ClusterKey::new([3; 32])
}

fn at() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a time")
}

impl TestEdge {
    /// An edge with a node and nothing else in its state.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// An edge with changed settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_as(change, |edge| edge).await
    }

    /// An edge that knows more than its state.
    pub async fn start_as(
        change: impl FnOnce(&mut Settings),
        equip: impl FnOnce(Edge) -> Edge,
    ) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = EdgeConfig {
            http: any,
            https: Some(any),
            data_dir: data.path().into(),
            node: NodeId(1),
        };
        let edge = Edge::bind(config).expect("free ports").with_key(cluster_key());
        let (http, https) = (edge.http_addr(), edge.https_addr().expect("an address"));
        let empty = Arc::new(Applied::default());
        let (state, applied) = watch::channel(empty);
        let mut metrics = Registry::default();
        let handle = Some(equip(edge).start(applied, &mut metrics));
        let mut edge = Self { http, https, data, metrics, handle, state, made: 0 };
        let node = Node {
            architecture: "amd64".into(),
            capacity: Capacity { cpu_millis: 1_000, memory_mib: 1_024 },
            builds: true,
            ..Node::new(NodeId(1), "test", at())
        };
        edge.apply(Command::RecordNode { node }).await;
        let mut settings = Settings::default();
        change(&mut settings);
        edge.apply(Command::ChangeSettings { settings }).await;
        edge
    }

    fn handle(&self) -> &EdgeHandle {
        self.handle.as_ref().expect("not stopped")
    }

    pub fn port(&self) -> u16 {
        self.http.port()
    }

    pub fn state(&self) -> Arc<Applied> {
        self.state.borrow().clone()
    }

    /// Applies commands and waits until the edge has them all.
    pub async fn apply_all(&mut self, commands: Vec<Command>) {
        let mut state = self.state().state.clone();
        let mut index = self.state().index;
        for command in commands {
            index += 1;
            let entry = Entry {
                at: at(),
                actor: Actor::Node { id: NodeId(1) },
                from: None,
                request: None,
                condition: None,
                command,
            };
            state.apply(index, entry).expect("a good command");
        }
        self.show(index, state).await;
    }

    /// Changes the state by hand.
    pub async fn change(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self.state().state.clone();
        change(&mut state);
        self.show(self.state().index + 1, state).await;
    }

    async fn show(&mut self, index: u64, state: State) {
        self.state.send_replace(Arc::new(Applied { index, state, ..Applied::default() }));
        let mut applied = self.handle().applied();
        let reached = applied.wait_for(|applied| *applied >= index);
        timeout(PATIENCE, reached).await.expect("in time").expect("it runs");
    }

    /// What the edge shows of itself.
    pub fn view(&self) -> EdgeView {
        self.handle().view()
    }

    /// Has a domain lead to an environment.
    pub async fn domain(&mut self, name: &str, environment: EnvironmentId) {
        self.domain_with(name, environment, None, &[]).await;
    }

    /// Has a domain send its clients away, and paths of it lead to other environments.
    pub async fn domain_with(
        &mut self,
        name: &str,
        environment: EnvironmentId,
        redirect: Option<Redirect>,
        paths: &[(&str, EnvironmentId)],
    ) {
        let paths = paths.iter().map(|(path, to)| (path.parse().expect("a path"), *to)).collect();
        let name: DomainName = name.parse().expect("a name");
        let domain = Domain {
            proof: format!("proof of {name}"),
            name,
            environment,
            redirect,
            paths,
            verified_at: None,
            created_at: at(),
        };
        self.apply(Command::CreateDomain { domain }).await;
    }

    /// Has a certificate shown.
    pub async fn certificate(&mut self, certificate: Certificate) {
        self.apply(Command::AddCertificate { certificate }).await;
    }

    /// Sends a request without a body for any host, and gives the whole answer.
    pub async fn ask(&self, method: &str, host: &str, target: &str) -> String {
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.raw(head.as_bytes()).await
    }

    /// Has another node join.
    pub async fn join(&mut self, id: NodeId) {
        self.change(|state| {
            state.nodes.insert(id, Node::new(id, format!("node-{id}"), at()));
        })
        .await;
    }

    /// Loses a node, as its silence does.
    pub async fn lose(&mut self, id: NodeId) {
        self.apply(Command::LoseNode { id }).await;
    }

    /// Ends the drain of every replica that drains.
    pub async fn end_drains(&mut self) {
        let state = self.state();
        let draining = state.replicas.values().filter(|r| matches!(r.intent, Intent::Drain { .. }));
        let ends = draining.map(|r| Command::EndDrain { id: r.id }).collect();
        self.apply_all(ends).await;
    }

    /// The replicas of an environment's live deployment, in the order of their making.
    pub fn replicas(&self, environment: EnvironmentId) -> Vec<ReplicaId> {
        let state = self.state();
        let current = state.environments[&environment].current.expect("something is live");
        state.replicas_of(current).map(|replica| replica.id).collect()
    }

    pub async fn apply(&mut self, command: Command) {
        self.apply_all(vec![command]).await;
    }

    fn next<I: Id>(&mut self) -> I {
        self.made += 1;
        fresh(self.made)
    }

    /// Creates a project; its production environment has no deployment.
    pub async fn project(&mut self, name: &str) -> EnvironmentId {
        let id: ProjectId = self.next();
        let production = self.next();
        let key = cluster_key();
        let project = Project {
            id,
            name: name.parse().expect("a name"),
            created_at: at(),
            disabled: false,
            repository: None,
            webhook_secret: key.seal([0; 12], "place", "value").expect("short"),
            previews: true,
            deployments_made: 0,
            callers: Default::default(),
        };
        self.apply(Command::CreateProject { project, production }).await;
        production
    }

    /// Makes a deployment live, on these endpoints.
    pub async fn deploy(
        &mut self,
        environment: EnvironmentId,
        artifact: Artifact,
        endpoints: &[SocketAddr],
    ) -> DeploymentId {
        let places: Vec<_> = endpoints.iter().map(|endpoint| (NodeId(1), *endpoint)).collect();
        self.deploy_on(environment, artifact, &places).await
    }

    /// Makes a deployment live, on these endpoints of these nodes.
    pub async fn deploy_on(
        &mut self,
        environment: EnvironmentId,
        artifact: Artifact,
        endpoints: &[(NodeId, SocketAddr)],
    ) -> DeploymentId {
        let id: DeploymentId = self.next();
        let source = Source::Image { reference: "app".into() };
        let deployment = NewDeployment { id, environment, source, revision: None };
        let built = Built { artifact, config: run_config(), revision: None };
        let mut commands = vec![
            Command::CreateDeployment { deployment },
            Command::StartBuild { id, on: NodeId(1) },
            Command::FinishBuild { id, built },
        ];
        for (node, endpoint) in endpoints {
            let replica: ReplicaId = self.next();
            let observed = Observed::Healthy { endpoint: *endpoint };
            let places = vec![(replica, *node)];
            commands.push(Command::PlaceReplicas { deployment: id, places });
            commands.push(Command::ReportReplica { id: replica, observed });
        }
        commands.push(Command::SwitchRoute { id, drain_until: at() });
        self.apply_all(commands).await;
        id
    }

    /// A project whose production runs on these endpoints. Its host is `<name>-production.localho.st`.
    pub async fn app(&mut self, name: &str, endpoints: &[SocketAddr]) -> EnvironmentId {
        let environment = self.project(name).await;
        self.deploy(environment, image(), endpoints).await;
        environment
    }

    pub fn url(&self, app: &str, path: &str) -> String {
        format!("http://{}:{}{path}", host(app), self.port())
    }

    /// A client that finds every app of these at this edge.
    pub fn client(&self, apps: &[&str]) -> reqwest::Client {
        self.builder(apps).build().expect("a client")
    }

    pub fn builder(&self, apps: &[&str]) -> reqwest::ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        apps.iter().fold(builder, |b, app| b.resolve(&host(app), self.http))
    }

    /// Sends octets and reads until the edge closes the connection.
    pub async fn raw(&self, octets: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.http).await.expect("it listens");
        stream.write_all(octets).await.expect("it reads");
        read_to_end(&mut stream).await
    }

    pub async fn stop(mut self, within: Duration) {
        let handle = self.handle.take().expect("not stopped");
        handle.stop(within).await;
    }

    /// A counter or gauge as Prometheus sees it.
    pub fn metric(&self, line: &str) -> String {
        metric(&self.metrics, line)
    }
}

/// What a line of some metrics says.
pub fn metric(metrics: &Registry, line: &str) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, metrics).expect("text");
    let found = text.lines().find_map(|l| l.strip_prefix(line).map(|v| v.trim().to_owned()));
    found.unwrap_or_else(|| panic!("no metric {line} in\n{text}"))
}

pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut octets)).await.expect("it ends in time");
    String::from_utf8_lossy(&octets).into_owned()
}

/// An order that waits for an authority to look.
pub fn order(name: &DomainName, challenge: Challenge) -> Order {
    let attempt = Attempt {
        directory: "https://ca.example/directory".into(),
        key: cluster_key().seal([0; 12], &Attempt::place(name), "key").expect("short"),
        request: String::new(),
        url: None,
        challenges: vec![challenge],
    };
    Order { attempt: Some(attempt), ..Order::new(name.clone()) }
}

/// A header of an answer as it came over the wire.
pub fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The status of an answer as it came over the wire.
pub fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer}"))
}

/// The body of an answer as it came over the wire.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

pub fn host(app: &str) -> String {
    format!("{app}-production.localho.st")
}

pub fn image() -> Artifact {
    Artifact::Image { id: "sha256:00".into() }
}

fn run_config() -> RunConfig {
    RunConfig {
        preset: "image".into(),
        port: 3_000,
        port_assumed: false,
        command: None,
        health: HealthCheck::default(),
        resources: Resources::default(),
        node_labels: Default::default(),
        before_deploy: vec![],
        cron: vec![],
        drain_seconds: 0,
    }
}
