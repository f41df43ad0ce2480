//! Apps in real containers find and reach each other by their internal names.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use futures::StreamExt;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use temps_builder::{Builder, Engine};
use temps_dns::{Dns, DnsConfig};
use temps_proxy::{Edge, EdgeConfig, EdgeHandle, INNER_PORT, Inner};
use temps_raft::{Cluster, Config, Proposal, fresh_id};
use temps_scheduler::{ExecOutput, ExecRequest, Network, Scheduler, SchedulerConfig};
use temps_state::*;
use tokio::time::{Instant, sleep, timeout};

const SOCKET: &str = "/var/run/docker.sock";
/// What the apps are made of; `deploy/images` makes it where no registry is reached.
const IMAGE: &str = "python:3.12-slim";
const PATIENCE: Duration = Duration::from_secs(90);

/// A node with a network of its own in the machine's engine; leaves nothing behind.
struct Home {
    cluster: Cluster,
    scheduler: Scheduler,
    network: String,
    data: tempfile::TempDir,
    _dns: Dns,
    _edge: EdgeHandle,
}

impl Drop for Home {
    fn drop(&mut self) {
        let stop = self.scheduler.stop();
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(stop));
        let label = format!("label=sh.temps.data-dir={}", self.data.path().display());
        for id in docker(&["ps", "-aq", "--filter", &label]).lines() {
            docker(&["rm", "-fv", id]);
        }
        docker(&["network", "rm", &self.network]);
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Process::new("docker").args(arguments).output().expect("docker is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Home {
    /// `before` sees the node's address on the network before the resolver does.
    async fn new(name: &str, before: impl FnOnce(Ipv4Addr)) -> Self {
        let filter = tracing_subscriber::EnvFilter::new("info");
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let data = tempfile::tempdir().expect("a folder");
        let name = format!("temps-{name}-{}", std::process::id());
        let data_dir = data.path().to_owned();
        let cluster = Cluster::start(Config { data_dir: data_dir.clone(), peer: None });
        let cluster = cluster.await.expect("it starts");
        let engine = Engine::on_socket(SOCKET);
        let network = Network::named(&name);
        let mut gateway = network.follow(engine.clone());
        let found = timeout(PATIENCE, gateway.wait_for(Option::is_some)).await.expect("in time");
        before(found.expect("it runs").expect("it is there").addr());
        let dns = Dns::start(resolver(data.path()), cluster.watch(), gateway.clone());
        let builder = Builder::open(&data_dir, engine.clone()).expect("it opens");
        let network = network.with_nameservers(dns.nameservers());
        let api_url = "http://api.test".into();
        let config = SchedulerConfig { data_dir: data_dir.clone(), api_url, edge: None };
        let scheduler = Scheduler::start_on(network, cluster.clone(), builder, engine, config);
        let http = SocketAddr::from(([127, 0, 0, 1], 0));
        let node = cluster.node_id();
        let inner = Inner { gateway, residents: scheduler.residents(), port: INNER_PORT };
        let edge = Edge::bind(EdgeConfig { http, https: None, data_dir, node });
        let edge = edge.expect("a free port").with_inner(inner);
        let edge = edge.with_local_endpoints(scheduler.local_endpoints());
        let edge = edge.start(cluster.watch(), &mut Registry::default());
        let home = Self { cluster, scheduler, network: name, data, _dns: dns, _edge: edge };
        let node = Node {
            architecture: "amd64".into(),
            capacity: Capacity { cpu_millis: 2_000, memory_mib: 4_096 },
            format: FORMAT.into(),
            ..Node::new(home.cluster.node_id(), "node-1", Timestamp::now())
        };
        home.propose(Command::RecordNode { node }).await;
        home
    }

    async fn propose(&self, command: Command) {
        let actor = Actor::Node { id: self.cluster.node_id() };
        self.cluster.propose(Proposal::new(actor, command)).await.expect("it takes effect");
    }

    async fn project(&self, name: &str) -> (ProjectId, EnvironmentId) {
        let project = Project {
            id: fresh_id(),
            name: name.parse().expect("a name"),
            created_at: Timestamp::now(),
            disabled: false,
            repository: None,
            webhook_secret: self.cluster.seal("p", "v").expect("it is short"),
            previews: true,
            deployments_made: 0,
            callers: Default::default(),
        };
        let (id, production) = (project.id, fresh_id());
        self.propose(Command::CreateProject { project, production }).await;
        (id, production)
    }

    /// Makes an app live that answers with its files; runs `before_deploy` first.
    async fn deploy(&self, environment: EnvironmentId, before_deploy: &[String]) -> ReplicaId {
        let id: DeploymentId = fresh_id();
        let source = Source::Image { reference: IMAGE.into() };
        let deployment = NewDeployment { id, environment, source, revision: None };
        self.propose(Command::CreateDeployment { deployment }).await;
        let image = docker(&["inspect", "--format", "{{.Id}}", IMAGE]);
        assert!(!image.is_empty(), "the machine's engine has no {IMAGE}");
        let command = ["python3", "-m", "http.server", "3000"].map(String::from);
        let config = RunConfig {
            preset: "image".into(),
            port: 3_000,
            port_assumed: false,
            command: Some(command.into()),
            health: HealthCheck { interval_ms: 200, ..HealthCheck::default() },
            resources: Resources { memory_mib: 64, ..Resources::default() },
            node_labels: Default::default(),
            before_deploy: before_deploy.into(),
            cron: vec![],
            drain_seconds: 1,
        };
        let built = Built { artifact: Artifact::Image { id: image }, config, revision: None };
        self.propose(Command::FinishBuild { id, built }).await;
        let began = Instant::now();
        loop {
            let state = self.cluster.state();
            match &state.deployments[&id].phase {
                Phase::Live => break,
                Phase::Failed { failure } => panic!("{failure:?}"),
                phase => assert!(began.elapsed() < PATIENCE, "{phase:?}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.cluster.state().replicas_of(id).next().expect("a replica").id
    }

    /// What a Python program prints in a replica.
    async fn python(&self, replica: ReplicaId, program: &str) -> String {
        let command = ["python3", "-c", program].map(String::from).into();
        let request = ExecRequest { command, tty: false };
        let mut session = self.scheduler.exec(replica, request).await.expect("it runs");
        session.input = tokio::sync::mpsc::channel(1).0;
        let mut text = String::new();
        while let Some(ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes)) =
            session.output.next().await
        {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        text.trim().to_owned()
    }

    fn inspect(&self, replica: ReplicaId, format: &str) -> String {
        let label = format!("label=sh.temps.replica={replica}");
        let id = docker(&["ps", "-aq", "--filter", &label]);
        docker(&["inspect", "--format", format, &id])
    }
}

/// A resolver whose machine asks one on loopback, as with a stub: there, every name leads to 192.0.2.9.
fn resolver(folder: &Path) -> DnsConfig {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let upstream_port = socket.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut octets = [0; 4_096];
        while let Ok((length, client)) = socket.recv_from(&mut octets) {
            let mut answer = Message::from_vec(&octets[..length]).expect("a query").into_response();
            let name = answer.queries[0].name().clone();
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 9))));
            let _ = socket.send_to(&answer.to_vec().expect("octets"), client);
        }
    });
    let resolv_conf = folder.join("resolv.conf");
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n").expect("it is written");
    DnsConfig { resolv_conf, upstream_port, ..DnsConfig::default() }
}

