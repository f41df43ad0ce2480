//! One node, from top to bottom: [`run`] builds every part, in the order in which they need each other, and leaves them to
//! [`Parts`], which wait for a reason to stop and drain in reverse.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use temps_api::{Api, ApiConfig, ApiHandle, LocalRegistry, OtherNodes, ensure_admin};
use temps_builder::{BaseImages, Builder, Engine};
use temps_dns::{Authority, Dns, DnsConfig};
use temps_mesh::{Incoming, MeshError};
use temps_proxy::{Countries, Edge, EdgeConfig, INNER_PORT, Inner};
use temps_raft::{Cluster, Config, PeerConfig};
use temps_scheduler::{Network, Scheduler, SchedulerConfig};
use temps_state::Node;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::answered::Answered;
use crate::banner::{Banner, reachable};
use crate::descriptors;
use crate::domains::{self, Looker};
use crate::housekeeping;
use crate::joining::Joining;
use crate::logging;
use crate::machine;
use crate::node_config::{Admin, NodeConfig};
use crate::parts::{ApiTask, Parts, is_alone};
use crate::peers::{Desk, Peers};
use crate::ports;
use crate::record;
use crate::serve_error::ServeError;
use crate::service;
use crate::signals::Signals;
use crate::sites;
use crate::upgrade::Upgrader;
use crate::upgrade::handover::{Predecessor, Sockets};

/// How long a process that follows another may take to find the cluster.
const CLUSTER_WITHIN: Duration = Duration::from_secs(20);
/// How long the port for streams of other nodes may still be taken.
const PEER_PORT_WITHIN: Duration = Duration::from_secs(1);
/// The pause between two tries of either.
const TRY_PAUSE: Duration = Duration::from_millis(100);

/// Runs a node until a signal, a failure, the cluster or a newer program ends it; joins before, where that is asked for.
pub async fn run(config: NodeConfig, joining: Option<Joining>) -> Result<(), ServeError> {
    let mut signals = Signals::catch().map_err(ServeError::Threads)?;
    // Everything that can be wrong outside is found out before anything is changed.
    check_data_dir(&config.data_dir)?;
    let (mut predecessor, sockets) = match Predecessor::find()
        .await
        .map_err(ServeError::TakeOver)?
    {
        Some((predecessor, sockets)) => (Some(predecessor), ports::claim_rest(sockets, &config)?),
        None => (None, ports::claim(&config)?),
    };
    let role = predecessor.as_ref().map(|one| (one.installed.clone(), one.goes_back));
    let accepted = CancellationToken::new();
    if predecessor.is_none() {
        accepted.cancel();
    }
    let starting = come_up(&config, joining, sockets, role, &accepted);
    let parts = tokio::select! {
        parts = starting => parts,
        () = ended(predecessor.as_mut()) => return Err(ServeError::Orphaned),
        _ = signals.next() => return Ok(()),
    };
    match (parts, predecessor) {
        (Ok(parts), None) => {
            service::tell_ready();
            parts.run(signals).await
        }
        (Ok(parts), Some(predecessor)) => {
            let released = predecessor.tell_ready().await.map_err(ServeError::TakeOver)?;
            accepted.cancel();
            tokio::spawn(parts.upgrader.clone().when(released));
            parts.run(signals).await
        }
        (Err(error), None) => Err(error),
        (Err(error), Some(predecessor)) => {
            predecessor.tell_failed(&error.in_full()).await;
            Err(error)
        }
    }
}

/// Starts the node. One that follows another process is up once it is of use: `role` is what that one said.
async fn come_up(
    config: &NodeConfig,
    joining: Option<Joining>,
    sockets: Sockets,
    role: Option<(PathBuf, bool)>,
    accepted: &CancellationToken,
) -> Result<Parts, ServeError> {
    let Some((installed, goes_back)) = role else {
        return start(config, joining, sockets, None, accepted).await;
    };
    let parts = start(config, joining, sockets, Some(installed), accepted).await?;
    parts.upgrader.take_over();
    if !goes_back {
        await_cluster(&parts.cluster).await?;
    }
    parts.peers.greet(&parts.cluster.state(), parts.cluster.node_id()).await;
    Ok(parts)
}

/// Resolves when the process before this one has ended, if there is one.
async fn ended(predecessor: Option<&mut Predecessor>) {
    match predecessor {
        Some(predecessor) => predecessor.ended().await,
        None => std::future::pending().await,
    }
}

