//! A node with a real cluster of one and the machine's engine, in a folder of its own; leaves nothing behind.

use std::io::Write;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use temps_builder::{Builder, Engine};
use temps_raft::{Cluster, Config, Proposal, fresh_id};
use temps_scheduler::{Scheduler, SchedulerConfig};
use temps_state::*;
use tokio::time::{Instant, sleep};

/// How long a test waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(60);
pub const SOCKET: &str = "/var/run/docker.sock";

pub struct Home {
    pub cluster: Cluster,
    pub scheduler: Scheduler,
    pub environment: EnvironmentId,
    pub image: String,
    builder: Builder,
    engine: Engine,
    socket: String,
    folder: tempfile::TempDir,
}

impl Drop for Home {
    fn drop(&mut self) {
        let stop = self.scheduler.stop();
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(stop));
        let label = format!("label=sh.temps.data-dir={}", self.path());
        let ids = docker_on(&self.socket, &["ps", "-aq", "--filter", &label]);
        for id in ids.lines() {
            docker_on(&self.socket, &["rm", "-fv", id]);
        }
        docker_on(&self.socket, &["rmi", "-f", &tag(self.folder.path())]);
    }
}

/// Runs Docker's own client against the machine's engine; its output.
pub fn docker(arguments: &[&str]) -> String {
    docker_on(SOCKET, arguments)
}

