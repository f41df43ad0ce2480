//! Clients of every kind that ask an edge again and again, and count what was not as it should be.

mod http3;
mod https;
mod names;
mod socket;
mod streams;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use http3::Http3;
pub use https::Https;
pub use names::Question;
pub use socket::Socket;
pub use streams::Streams;

/// How long anything that is asked for may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two visits.
const PAUSE: Duration = Duration::from_millis(400);
/// Where edges speak TLS, and where nodes are asked for names.
const HTTPS: u16 = 443;
const DNS: u16 = 53;

/// An edge that a name leads to.
#[derive(Clone)]
pub struct Place {
    /// Its address.
    pub edge: Ipv4Addr,
    /// The name.
    pub name: String,
    /// Who vouches for it.
    pub root: CertificateDer<'static>,
}

impl Place {
    fn https(&self) -> SocketAddr {
        (self.edge, HTTPS).into()
    }

    fn dns(&self) -> SocketAddr {
        (self.edge, DNS).into()
    }

    /// What a client believes that speaks these protocols.
    fn trust(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    async fn connect(&self, protocol: &[u8]) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(self.name.clone()).map_err(said("the name"))?;
        let stream = TcpStream::connect(self.https()).await.map_err(said("connecting"))?;
        let tls = TlsConnector::from(Arc::new(self.trust(&[protocol])));
        tls.connect(name, stream).await.map_err(said("shaking hands"))
    }
}

/// What went wrong, and with what.
fn said<E: std::fmt::Debug>(what: &str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error:?}")
}

/// Something that happens now and then, and is counted.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has happened.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a client does at each visit.
pub trait Visit: Send + 'static {
    /// Visits once more.
    fn visit(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// A client that comes back again and again.
pub struct Regular {
    what: String,
    stop: watch::Sender<bool>,
    visits: watch::Receiver<usize>,
    task: JoinHandle<Vec<String>>,
}

impl Regular {
    /// Begins; `what` says who it is.
    pub fn start(what: String, mut client: impl Visit) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (count, visits) = watch::channel(0);
        let task = tokio::spawn(async move {
            let (began, mut failures) = (Instant::now(), Vec::new());
            while !*stopped.borrow() {
                let at = began.elapsed();
                match timeout(PATIENCE, client.visit()).await {
                    Ok(Ok(())) => count.send_modify(|count| *count += 1),
                    Ok(Err(why)) => failures.push(format!("after {at:.1?}: {why}")),
                    Err(_) => failures.push(format!("after {at:.1?}: no answer in time")),
                }
                sleep(PAUSE).await;
            }
            failures
        });
        Self { what, stop, visits, task }
    }

    /// Returns once it got what it wanted some more times.
    pub async fn goes_on(&mut self) {
        const MORE: usize = 5;
        let wanted = *self.visits.borrow() + MORE;
        let visited = timeout(PATIENCE, self.visits.wait_for(|visits| *visits >= wanted));
        let visited = visited.await;
        assert!(visited.is_ok_and(|visited| visited.is_ok()), "{} does not go on", self.what);
    }

    /// Ends it, and gives what went wrong.
    pub async fn end(self) -> Vec<String> {
        self.stop.send_replace(true);
        let failures = self.task.await.expect("it ends");
        println!("{}: {} visits, {} failed", self.what, *self.visits.borrow(), failures.len());
        failures.into_iter().map(|failure| format!("{} {failure}", self.what)).collect()
    }
}
