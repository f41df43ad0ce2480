//! The resolver as a whole: listens wherever the node's address on its containers' network is.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::Ipv4Net;
use temps_raft::Applied;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::desk::Desk;
use crate::limits::{BIND_FAILURES, BIND_PAUSE, UPSTREAMS_MAX};
use crate::resolv_conf::{self, Upstreams};
use crate::{tcp, udp};

/// The port of resolvers.
pub const DNS_PORT: u16 = 53;

/// Whom containers should ask, best first. `None` until that is decided; empty while the node's own resolver cannot
/// listen, which leaves containers to what their engine gives them.
pub type Nameservers = Option<Vec<IpAddr>>;

/// How a resolver is set up.
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// Where it takes queries; containers ask no other port than [`DNS_PORT`].
    pub port: u16,
    /// Where the machine's own resolvers are named.
    pub resolv_conf: PathBuf,
    /// Where those take queries.
    pub upstream_port: u16,
}

impl Default for DnsConfig {
    fn default() -> Self {
        let resolv_conf = "/etc/resolv.conf".into();
        Self { port: DNS_PORT, resolv_conf, upstream_port: DNS_PORT }
    }
}

/// A running resolver; it ends when dropped.
pub struct Dns {
    nameservers: watch::Receiver<Nameservers>,
    _task: AbortOnDropHandle<()>,
}

impl Dns {
    /// Answers the containers of the network on which the node has the address `gateway`, from now on. Must be called
    /// within a runtime.
    pub fn start(
        config: DnsConfig,
        applied: watch::Receiver<Arc<Applied>>,
        gateway: watch::Receiver<Option<Ipv4Net>>,
    ) -> Self {
        let (tell, nameservers) = watch::channel(None);
        let upstreams = resolv_conf::follow(config.resolv_conf, config.upstream_port);
        let counter = Counter { port: config.port, applied, upstreams, tell };
        let task = AbortOnDropHandle::new(tokio::spawn(counter.keep(gateway)));
        Self { nameservers, _task: task }
    }

    /// Whom containers should ask: this resolver, and after it those that the machine asks, for the time that this one
    /// is away.
    pub fn nameservers(&self) -> watch::Receiver<Nameservers> {
        self.nameservers.clone()
    }
}

/// What every address shares.
struct Counter {
    port: u16,
    applied: watch::Receiver<Arc<Applied>>,
    upstreams: watch::Receiver<Upstreams>,
    tell: watch::Sender<Nameservers>,
}

impl Counter {
    async fn keep(self, mut gateway: watch::Receiver<Option<Ipv4Net>>) {
        loop {
            let at = *gateway.borrow_and_update();
            tokio::select! {
                () = self.attend(at) => {}
                () = moved(&mut gateway) => {}
            }
        }
    }

    async fn attend(&self, at: Option<Ipv4Net>) {
        let Some(gateway) = at else {
            self.tell.send_replace(None);
            return pending().await;
        };
        let address = SocketAddr::new(gateway.addr().into(), self.port);
        let mut failures = 0;
        loop {
            match bind(address).await {
                Ok(sockets) => {
                    self.serve(gateway, sockets).await;
                    failures = 0;
                }
                Err(error) => {
                    failures += 1;
                    // A process that this one follows lets go in a moment.
                    if failures == BIND_FAILURES {
                        warn!(%address, %error, "containers find no apps by their internal names: the node's resolver cannot listen, perhaps because another program does; it is tried again");
                        self.tell.send_replace(Some(vec![]));
                    }
                }
            }
            sleep(BIND_PAUSE).await;
        }
    }

    async fn serve(&self, gateway: Ipv4Net, (udp, tcp): (UdpSocket, TcpListener)) {
        let (applied, upstreams) = (self.applied.clone(), self.upstreams.clone());
        let desk = Arc::new(Desk { gateway, applied, upstreams });
        info!(address = %gateway.addr(), "containers find apps by their internal names");
        tokio::select! {
            () = udp::serve(udp, desk.clone()) => {}
            () = tcp::serve(tcp, desk, pending()) => {}
            () = self.announce(gateway) => {}
        }
    }

    /// Tells whom containers should ask, now and whenever that changes.
    async fn announce(&self, gateway: Ipv4Net) {
        let mut upstreams = self.upstreams.clone();
        loop {
            let known = upstreams.borrow_and_update().clone();
            let behind_stub = resolv_conf::behind_stub().await;
            let others = resolv_conf::stand_ins(gateway.addr(), &known, &behind_stub);
            let all = [gateway.addr().into()].into_iter().chain(others);
            self.tell.send_replace(Some(all.take(UPSTREAMS_MAX).collect()));
            if upstreams.changed().await.is_err() {
                return pending().await;
            }
        }
    }
}

/// Waits for another address; for ever where nobody tells.
async fn moved(gateway: &mut watch::Receiver<Option<Ipv4Net>>) {
    if gateway.changed().await.is_err() {
        pending().await
    }
}

async fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    Ok((UdpSocket::bind(address).await?, TcpListener::bind(address).await?))
}