/// Builds every part, in the order in which they need each other.
async fn start(
    config: &NodeConfig,
    joining: Option<Joining>,
    sockets: Sockets,
    installed: Option<PathBuf>,
    accepted: &CancellationToken,
) -> Result<Parts, ServeError> {
    let began = Instant::now();
    let countries = config.geoip.as_deref().map(Countries::open).transpose();
    let countries = countries.map_err(ServeError::Edge)?;
    if let Some(joining) = &joining {
        joining.join(config).await.map_err(ServeError::Join)?;
    }
    let kept = sockets.try_clone().map_err(ServeError::Api)?;
    let Sockets { edge, api: api_listener, dns: zones } = sockets;
    let stop = CancellationToken::new();

    let cluster = Cluster::start(raft_config(config)).await.map_err(ServeError::open)?;
    let first_password = ensure_first_admin(&cluster, &config.admin).await?;
    let edge = Edge::on(edge_config(config, &cluster), edge).map_err(ServeError::Edge)?;
    let edge = match logging::access_lines(config.log_format) {
        Some(form) => edge.with_access_lines(form, Box::new(std::io::stderr())),
        None => Ok(edge),
    };
    let edge = edge.map_err(ServeError::Edge)?;
    let connections = descriptors::claim();
    let edge = match connections {
        Some(most) => edge.with_connections_at_most(most.edge),
        None => edge,
    };
    let facts = facts(config, &cluster, &edge);
    record_node(&cluster, facts, joining, &stop, accepted.clone()).await?;
    let authority = zones.map(|sockets| Authority::start(sockets, cluster.watch()));
    let authority = authority.transpose().map_err(ServeError::Authority)?;
    let (peers, incoming) = bind_peers(&cluster, peer_port(config, &cluster)).await?;

    let api_address = api_listener.local_addr().map_err(ServeError::Api)?;
    let banner = Banner::new(api_address, &config.data_dir, &config.admin.email, first_password);
    let engine = Engine::on_socket(&config.docker_socket);
    let builder = open_builder(config, &engine, &cluster, &peers, &stop).await?;
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
            edge: Some(reachable(edge.http_addr())),
        },
    );
    housekeeping::start(builder.clone(), cluster.clone(), stop.clone());

    let (http, https) = (edge.http_addr(), edge.https_addr());
    let mut metrics = Registry::default();
    let edge = edge
        .with_key(cluster.key().clone())
        .with_reach(Arc::new(peers.clone()))
        .with_local_endpoints(scheduler.local_endpoints())
        .with_inner(Inner { gateway, residents: scheduler.residents(), port: INNER_PORT })
        .with_countries(countries)
        .start(cluster.watch(), &mut metrics);
    cluster.tell_edge(edge.applied());

    let probe = domains::probe()?;
    domains::keep(&cluster, &probe, &edge.view(), &stop);

    let installed =
        installed.map_or_else(std::env::current_exe, Ok).map_err(ServeError::TakeOver)?;
    let upgrader = Upgrader::new(builder.clone(), cluster.clone(), &config.data_dir, installed);
    let left = CancellationToken::new();
    let api = Api {
        cluster: cluster.clone(),
        scheduler: scheduler.clone(),
        builder,
        edge_applied: edge.applied(),
        sites: sites::watch(&config.data_dir, &cluster, edge.applied(), &stop),
        metrics: Arc::new(metrics),
        nodes: Some(Arc::new(peers.clone())),
        left: left.clone(),
        upgrades: Some(Arc::new(upgrader.clone())),
        domain_look: Some(Arc::new(Looker { cluster: cluster.clone(), probe, edge: edge.view() })),
        zone_look: Some(Arc::new(domains::look_at_zones(&cluster, &stop))),
        requests: Some(Arc::new(Answered { node: cluster.node_id(), recent: edge.requests() })),
        config: ApiConfig {
            http_port: http.port(),
            https_port: https.map(|address| address.port()),
            data_dir: config.data_dir.clone(),
            countries: config.geoip.is_some(),
            peer_address: peer_address(config, peer_port(config, &cluster)),
        },
    };
    let api = match connections {
        Some(most) => api.handle().with_connections_at_most(most.api),
        None => api.handle(),
    };
    let desk =
        Desk { api: api.clone(), cluster: cluster.clone(), local: scheduler.local_endpoints() };
    tokio::spawn(desk.serve(incoming));
    let api = serve_api(api, api_listener, stop.clone()).map_err(ServeError::Api)?;

    banner.print(&cluster.state().settings().preview_domain, http.port(), began.elapsed());
    info!(node = %cluster.node_id(), api = %api_address, %http, "the node is ready");
    Ok(Parts {
        api,
        stop,
        left,
        sockets: kept,
        upgrader,
        edge,
        dns,
        authority,
        scheduler,
        peers,
        cluster,
    })
}

