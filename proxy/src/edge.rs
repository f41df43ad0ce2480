//! The edge as a whole: binds its ports, then serves on its own threads.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};
use prometheus_client::registry::Registry;
use temps_raft::Applied;
use temps_state::{NodeId, PREVIEW_DOMAIN_DEFAULT};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::access_log::AccessLog;
use crate::connection_count::ConnectionCount;
use crate::connector::Connector;
use crate::inner::Inner;
use crate::inner_listener;
use crate::limits::{ATTEMPTS_MAX, UPSTREAM_POOL_MAX};
use crate::listener::Listener;
use crate::live_table::LiveTable;
use crate::metrics::Metrics;
use crate::phases::Phases;
use crate::reach::{Nowhere, Reach};
use crate::route_table::RouteTable;
use crate::sites::Sites;
use crate::tls::{Certificates, server_config};
use crate::vicinity::{LocalEndpoints, Vicinity};
use crate::{EdgeError, EdgeHandle};

/// Threads that serve requests.
const THREADS: usize = 2;
/// Threads that read static files.
const FILE_THREADS_MAX: usize = 16;

/// How an edge is set up.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Where to take plain HTTP.
    pub http: SocketAddr,
    /// Where to take HTTPS; nowhere when `None`.
    pub https: Option<SocketAddr>,
    /// The node's data folder: holds static sites and certificates.
    pub data_dir: PathBuf,
    /// The node that it belongs to.
    pub node: NodeId,
}

/// The ports that an edge takes connections at. They outlive the process that bound them if it hands them on.
#[derive(Debug)]
pub struct EdgeSockets {
    /// Takes plain HTTP.
    pub http: TcpListener,
    /// Takes HTTPS.
    pub https: Option<TcpListener>,
}

impl EdgeSockets {
    /// Binds the ports.
    pub fn bind(http: SocketAddr, https: Option<SocketAddr>) -> Result<Self, EdgeError> {
        let http = listen(http, "http")?;
        let https = https.map(|addr| listen(addr, "https")).transpose()?;
        Ok(Self { http, https })
    }
}

/// An edge that has its ports and does not serve yet.
pub struct Edge {
    config: EdgeConfig,
    sockets: EdgeSockets,
    http_addr: SocketAddr,
    https_addr: Option<SocketAddr>,
    runtime: Runtime,
    certificates: Arc<Certificates>,
    metrics: Metrics,
    log: AccessLog,
    reach: Arc<dyn Reach>,
    local: Option<watch::Receiver<LocalEndpoints>>,
    inner: Option<Inner>,
}

impl Edge {
    /// Binds the ports and makes ready what may fail.
    pub fn bind(config: EdgeConfig) -> Result<Self, EdgeError> {
        let sockets = EdgeSockets::bind(config.http, config.https)?;
        Self::on(config, sockets)
    }

    /// The same, on ports that somebody else has bound; the configuration's addresses are not used then.
    pub fn on(config: EdgeConfig, sockets: EdgeSockets) -> Result<Self, EdgeError> {
        let http_addr = ready(&sockets.http, config.http, "http")?;
        let https_addr = match &sockets.https {
            Some(socket) => Some(ready(socket, config.https.unwrap_or(config.http), "https")?),
            None => None,
        };
        let certificates = Arc::new(Certificates::new(&config.data_dir));
        certificates.use_preview(PREVIEW_DOMAIN_DEFAULT)?;
        let metrics = Metrics::new();
        let log = AccessLog::start(metrics.access_log_dropped.clone())
            .map_err(EdgeError::StartThreads)?;
        let runtime = runtime().map_err(EdgeError::StartThreads)?;
        Ok(Self {
            config,
            sockets,
            http_addr,
            https_addr,
            runtime,
            certificates,
            metrics,
            log,
            reach: Arc::new(Nowhere),
            local: None,
            inner: None,
        })
    }

    /// Reaches replicas of other nodes this way; without it, not at all.
    #[must_use]
    pub fn with_reach(self, reach: Arc<dyn Reach>) -> Self {
        Self { reach, ..self }
    }

    /// Believes the node about its own replicas. Until it has told of one, and without it, the state is believed. From
    /// then on a replica of this node takes requests exactly while it is there and the state wants it to serve.
    #[must_use]
    pub fn with_local_endpoints(self, local: watch::Receiver<LocalEndpoints>) -> Self {
        Self { local: Some(local), ..self }
    }

    /// Lets this node's containers reach each other's apps by their internal names.
    #[must_use]
    pub fn with_inner(self, inner: Inner) -> Self {
        Self { inner: Some(inner), ..self }
    }

