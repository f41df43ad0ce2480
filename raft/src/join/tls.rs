//! The joiner's connection to a member.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, join, split};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::JoinError;
use super::pinned::Pinned;
use crate::trust::{Token, provider};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the handshake may take, with the member's first words.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most octets that are read of the member's first words.
const FIRST_WORDS_MAX: usize = 1024;

/// A connection that both sides agreed to.
pub struct Connection<T> {
    /// Whom it reached.
    pub peer: SocketAddr,
    /// What goes over it.
    pub stream: T,
}

/// Reaches a member and makes sure that it belongs to the token's cluster.
pub async fn connect(
    peer: &str,
    token: &Token,
) -> Result<Connection<impl AsyncRead + AsyncWrite + Send + Unpin + 'static>, JoinError> {
    let unreachable = |source| JoinError::Unreachable { peer: peer.into(), source };
    let tcp = reach(peer).await.map_err(unreachable)?;
    let address = tcp.peer_addr().map_err(unreachable)?;
    let connector = TlsConnector::from(Arc::new(config(token)?));
    let name = ServerName::IpAddress(address.ip().into());
    let handshake = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, tcp)).await;
    let tls = handshake.unwrap_or_else(|_| Err(silent())).map_err(|e| judge(peer, e))?;
    // A member refuses a token after the joiner's side of the handshake is done, and speaks first when it does not:
    // nothing is said to it before that is clear.
    let (mut read, write) = split(tls);
    let mut first = Vec::with_capacity(FIRST_WORDS_MAX);
    let words = timeout(HANDSHAKE_TIMEOUT, read.read_buf(&mut first)).await;
    match words.unwrap_or_else(|_| Err(silent())) {
        Ok(0) => Err(judge(peer, io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => {
            Ok(Connection { peer: address, stream: join(Cursor::new(first).chain(read), write) })
        }
        Err(error) => Err(judge(peer, error)),
    }
}

async fn reach(peer: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(peer).await? {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(silent())) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn config(token: &Token) -> Result<ClientConfig, JoinError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring has cipher suites for TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(token.clone())))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(token.certified()?)));
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// What a handshake that failed says about the token and the peer.
fn judge(peer: &str, error: io::Error) -> JoinError {
    use CertificateError::{NotValidForName, UnknownIssuer};
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let peer = peer.to_owned();
    match tls {
        Some(rustls::Error::InvalidCertificate(UnknownIssuer | NotValidForName)) => {
            JoinError::TokenForeign { peer }
        }
        Some(rustls::Error::AlertReceived(AlertDescription::AccessDenied)) => {
            JoinError::TokenUnknown { peer }
        }
        Some(_) => JoinError::NotAPeer { peer, source: error },
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            JoinError::NotAPeer { peer, source: error }
        }
        None => JoinError::Unreachable { peer, source: error },
    }
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
}