fn docker_on(socket: &str, arguments: &[&str]) -> String {
    let output = client(socket).args(arguments).output().expect("docker is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn client(socket: &str) -> Process {
    let mut client = Process::new("docker");
    client.args(["-H", &format!("unix://{socket}")]);
    client
}

/// Where a test's image is made when its engine is away.
fn engine_of(socket: &str) -> &str {
    if Path::new(socket).exists() { socket } else { SOCKET }
}

fn tag(folder: &Path) -> String {
    let name = folder.file_name().expect("a folder has a name").to_string_lossy().to_lowercase();
    format!("temps-test{}:latest", name.replace('.', "-"))
}

/// An image with nothing but the test app, made for this test.
fn make_image(socket: &str, folder: &Path) -> String {
    let app = folder.join("app");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/app/app.rs");
    let built = Process::new("rustc")
        .args(["--edition=2024", "-Ctarget-feature=+crt-static", source, "-o"])
        .arg(&app)
        .status();
    assert!(built.expect("rustc is installed").success());
    let tar = Process::new("tar").arg("-C").arg(folder).args(["-c", "app"]).output();
    let mut import = client(socket)
        .args(["import", "--change", "ENTRYPOINT [\"/app\"]", "-", &tag(folder)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker is installed");
    let bytes = tar.expect("tar is installed").stdout;
    import.stdin.take().expect("it is piped").write_all(&bytes).expect("docker reads");
    let output = import.wait_with_output().expect("docker ends");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Home {
    pub async fn new(socket: &str) -> Self {
        let filter = tracing_subscriber::EnvFilter::new("temps_scheduler=debug");
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let folder = tempfile::tempdir().expect("a folder");
        let image = make_image(engine_of(socket), folder.path());
        let data_dir = folder.path().join("data");
        let cluster = Cluster::start(Config { data_dir: data_dir.clone(), peer: None })
            .await
            .expect("it starts");
        let engine = Engine::on_socket(socket);
        let builder = Builder::open(&data_dir, engine.clone()).expect("it opens");
        let environment = found(&cluster).await;
        let scheduler = start(&cluster, &builder, &engine, &data_dir);
        Self {
            cluster,
            scheduler,
            environment,
            image,
            builder,
            engine,
            socket: engine_of(socket).into(),
            folder,
        }
    }

    fn path(&self) -> String {
        self.folder.path().join("data").to_string_lossy().into_owned()
    }

    /// Ends the scheduler and starts it again, as a restart of the node does.
    pub async fn restart(&mut self) {
        self.restart_after(|| {}).await;
    }

    /// As [`restart`](Self::restart), with something happening while it is away.
    pub async fn restart_after(&mut self, happens: impl FnOnce()) {
        self.scheduler.stop().await;
        happens();
        let data_dir = self.folder.path().join("data");
        self.scheduler = start(&self.cluster, &self.builder, &self.engine, &data_dir);
    }

    pub async fn propose(&self, command: Command) {
        propose(&self.cluster, command).await;
    }

    /// Asks for a deployment of the test app as if a build had just ended.
    pub async fn deploy(&self, config: RunConfig) -> DeploymentId {
        let id = self.queue(Source::Upload { digest: "00".into() }).await;
        self.finish_build(id, config).await;
        id
    }

    pub async fn queue(&self, source: Source) -> DeploymentId {
        let id = fresh_id();
        let environment = self.environment;
        let deployment = NewDeployment { id, environment, source, revision: None };
        self.propose(Command::CreateDeployment { deployment }).await;
        id
    }

    pub async fn finish_build(&self, id: DeploymentId, config: RunConfig) {
        let artifact = Artifact::Image { id: self.image.clone() };
        let built = Built { artifact, config, revision: None };
        self.propose(Command::FinishBuild { id, built }).await;
    }

    /// Waits until something can be seen in the state.
    pub async fn until<T>(&self, what: &str, see: impl Fn(&State) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            let state = self.cluster.state();
            if let Some(seen) = see(&state) {
                return seen;
            }
            let phases: Vec<_> = state.deployments.values().map(|d| &d.phase).collect();
            let replicas: Vec<_> = state.replicas.values().collect();
            assert!(began.elapsed() < PATIENCE, "{what}: {phases:?} {replicas:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_live(&self, id: DeploymentId) -> Replica {
        self.until("live", |state| {
            let live = state.deployments[&id].phase == Phase::Live;
            live.then(|| state.replicas_of(id).next().cloned())?
        })
        .await
    }

    pub async fn until_failed(&self, id: DeploymentId) -> Failure {
        self.until("failed", |state| match &state.deployments[&id].phase {
            Phase::Failed { failure } => Some(failure.clone()),
            _ => None,
        })
        .await
    }

    pub async fn until_observed(&self, id: ReplicaId, see: impl Fn(&Observed) -> bool) {
        self.until("observed", |state| see(&state.replicas.get(&id)?.observed).then_some(())).await;
    }

    /// What Docker's own client says of a replica's container; nothing when there is none.
    pub fn inspect(&self, replica: ReplicaId, format: &str) -> String {
        docker_on(&self.socket, &["inspect", "--format", format, &container(replica)])
    }
}

/// The name of a replica's container.
pub fn container(replica: ReplicaId) -> String {
    let id = replica.to_string();
    format!("temps-shop-production-{}", &id[id.len() - 8..])
}

/// Waits until something holds outside the state.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn start(cluster: &Cluster, builder: &Builder, engine: &Engine, data_dir: &Path) -> Scheduler {
    let config = SchedulerConfig {
        data_dir: data_dir.into(),
        api_url: "http://api.test".into(),
        edge: None,
    };
    Scheduler::start(cluster.clone(), builder.clone(), engine.clone(), config)
}

async fn propose(cluster: &Cluster, command: Command) {
    let actor = Actor::Node { id: cluster.node_id() };
    cluster.propose(Proposal::new(actor, command)).await.expect("it takes effect");
}

/// This node, which builds nothing by itself, and a project with a secret.
async fn found(cluster: &Cluster) -> EnvironmentId {
    let node = Node { id: cluster.node_id(), builds: false, ..super::node(1) };
    propose(cluster, Command::RecordNode { node }).await;
    let project = Project {
        id: fresh_id(),
        name: "shop".parse().expect("a name"),
        created_at: Timestamp::now(),
        disabled: false,
        repository: None,
        webhook_secret: cluster.seal("p", "v").expect("it is short"),
        previews: true,
        deployments_made: 0,
        callers: Default::default(),
    };
    let production: EnvironmentId = fresh_id();
    propose(cluster, Command::CreateProject { project, production }).await;
    let variables = [("GREETING", "hello"), ("CRON_SECRET", "hush")].map(|(name, value)| {
        let name: VariableName = name.parse().expect("a name");
        let place = Variable::place(production, &name);
        let value = cluster.seal(&place, value).expect("it is short");
        (name, Variable { value, secret: true, updated_at: Timestamp::now() })
    });
    let variables = variables.into();
    propose(cluster, Command::SetVariables { id: production, variables }).await;
    production
}
