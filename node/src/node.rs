//! One node, from top to bottom: [`run`] builds every part, in the order in which they need each other, waits for a
//! reason to stop, and drains them in reverse.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use temps_api::{Api, ApiConfig, ApiHandle, LocalRegistry, OtherNodes, ensure_admin};
use temps_builder::{BaseImages, Builder, Engine};
use temps_dns::{Dns, DnsConfig};
use temps_mesh::Incoming;
use temps_proxy::{Edge, EdgeConfig, EdgeHandle, INNER_PORT, Inner};
use temps_raft::{Cluster, Config, PeerConfig};
use temps_scheduler::{Network, Scheduler, SchedulerConfig};
use temps_state::Node;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::banner::{Banner, reachable};
use crate::housekeeping;
use crate::joining::Joining;
use crate::machine;
use crate::node_config::{Admin, NodeConfig};
use crate::peers::{Desk, Peers};
use crate::record;
use crate::removal;
use crate::serve_error::ServeError;
use crate::signals::Signals;

/// How long API requests under way may take to end; streams that are followed are cut then.
const API_DRAIN_WITHIN: Duration = Duration::from_secs(3);
/// How long requests to apps may take to end.
const EDGE_DRAIN_WITHIN: Duration = Duration::from_secs(15);
/// How long the scheduler may take to leave off; containers run on.
const SCHEDULER_STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long another node may take to take the lead.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(3);
/// How long writing everything to disk may take.
const CLUSTER_STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs a node until a signal, a failure or the cluster ends it; joins before, where that is asked for.
pub async fn run(config: NodeConfig, joining: Option<Joining>) -> Result<(), ServeError> {
    let started = Instant::now();
    let mut signals = Signals::catch().map_err(ServeError::Threads)?;

    // Everything that can be wrong outside is found out before anything is changed.
    check_data_dir(&config.data_dir)?;
    let api_listener = claim_ports(&config)?;
    if let Some(joining) = &joining {
        tokio::select! {
            joined = joining.join(&config) => joined.map_err(ServeError::Join)?,
            _ = signals.next() => return Ok(()),
        }
    }

    let cluster = Cluster::start(raft_config(&config)).await.map_err(ServeError::open)?;
    let first_password = ensure_first_admin(&cluster, &config.admin).await?;
    let peer = cluster.peer_listen_addr().unwrap_or(config.peer);
    let edge = Edge::bind(edge_config(&config, &cluster)).map_err(ServeError::Edge)?;
    let (http, https) = (edge.http_addr(), edge.https_addr());
    let facts = Node {
        address: record::address(&config, peer),
        key: cluster.fingerprint().unwrap_or_default(),
        http_port: Some(http.port()),
        https_port: https.map(|address| address.port()),
        ..record::facts(&config)
    };
    let stop = CancellationToken::new();
    record_node(&cluster, facts, joining, &stop).await?;
    let (peers, incoming) = bind_peers(&cluster, peer)?;

    let engine = Engine::on_socket(&config.docker_socket);
    let builder = Builder::open(&config.data_dir, engine.clone())
        .map_err(ServeError::Builder)?
        .with_base_images(BaseImages::by(config.base_images.clone()))
        .with_peers(Arc::new(OtherNodes::over(Arc::new(peers.clone()))));
    let registry = LocalRegistry::bind(&config.data_dir).await.map_err(ServeError::Registry)?;
    let builder = builder.with_registry(registry.own());
    tokio::spawn(registry.serve(builder.clone(), cluster.clone(), stop.clone()));
    let api_address = api_listener.local_addr().map_err(ServeError::Api)?;
    let banner = Banner::new(api_address, &config.data_dir, &config.admin.email, first_password);
    let network = Network::default();
    let gateway = network.follow(engine.clone());
    let dns = Dns::start(DnsConfig::default(), cluster.watch(), gateway.clone());
    let scheduler = Scheduler::start_on(
        network.with_nameservers(dns.nameservers()),
        cluster.clone(),
        builder.clone(),
        engine,
        SchedulerConfig {
            data_dir: config.data_dir.clone(),
            api_url: banner.api_url.clone(),
            edge: Some(reachable(http)),
        },
    );
    housekeeping::start(builder.clone(), cluster.clone(), stop.clone());

    let mut metrics = Registry::default();
    let edge = edge
        .with_reach(Arc::new(peers.clone()))
        .with_local_endpoints(scheduler.local_endpoints())
        .with_inner(Inner { gateway, residents: scheduler.residents(), port: INNER_PORT })
        .start(cluster.watch(), &mut metrics);
    cluster.tell_edge(edge.applied());

    let left = CancellationToken::new();
    let api = Api {
        cluster: cluster.clone(),
        scheduler: scheduler.clone(),
        builder,
        edge_applied: edge.applied(),
        metrics: Arc::new(metrics),
        nodes: Some(Arc::new(peers.clone())),
        left: left.clone(),
        config: ApiConfig {
            http_port: http.port(),
            https_port: https.map(|address| address.port()),
            data_dir: config.data_dir.clone(),
            peer_address: peer_address(&config, peer),
        },
    };
    let api = api.handle();
    let desk =
        Desk { api: api.clone(), cluster: cluster.clone(), local: scheduler.local_endpoints() };
    tokio::spawn(desk.serve(incoming));
    let mut api = serve_api(api, api_listener, stop.clone()).map_err(ServeError::Api)?;

    let domain = cluster.state().settings().preview_domain;
    banner.print(&domain, http.port(), started.elapsed());
    info!(node = %cluster.node_id(), api = %api_address, %http, %peer, "the node is ready");

    let outcome = tokio::select! {
        signal = signals.next() => {
            info!(signal, "draining; a second signal ends the node at once");
            Ok(())
        }
        failed = cluster.failed() => Err(ServeError::Failed(failed)),
        ended = &mut api => Err(ServeError::Api(ended.map_or_else(io::Error::other, died))),
        gone = gone(&cluster, &peers, &left) => gone,
    };
    signals.exit_at_next();
    Parts { api, stop, edge, dns, scheduler, peers, cluster }.drain(outcome).await
}

