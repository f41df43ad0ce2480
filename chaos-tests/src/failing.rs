//! A server that answers whatever it is asked with an error of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// What it says.
const ANSWER: &[u8] =
    b"HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// Octets of a request that it reads before it answers.
const REQUEST_MAX: usize = 16 * 1024;

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Failing(AbortHandle);

impl Failing {
    /// Listens there, with the certificate and the key of these files.
    pub async fn start(at: SocketAddr, certificate: &Path, key: &Path) -> io::Result<Self> {
        let certificate = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_no_client_auth().with_single_cert(vec![certificate], key)
            })
            .map_err(io::Error::other)?;
        let (acceptor, listener) =
            (TlsAcceptor::from(Arc::new(config)), TcpListener::bind(at).await?);
        let served = tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(acceptor.clone(), stream));
                }
            }
        });
        Ok(Self(served.abort_handle()))
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = vec![0; REQUEST_MAX];
    // Whatever is asked, the answer is the same, and half a question is enough for it.
    if stream.read(&mut request).await? > 0 {
        stream.write_all(ANSWER).await?;
    }
    stream.shutdown().await
}
