//! A client that speaks TLS with one edge at a time, by a name that leads to all of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a visit may take.
const VISIT_LIMIT: Duration = Duration::from_secs(5);
/// Octets of an answer's first line, up to and with its status.
const STATUS_END: usize = "HTTP/1.1 200".len();

/// Visits edges, and believes only the certificates of one authority.
#[derive(Debug, Clone)]
pub struct Visitor {
    config: Arc<ClientConfig>,
}

/// What an edge did for a visitor whom it had shown a certificate that is right for the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The HTTP status.
    pub status: u16,
    /// Whether it went on with an earlier session.
    pub resumed: bool,
}

impl Visitor {
    /// One that trusts this root, in PEM, and is shown a certificate at every visit.
    ///
    /// # Errors
    /// When that is no root.
    pub fn trusting(root: &str) -> Result<Self, rustls::Error> {
        Ok(Self { config: Arc::new(config(root, Resumption::disabled())?) })
    }

    /// One that trusts this root, in PEM, and keeps the tickets that edges give it, for any of them.
    ///
    /// # Errors
    /// When that is no root.
    pub fn resuming(root: &str) -> Result<Self, rustls::Error> {
        Ok(Self { config: Arc::new(config(root, Resumption::in_memory_sessions(1))?) })
    }

    /// Asks an edge for `/` of a name.
    ///
    /// # Errors
    /// When the edge shows no certificate that is right, or does not answer in time.
    pub async fn visit(&self, edge: SocketAddr, name: &str) -> io::Result<Visit> {
        timeout(VISIT_LIMIT, self.ask(edge, name)).await?
    }

    async fn ask(&self, edge: SocketAddr, name: &str) -> io::Result<Visit> {
        let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(edge).await?;
        let mut stream = TlsConnector::from(self.config.clone()).connect(server, stream).await?;
        let request = format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        // Whatever comes after the handshake, tickets above all, comes before the answer.
        let mut answer = [0; STATUS_END];
        stream.read_exact(&mut answer).await?;
        let status = str::from_utf8(&answer).ok().and_then(|line| line.rsplit(' ').next());
        let status = status.and_then(|status| status.parse().ok());
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok(Visit { status: status.ok_or(io::ErrorKind::InvalidData)?, resumed })
    }
}

fn config(root: &str, resumption: Resumption) -> Result<ClientConfig, rustls::Error> {
    let root = CertificateDer::from_pem_slice(root.as_bytes())
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = resumption;
    Ok(config)
}