/// Prints the status that an app answers with.
fn get(host: &str) -> String {
    format!(
        "import urllib.request as r, urllib.error as e\n\
         try: print(r.urlopen('http://{host}/', timeout=20).status)\n\
         except e.HTTPError as error: print(error.code)"
    )
}

/// Prints the address of a name.
fn lookup(host: &str) -> String {
    format!(
        "import socket\n\
         try: print(socket.gethostbyname('{host}'))\n\
         except socket.gaierror as error: print(error.errno == socket.EAI_NONAME)"
    )
}

async fn expect(what: &str, said: impl Future<Output = String>, expected: &str) {
    assert_eq!(timeout(PATIENCE, said).await.expect("in time"), expected, "{what}");
}

/// Asks until an app answers with this status: the table of routes follows the state.
async fn until_answered(home: &Home, from: ReplicaId, host: &str, status: &str) {
    while home.python(from, &get(host)).await != status {}
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_of_one_project_reach_each_other_and_no_others() {
    let home = Home::new("inner", |_| {}).await;
    let (shop, production) = home.project("shop").await;
    let (other, blog) = home.project("blog").await;
    let next: EnvironmentId = fresh_id();
    let branch = "next".into();
    home.propose(Command::CreateEnvironment { id: next, project: shop, branch }).await;
    home.deploy(next, &[]).await;
    let ask = get("shop-next.temps.internal").replace("print(error.code)", "raise");
    let production = home.deploy(production, &[format!("python3 -c \"{ask}\"")]).await;
    let blog = home.deploy(blog, &[]).await;

    let own = home.inspect(production, "{{index .HostConfig.Dns 0}}");
    expect("name", home.python(production, &lookup("shop-next.temps.internal")), &own).await;
    for (from, host, status) in [
        (production, "shop-next.temps.internal", "200"),
        (production, "shop-production.temps.internal", "200"),
        (production, "blog-production.temps.internal", "403"),
        (blog, "blog-production.temps.internal", "200"),
        (blog, "shop-next.temps.internal", "403"),
    ] {
        expect(host, home.python(from, &get(host)), status).await;
    }
    let allow = Command::AllowCaller { id: shop, caller: other };
    home.propose(allow).await;
    let allowed = until_answered(&home, blog, "shop-next.temps.internal", "200");
    timeout(PATIENCE, allowed).await.expect("it is let in");
    expect("back", home.python(production, &get("blog-production.temps.internal")), "403").await;
    for (host, found) in [
        ("example.test", "192.0.2.9"),
        ("shop-nothing.temps.internal", "True"),
        ("a.shop-next.temps.internal", "True"),
    ] {
        expect(host, home.python(production, &lookup(host)), found).await;
    }
    let variable = "import os; print(os.environ['TEMPS_INTERNAL_DOMAIN'])";
    expect("variable", home.python(production, variable), "temps.internal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_port_containers_keep_the_resolver_of_their_engine() {
    let mut taken = None;
    let home = Home::new("taken", |gateway| {
        taken = Some(UdpSocket::bind((gateway, 53)).expect("it is free"));
    })
    .await;
    let (_, production) = home.project("shop").await;
    let replica = home.deploy(production, &[]).await;
    assert_eq!(home.inspect(replica, "{{.HostConfig.Dns}}"), "[]");
}
