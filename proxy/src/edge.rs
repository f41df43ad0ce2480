//! The edge as a whole: binds its ports, then serves on its own threads.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};
use prometheus_client::registry::Registry;
use temps_raft::Applied;
use temps_state::{ClusterKey, NodeId, PREVIEW_DOMAIN_DEFAULT};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::access_line::AccessLines;
use crate::access_log::AccessLog;
use crate::connection_count::ConnectionCount;
use crate::connector::Connector;
use crate::follower::Follower;
use crate::guard::{Countries, Gate};
use crate::http3::Http3;
use crate::inner::Inner;
use crate::inner_listener;
use crate::limits::{ATTEMPTS_MAX, UPSTREAM_POOL_MAX, WAITING_MAX};
use crate::listener::Listener;
use crate::live_table::LiveTable;
use crate::metrics::Metrics;
use crate::phases::Phases;
use crate::ports::Ports;
use crate::reach::{Nowhere, Reach};
use crate::request_count::RequestCount;
use crate::sites::Sites;
use crate::tls::{Certificates, server_config};
use crate::vicinity::{LocalEndpoints, Vicinity};
use crate::view::EdgeView;
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
    certificates: Certificates,
    key: Option<ClusterKey>,
    countries: Option<Countries>,
    connections_most: Option<usize>,
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
        let metrics = Metrics::new();
        let certificates = Certificates::new(&config.data_dir, metrics.handshakes_refused.clone())?;
        certificates.preview().follow(PREVIEW_DOMAIN_DEFAULT)?;
        let log = AccessLog::of_events(metrics.access_log_dropped.clone())
            .map_err(EdgeError::StartThreads)?;
        let runtime = runtime().map_err(EdgeError::StartThreads)?;
        Ok(Self {
            config,
            sockets,
            http_addr,
            https_addr,
            runtime,
            certificates,
            key: None,
            countries: None,
            connections_most: None,
            metrics,
            log,
            reach: Arc::new(Nowhere),
            local: None,
            inner: None,
        })
    }

    /// Opens the keys of the state's certificates, and of session tickets, with the cluster's key, and signs with it what
    /// clients show any edge; without it, only names of the preview domain have a certificate.
    #[must_use]
    pub fn with_key(self, key: ClusterKey) -> Self {
        Self { certificates: self.certificates.with_key(key.clone()), key: Some(key), ..self }
    }

    /// Holds no more connections than this, nor gives apps more requests at once, whatever the settings say, as the process
    /// can open so many files.
    #[must_use]
    pub fn with_connections_at_most(self, most: usize) -> Self {
        Self { connections_most: Some(most), ..self }
    }

    /// Knows in which country an address is; without that, rules about countries do not hold.
    #[must_use]
    pub fn with_countries(self, countries: Option<Countries>) -> Self {
        Self { countries, ..self }
    }

    /// Writes the access log in lines like the node's own, instead of as events: that costs a fraction.
    pub fn with_access_lines(
        mut self,
        form: AccessLines,
        out: Box<dyn Write + Send>,
    ) -> Result<Self, EdgeError> {
        let dropped = self.metrics.access_log_dropped.clone();
        self.log = AccessLog::of_lines(dropped, form, out).map_err(EdgeError::StartThreads)?;
        Ok(self)
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
        let certificates = Arc::new(self.certificates);
        let count = Arc::new(ConnectionCount::new(
            self.metrics.connections_open.clone(),
            self.metrics.connections_displaced.clone(),
            self.connections_most,
        ));
        let http3 = Arc::<AtomicBool>::default();
        let connector = Connector { node: self.config.node, reach: self.reach };
        let follower = Follower {
            table: table.clone(),
            sites: sites.clone(),
            certificates: certificates.clone(),
            applied,
            vicinity: Vicinity::new(Arc::new(connector), self.local).with_inner(self.inner.clone()),
        };
        let proxy = proxy(
            Phases {
                table: table.clone(),
                sites,
                certificates: certificates.clone(),
                ports: Ports {
                    http: self.http_addr.port(),
                    https: self.https_addr.map(|addr| addr.port()),
                },
                http3: http3.clone(),
                metrics: self.metrics.clone(),
                log: self.log.clone(),
                gate: Gate::new(self.key.as_ref(), self.countries),
                requests: Arc::new(RequestCount::new(self.connections_most)),
            },
            &certificates,
            self.connections_most,
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
        if let Some(address) = self.https_addr {
            let taken = take_http3(listener.clone(), certificates.clone(), address, http3);
            tasks.spawn_on(taken, self.runtime.handle());
        }
        self.runtime.spawn(serve(follower, listener, self.sockets, certificates.clone()));
        info!(node = %self.config.node, http = %self.http_addr, https = ?self.https_addr, "the edge serves");
        EdgeHandle::new(
            table.applied(),
            EdgeView::new(certificates),
            stop,
            tasks,
            self.log,
            self.runtime,
        )
    }
}

async fn serve(
    mut follower: Follower,
    listener: Arc<Listener>,
    sockets: EdgeSockets,
    certificates: Arc<Certificates>,
) {
    let shown = follower.begin().await;
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

async fn take_http3(
    listener: Arc<Listener>,
    certificates: Arc<Certificates>,
    address: SocketAddr,
    listens: Arc<AtomicBool>,
) {
    match server_config(certificates) {
        Ok(tls) => Arc::new(Http3 { listener, tls, address, listens }).keep().await,
        Err(error) => error!(%error, "cannot take HTTP/3"),
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
    // Whoever bound it let few wait.
    rustix::net::listen(socket, WAITING_MAX).map_err(|errno| failed(errno.into()))?;
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

fn proxy(phases: Phases, certificates: &Certificates, most: Option<usize>) -> HttpProxy<Phases> {
    // Replicas are spoken to in plain HTTP, but Pingora's connector insists on trusting some authority. The preview
    // certificate spares it loading the machine's, which takes memory and fails where there are none.
    let authority = certificates.preview().file(PREVIEW_DOMAIN_DEFAULT);
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: most
            .map_or(UPSTREAM_POOL_MAX, |most| most.min(UPSTREAM_POOL_MAX)),
        max_retries: ATTEMPTS_MAX,
        ca_file: Some(authority.display().to_string()),
        ..ServerConf::default()
    };
    http_proxy(&Arc::new(conf), phases)
}