fn raft_config(config: &NodeConfig) -> Config {
    let peer = PeerConfig { listen: config.peer, advertise: config.advertise };
    Config { data_dir: config.data_dir.clone(), peer: Some(peer) }
}

/// Makes the first admin of a cluster that this node is alone in; gives the password that was made. Any other cluster
/// has one already, and may have no quorum to ask.
async fn ensure_first_admin(
    cluster: &Cluster,
    admin: &Admin,
) -> Result<Option<String>, ServeError> {
    if !is_alone(cluster) {
        return Ok(None);
    }
    let Admin { email, password } = admin.clone();
    ensure_admin(cluster, &email, password).await.map_err(ServeError::Admin)
}

fn is_alone(cluster: &Cluster) -> bool {
    let members = cluster.status().members;
    members.len() == 1 && members[0].id == cluster.node_id()
}

/// Tells the cluster what this node is: at once where nobody else is asked, in its own time otherwise.
async fn record_node(
    cluster: &Cluster,
    facts: Node,
    joining: Option<Joining>,
    stop: &CancellationToken,
) -> Result<(), ServeError> {
    if is_alone(cluster) {
        return record::tell(cluster, &facts).await.map_err(ServeError::Record);
    }
    let telling = record::keep_telling(cluster.clone(), facts);
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        telling.await;
        if let Some(joining) = joining {
            joining.finish();
        }
    }));
    Ok(())
}

fn bind_peers(cluster: &Cluster, peer: SocketAddr) -> Result<(Peers, Incoming), ServeError> {
    let tls = cluster.peers().expect("the node was started with a peer port");
    Peers::bind(peer, tls).map_err(ServeError::mesh)
}

/// Where a new machine would reach this node, as far as this one knows.
fn peer_address(config: &NodeConfig, listens: SocketAddr) -> Option<SocketAddr> {
    let outward = || Some(SocketAddr::new(machine::outward_address()?, listens.port()));
    record::address(config, listens).or_else(outward)
}

/// Resolves when this node does not belong to the cluster any more. It is an error unless it was meant to go.
async fn gone(
    cluster: &Cluster,
    peers: &Peers,
    left: &CancellationToken,
) -> Result<(), ServeError> {
    let orderly = tokio::select! {
        drained = removal::removed(cluster) => drained,
        () = removal::locked_out(cluster, peers) => false,
        () = left.cancelled() => true,
    };
    match orderly {
        true => {
            info!("this node has left its cluster; its data folder is of no more use");
            Ok(())
        }
        false => Err(ServeError::Removed),
    }
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

type ApiTask = JoinHandle<io::Result<()>>;

fn serve_api(
    api: ApiHandle,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<ApiTask> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(tokio::spawn(api.serve(listener, stop)))
}

fn died(ended: io::Result<()>) -> io::Error {
    ended.err().unwrap_or_else(|| io::Error::other("it ended without being asked to"))
}

/// What ends with the node.
struct Parts {
    api: ApiTask,
    stop: CancellationToken,
    edge: EdgeHandle,
    dns: Dns,
    scheduler: Scheduler,
    peers: Peers,
    cluster: Cluster,
}

impl Parts {
    /// Gives away the lead, then ends the parts in the reverse of the order in which they began, each within its time.
    async fn drain(self, outcome: Result<(), ServeError>) -> Result<(), ServeError> {
        let began = Instant::now();
        self.hand_over().await;
        let Self { api, stop, edge, dns, scheduler, peers, cluster } = self;
        stop.cancel();
        let abort = api.abort_handle();
        if !api.is_finished() && timeout(API_DRAIN_WITHIN, api).await.is_err() {
            warn!("cut API requests that did not end in time");
            abort.abort();
        }
        edge.stop(EDGE_DRAIN_WITHIN).await;
        drop(dns);
        if timeout(SCHEDULER_STOP_WITHIN, scheduler.stop()).await.is_err() {
            warn!("the scheduler did not leave off in time");
        }
        peers.stop().await;
        let stopped = timeout(CLUSTER_STOP_WITHIN, cluster.stop()).await;
        match &stopped {
            Ok(Ok(())) => {
                info!(seconds = began.elapsed().as_secs_f64(), "everything is written; bye");
            }
            Ok(Err(failure)) => error!(error = %failure, "not everything could be written"),
            Err(_) => error!("writing everything took too long"),
        }
        outcome?;
        stopped.unwrap_or(Ok(())).map_err(ServeError::Stop)
    }

    /// Others need not find out that their leader is gone.
    async fn hand_over(&self) {
        if is_alone(&self.cluster) || !*self.cluster.leading().borrow() {
            return;
        }
        match timeout(HAND_OVER_WITHIN, self.cluster.hand_over()).await {
            Ok(Ok(())) => info!("another node leads now"),
            Ok(Err(error)) => warn!(%error, "nobody took the lead"),
            Err(_) => warn!("nobody took the lead in time"),
        }
    }
}
