//! One node, from top to bottom: [`run`] builds every part, in the order in which they need each other, waits for a
//! reason to stop, and drains them in reverse.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use temps_api::{Api, ApiConfig, ensure_admin};
use temps_builder::{BaseImages, Builder, Engine};
use temps_proxy::{Edge, EdgeConfig, EdgeHandle};
use temps_raft::{Cluster, Config, Proposal};
use temps_scheduler::{Scheduler, SchedulerConfig};
use temps_state::{Actor, Command, Node};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::banner::Banner;
use crate::housekeeping;
use crate::machine;
use crate::node_config::{Admin, NodeConfig};
use crate::serve_error::ServeError;
use crate::signals::Signals;

/// How long API requests under way may take to end; streams that are followed are cut then.
const API_DRAIN_WITHIN: Duration = Duration::from_secs(3);
/// How long requests to apps may take to end.
const EDGE_DRAIN_WITHIN: Duration = Duration::from_secs(15);
/// How long the scheduler may take to leave off; containers run on.
const SCHEDULER_STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long writing everything to disk may take.
const CLUSTER_STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs a node until a signal or a failure ends it.
pub async fn run(config: NodeConfig) -> Result<(), ServeError> {
    let started = Instant::now();
    let mut signals = Signals::catch().map_err(ServeError::Threads)?;

    // Everything that can be wrong outside is found out before anything is changed.
    check_data_dir(&config.data_dir)?;
    let api_listener = claim_ports(&config)?;

    let cluster = Cluster::start(Config { data_dir: config.data_dir.clone() })
        .await
        .map_err(ServeError::Open)?;
    let Admin { email, password } = config.admin.clone();
    let first_password =
        ensure_admin(&cluster, &email, password).await.map_err(ServeError::Admin)?;
    record_node(&cluster, &config).await?;

    let engine = Engine::on_socket(&config.docker_socket);
    let builder = Builder::open(&config.data_dir, engine.clone())
        .map_err(ServeError::Builder)?
        .with_base_images(BaseImages::by(config.base_images.clone()));
    let api_address = api_listener.local_addr().map_err(ServeError::Api)?;
    let banner = Banner::new(api_address, &config.data_dir, &email, first_password);
    let scheduler = Scheduler::start(
        cluster.clone(),
        builder.clone(),
        engine,
        SchedulerConfig { data_dir: config.data_dir.clone(), api_url: banner.api_url.clone() },
    );

    let stop = CancellationToken::new();
    housekeeping::start(builder.clone(), cluster.clone(), stop.clone());

    let mut metrics = Registry::default();
    let edge = Edge::bind(edge_config(&config, &cluster)).map_err(ServeError::Edge)?;
    let (http, https) = (edge.http_addr(), edge.https_addr());
    let edge = edge.start(cluster.watch(), &mut metrics);

    let api = Api {
        cluster: cluster.clone(),
        scheduler: scheduler.clone(),
        builder,
        edge_applied: edge.applied(),
        metrics: Arc::new(metrics),
        config: ApiConfig {
            http_port: http.port(),
            https_port: https.map(|address| address.port()),
            data_dir: config.data_dir.clone(),
        },
    };
    let mut api = serve_api(api, api_listener, stop.clone()).map_err(ServeError::Api)?;

    let domain = cluster.state().settings().preview_domain;
    banner.print(&domain, http.port(), started.elapsed());
    info!(node = %cluster.node_id(), api = %api_address, %http, peer = %config.peer, "the node is ready");

    let outcome = tokio::select! {
        signal = signals.next() => {
            info!(signal, "draining; a second signal ends the node at once");
            Ok(())
        }
        failed = cluster.failed() => Err(ServeError::Failed(failed)),
        ended = &mut api => Err(ServeError::Api(ended.map_or_else(io::Error::other, died))),
    };
    signals.exit_at_next();
    drain(api, stop, edge, scheduler, cluster, outcome).await
}

/// Makes the data folder and a file in it, which is what every part of the node is about to do.
fn check_data_dir(path: &Path) -> Result<(), ServeError> {
    let probe = path.join(".writable");
    // What is in it concerns nobody else on the machine.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| File::create(&probe))
        .and_then(|_| fs::remove_file(&probe))
        .map_err(|source| ServeError::DataDir { path: path.into(), source })
}

/// Makes sure that every port is free, and keeps the API's. The edge binds its own a moment later.
fn claim_ports(config: &NodeConfig) -> Result<TcpListener, ServeError> {
    let bind = |flag, address: SocketAddr| {
        TcpListener::bind(address).map_err(|source| ServeError::Listen { flag, address, source })
    };
    let probes = config.listeners().filter(|(flag, _)| *flag != "api");
    let held = probes.map(|(flag, address)| bind(flag, address)).collect::<Result<Vec<_>, _>>()?;
    let api = bind("api", config.api);
    drop(held);
    api
}

fn edge_config(config: &NodeConfig, cluster: &Cluster) -> EdgeConfig {
    EdgeConfig {
        http: config.http,
        https: config.https,
        data_dir: config.data_dir.clone(),
        node: cluster.node_id(),
    }
}

/// Tells the cluster what this node is, unless it knows.
async fn record_node(cluster: &Cluster, config: &NodeConfig) -> Result<(), ServeError> {
    let id = cluster.node_id();
    let known = cluster.state().nodes.get(&id).cloned();
    let node = Node {
        id,
        name: config.name.clone(),
        joined_at: known.as_ref().map_or_else(Timestamp::now, |node| node.joined_at),
        architecture: machine::architecture().into(),
        capacity: machine::capacity(),
        builds: config.builds,
    };
    if known.as_ref() == Some(&node) {
        return Ok(());
    }
    let proposal = Proposal::new(Actor::Node { id }, Command::RecordNode { node });
    cluster.propose(proposal).await.map(drop).map_err(ServeError::Record)
}

type ApiTask = JoinHandle<io::Result<()>>;

fn serve_api(api: Api, listener: TcpListener, stop: CancellationToken) -> io::Result<ApiTask> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(tokio::spawn(api.serve(listener, stop)))
}

fn died(ended: io::Result<()>) -> io::Error {
    ended.err().unwrap_or_else(|| io::Error::other("it ended without being asked to"))
}

/// Ends the parts in the reverse of the order in which they began, each within its time.
async fn drain(
    api: ApiTask,
    stop: CancellationToken,
    edge: EdgeHandle,
    scheduler: Scheduler,
    cluster: Cluster,
    outcome: Result<(), ServeError>,
) -> Result<(), ServeError> {
    let began = Instant::now();
    stop.cancel();
    let abort = api.abort_handle();
    if !api.is_finished() && timeout(API_DRAIN_WITHIN, api).await.is_err() {
        warn!("cut API requests that did not end in time");
        abort.abort();
    }
    edge.stop(EDGE_DRAIN_WITHIN).await;
    if timeout(SCHEDULER_STOP_WITHIN, scheduler.stop()).await.is_err() {
        warn!("the scheduler did not leave off in time");
    }
    let stopped = timeout(CLUSTER_STOP_WITHIN, cluster.stop()).await;
    match &stopped {
        Ok(Ok(())) => info!(seconds = began.elapsed().as_secs_f64(), "everything is written; bye"),
        Ok(Err(failure)) => error!(error = %failure, "not everything could be written"),
        Err(_) => error!("writing everything took too long"),
    }
    outcome?;
    stopped.unwrap_or(Ok(())).map_err(ServeError::Stop)
}
