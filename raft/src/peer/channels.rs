//! The channels that calls go out by: one per node, made when first needed, made anew when it keeps failing.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use temps_proto::peer::peer_client::PeerClient;
use temps_state::NodeId;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::error::NotConnected;
use super::{ALPN, CONNECTION_WINDOW_BYTES, MESSAGE_BYTES_MAX, PeerError, STREAM_WINDOW_BYTES};
use crate::Applied;
use crate::heard::Heard;
use crate::trust::Trust;

/// How long making a connection may take, with its handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// How often a connection is checked, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// After how many failed calls in a row, and for how long, a channel is made anew.
const FAILURES_MAX: u32 = 3;
const FAILING_MAX: Duration = Duration::from_secs(2);
/// The server name that is sent; who was reached is told by the certificate.
const SERVER_NAME: &str = "peer.temps";

/// What a channel is for. A snapshot must not hold up a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short calls.
    Calls,
    /// Snapshots.
    Bulk,
}

/// Whom to call.
#[derive(Debug, Clone)]
pub struct Target {
    /// Which node.
    pub node: NodeId,
    /// Where it is when the state does not tell.
    pub fallback: Option<SocketAddr>,
    /// By which channel.
    pub lane: Lane,
}

impl Target {
    /// A short call to a node that the state knows.
    pub fn calls(node: NodeId) -> Self {
        Self { node, fallback: None, lane: Lane::Calls }
    }
}

/// What calls go out by.
#[cfg(not(test))]
pub type Wire = Channel;
#[cfg(test)]
pub use crate::simulation::Wire;

/// How a channel is made.
enum Carrier {
    /// Over TLS, to a node with the right certificate.
    Tls(Arc<Trust>),
    #[cfg(test)]
    Simulated(crate::simulation::Station),
}

/// The other nodes, as this one reaches them.
pub struct Peers {
    carrier: Carrier,
    applied: watch::Receiver<Arc<Applied>>,
    lines: Mutex<HashMap<(NodeId, Lane), Line>>,
    heard: Heard,
}

struct Line {
    client: PeerClient<Wire>,
    failures: u32,
    succeeded: Instant,
}

impl Peers {
    /// Nobody is called yet.
    pub fn new(trust: Arc<Trust>, applied: watch::Receiver<Arc<Applied>>) -> Arc<Self> {
        Self::over(Carrier::Tls(trust), applied)
    }

    /// The same in a simulated network.
    #[cfg(test)]
    pub fn simulated(
        station: crate::simulation::Station,
        applied: watch::Receiver<Arc<Applied>>,
    ) -> Arc<Self> {
        Self::over(Carrier::Simulated(station), applied)
    }

    fn over(carrier: Carrier, applied: watch::Receiver<Arc<Applied>>) -> Arc<Self> {
        Arc::new(Self { carrier, applied, lines: Mutex::default(), heard: Heard::default() })
    }

    /// Where a node is, if that is known.
    pub fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.applied.borrow().nodes.get(&node).and_then(|node| node.address)
    }

    /// Whom this node has heard as their leader.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Ends the connections; whoever calls afterwards makes new ones.
    pub fn hang_up(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Makes one call.
    pub async fn call<T, F>(
        self: &Arc<Self>,
        to: &Target,
        within: Duration,
        ask: impl FnOnce(PeerClient<Wire>) -> F,
    ) -> Result<T, PeerError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let node = to.node;
        if self.address(node).or(to.fallback).is_none() {
            return Err(PeerError::NoAddress { node });
        }
        let result = match timeout(within, ask(self.client(to))).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(PeerError::of(node, status)),
            Err(_) => Err(PeerError::Timeout { node, within }),
        };
        self.count(to, result.is_ok());
        result
    }

    fn client(self: &Arc<Self>, to: &Target) -> PeerClient<Wire> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry((to.node, to.lane));
        let make = || Line { client: self.make(to), failures: 0, succeeded: Instant::now() };
        line.or_insert_with(make).client.clone()
    }

    /// A channel may stay dead after its connection broke; one that fails again and again is given up.
    fn count(&self, to: &Target, succeeded: bool) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = lines.get_mut(&(to.node, to.lane)) else { return };
        if succeeded {
            (line.failures, line.succeeded) = (0, Instant::now());
            return;
        }
        line.failures += 1;
        if line.failures >= FAILURES_MAX && line.succeeded.elapsed() >= FAILING_MAX {
            lines.remove(&(to.node, to.lane));
        }
    }

    fn make(self: &Arc<Self>, to: &Target) -> PeerClient<Wire> {
        let wire = match &self.carrier {
            Carrier::Tls(trust) => wire(self.channel(trust.clone(), to)),
            #[cfg(test)]
            Carrier::Simulated(station) => Wire::Simulated(station.to(to.node)),
        };
        PeerClient::new(wire)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn channel(self: &Arc<Self>, trust: Arc<Trust>, to: &Target) -> Channel {
        let endpoint = Endpoint::from_static("http://peer.temps")
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let (peers, to) = (Arc::downgrade(self), to.clone());
        let connector = tower::service_fn(move |_| {
            let (peers, trust, to) = (peers.clone(), trust.clone(), to.clone());
            async move {
                let peers = peers.upgrade().ok_or_else(gone)?;
                let connecting = timeout(CONNECT_TIMEOUT, peers.connect(&trust, &to));
                let stream = connecting.await.unwrap_or_else(|_| Err(too_slow()))?;
                Ok::<_, NotConnected>(TokioIo::new(stream))
            }
        });
        endpoint.connect_with_connector_lazy(connector)
    }

    async fn connect(&self, trust: &Trust, to: &Target) -> io::Result<TlsStream<TcpStream>> {
        let address = self.address(to.node).or(to.fallback).ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(SERVER_NAME).expect("a fixed, well-formed name");
        let connector = TlsConnector::from(trust.client(to.node, ALPN));
        connector.connect(name, stream).await
    }
}

#[cfg(not(test))]
fn wire(channel: Channel) -> Wire {
    channel
}

#[cfg(test)]
fn wire(channel: Channel) -> Wire {
    Wire::Real(channel)
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peers")
    }
}

fn gone() -> io::Error {
    io::Error::other("this node has stopped")
}

fn too_slow() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