    /// Where it takes plain HTTP.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where it takes HTTPS.
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.https_addr
    }

    /// Serves what the state says, from now on and on its own threads. Returns at once; the first requests wait in the
    /// ports' queues until the first route table is made.
    pub fn start(
        self,
        applied: watch::Receiver<Arc<Applied>>,
        metrics: &mut Registry,
    ) -> EdgeHandle {
        self.metrics.register(metrics);
        let (stop, stopping) = watch::channel(false);
        let tasks = TaskTracker::new();
        let table = Arc::new(LiveTable::new());
        let sites = Arc::new(Sites::new(&self.config.data_dir));
        let count = Arc::new(ConnectionCount::new(self.metrics.connections_open.clone()));
        let connector = Connector { node: self.config.node, reach: self.reach };
        let follower = Follower {
            table: table.clone(),
            sites: sites.clone(),
            certificates: self.certificates.clone(),
            applied,
            vicinity: Vicinity::new(Arc::new(connector), self.local).with_inner(self.inner.clone()),
        };
        let proxy = proxy(
            Phases { table: table.clone(), sites, metrics: self.metrics.clone(), log: self.log },
            &self.certificates,
        );
        let listener = Listener {
            proxy: Arc::new(proxy),
            table: table.clone(),
            count,
            metrics: self.metrics,
            tasks: tasks.clone(),
            stop: stopping,
        };
        let listener = Arc::new(listener);
        if let Some(inner) = self.inner {
            self.runtime.spawn(inner_listener::keep(listener.clone(), inner, self.http_addr));
        }
        self.runtime.spawn(serve(follower, listener, self.sockets, self.certificates));
        info!(node = %self.config.node, http = %self.http_addr, https = ?self.https_addr, "the edge serves");
        EdgeHandle::new(table.applied(), stop, tasks, self.runtime)
    }
}

async fn serve(
    mut follower: Follower,
    listener: Arc<Listener>,
    sockets: EdgeSockets,
    certificates: Arc<Certificates>,
) {
    let shown = follower.applied.borrow_and_update().clone();
    follower.show(&shown).await;
    match tokio::net::TcpListener::from_std(sockets.http) {
        Ok(socket) => {
            tokio::spawn(listener.clone().accept(socket, None));
        }
        Err(error) => error!(%error, "cannot serve HTTP"),
    }
    let https = sockets.https.map(tokio::net::TcpListener::from_std).transpose();
    match (https, server_config(certificates)) {
        (Ok(Some(socket)), Ok(config)) => {
            let tls = TlsAcceptor::from(Arc::new(config));
            tokio::spawn(listener.clone().accept(socket, Some(tls)));
        }
        (Ok(None), _) => {}
        (Err(error), _) => error!(%error, "cannot serve HTTPS"),
        (_, Err(error)) => error!(%error, "cannot serve HTTPS"),
    }
    let mut stop = listener.stop.clone();
    tokio::select! {
        () = follower.follow(shown) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Keeps the route table, the sites and the certificate as the state says.
struct Follower {
    table: Arc<LiveTable>,
    sites: Arc<Sites>,
    certificates: Arc<Certificates>,
    applied: watch::Receiver<Arc<Applied>>,
    vicinity: Vicinity,
}

impl Follower {
    async fn follow(&mut self, mut shown: Arc<Applied>) {
        loop {
            let moved = tokio::select! {
                changed = self.applied.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                () = self.vicinity.changed() => true,
            };
            let newer = self.applied.borrow_and_update().clone();
            if !moved && RouteTable::same(&shown, &newer) {
                self.table.reached(newer.index);
            } else {
                self.show(&newer).await;
            }
            shown = newer;
        }
    }

    /// Puts a state in force. What a route needs is there before the route is.
    async fn show(&self, state: &Applied) {
        let table = self.table.next(state, &self.vicinity);
        let (sites, certificates) = (self.sites.clone(), self.certificates.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            sites.keep(table.sites());
            if let Err(error) = certificates.use_preview(&table.preview_domain) {
                error!(%error, "the preview domain has no certificate");
            }
            table
        });
        match prepared.await {
            Ok(table) => {
                self.table.swap(table);
                self.table.reached(state.index);
            }
            Err(error) => error!(%error, "cannot make ready what a route needs"),
        }
    }
}

fn listen(addr: SocketAddr, scheme: &'static str) -> Result<TcpListener, EdgeError> {
    TcpListener::bind(addr).map_err(|source| EdgeError::listen(addr, scheme, source))
}

/// Where a socket listens, which never makes a thread wait from here on.
fn ready(
    socket: &TcpListener,
    wanted: SocketAddr,
    scheme: &'static str,
) -> Result<SocketAddr, EdgeError> {
    let failed = |source| EdgeError::listen(wanted, scheme, source);
    socket.set_nonblocking(true).map_err(failed)?;
    socket.local_addr().map_err(failed)
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(FILE_THREADS_MAX)
        .thread_name("temps-edge")
        .enable_all()
        .build()
}

fn proxy(phases: Phases, certificates: &Certificates) -> HttpProxy<Phases> {
    // Replicas are spoken to in plain HTTP, but Pingora's connector insists on trusting some authority. The preview
    // certificate spares it loading the machine's, which takes memory and fails where there are none.
    let authority = certificates.preview_file(PREVIEW_DOMAIN_DEFAULT);
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: UPSTREAM_POOL_MAX,
        max_retries: ATTEMPTS_MAX,
        ca_file: Some(authority.display().to_string()),
        ..ServerConf::default()
    };
    http_proxy(&Arc::new(conf), phases)
}