/// A new program is of use only if it finds the cluster.
async fn await_cluster(cluster: &Cluster) -> Result<(), ServeError> {
    let until = Instant::now() + CLUSTER_WITHIN;
    while let Err(error) = cluster.read_latest().await {
        if Instant::now() >= until {
            return Err(ServeError::Unheard(error));
        }
        sleep(TRY_PAUSE).await;
    }
    Ok(())
}

fn raft_config(config: &NodeConfig) -> Config {
    let peer = PeerConfig { listen: config.peer, advertise: config.advertise };
    Config { data_dir: config.data_dir.clone(), peer: Some(peer) }
}

/// Where the node takes calls of others.
fn peer_port(config: &NodeConfig, cluster: &Cluster) -> SocketAddr {
    cluster.peer_listen_addr().unwrap_or(config.peer)
}

/// What the cluster is told of this node.
fn facts(config: &NodeConfig, cluster: &Cluster, edge: &Edge) -> Node {
    Node {
        address: record::address(config, peer_port(config, cluster)),
        key: cluster.fingerprint().unwrap_or_default(),
        http_port: Some(edge.http_addr().port()),
        https_port: edge.https_addr().map(|address| address.port()),
        dns: config.dns,
        ..record::facts(config)
    }
}

/// The builder, with the registry on loopback that its engine uses, and other nodes to ask.
async fn open_builder(
    config: &NodeConfig,
    engine: &Engine,
    cluster: &Cluster,
    peers: &Peers,
    stop: &CancellationToken,
) -> Result<Builder, ServeError> {
    let builder = Builder::open(&config.data_dir, engine.clone())
        .map_err(ServeError::Builder)?
        .with_base_images(BaseImages::by(config.base_images.clone()))
        .with_peers(Arc::new(OtherNodes::over(Arc::new(peers.clone()))));
    let registry = LocalRegistry::bind(&config.data_dir).await.map_err(ServeError::Registry)?;
    let builder = builder.with_registry(registry.own());
    tokio::spawn(registry.serve(builder.clone(), cluster.clone(), stop.clone()));
    Ok(builder)
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

/// Tells the cluster what this node is: at once where nobody else is asked, in its own time otherwise.
async fn record_node(
    cluster: &Cluster,
    facts: Node,
    joining: Option<Joining>,
    stop: &CancellationToken,
    accepted: CancellationToken,
) -> Result<(), ServeError> {
    if accepted.is_cancelled() && is_alone(cluster) {
        record::tell(cluster, &facts).await.map_err(ServeError::Record)?;
    }
    let telling = record::keep_telling(cluster.clone(), facts);
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        accepted.cancelled().await;
        telling.await;
        if let Some(joining) = joining {
            joining.finish();
        }
    }));
    Ok(())
}

/// Takes the peer port for streams. The process before this one may have let go of it only just now.
async fn bind_peers(cluster: &Cluster, peer: SocketAddr) -> Result<(Peers, Incoming), ServeError> {
    let tls = || cluster.peers().expect("the node was started with a peer port");
    let until = Instant::now() + PEER_PORT_WITHIN;
    loop {
        match Peers::bind(peer, tls()) {
            Err(MeshError::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && Instant::now() < until =>
            {
                sleep(TRY_PAUSE).await;
            }
            bound => return bound.map_err(ServeError::mesh),
        }
    }
}

/// Where a new machine would reach this node, as far as this one knows.
fn peer_address(config: &NodeConfig, listens: SocketAddr) -> Option<SocketAddr> {
    let outward = || Some(SocketAddr::new(machine::outward_address()?, listens.port()));
    record::address(config, listens).or_else(outward)
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

fn edge_config(config: &NodeConfig, cluster: &Cluster) -> EdgeConfig {
    EdgeConfig {
        http: config.http,
        https: config.https,
        data_dir: config.data_dir.clone(),
        node: cluster.node_id(),
    }
}

fn serve_api(
    api: ApiHandle,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<ApiTask> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(tokio::spawn(api.serve(listener, stop)))
}
