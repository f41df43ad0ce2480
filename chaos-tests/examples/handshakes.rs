//! How many handshakes a server of TLS 1.3 manages: as many connections at once as are asked for, each with one request,
//! full or resumed from the one before. Prints how many there were, and ends; the server's processor time is for the
//! caller to read.
//!
//!     handshakes ADDRESS NAME full|resumed SECONDS CONNECTIONS

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Tickets that a client keeps; a server may give several at once, and each is used once.
const TICKETS: usize = 4;

/// Who is visited, and how.
#[derive(Clone)]
struct Errand {
    address: SocketAddr,
    name: ServerName<'static>,
    request: String,
    resumes: bool,
    until: Instant,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match measure(&arguments).await {
        Ok(count) => {
            println!("{count}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &[String]) -> io::Result<u64> {
    let [address, name, kind, seconds, connections] = arguments else {
        return Err(io::Error::other("handshakes ADDRESS NAME full|resumed SECONDS CONNECTIONS"));
    };
    let seconds = Duration::from_secs(seconds.parse().map_err(io::Error::other)?);
    let errand = Errand {
        address: address.parse().map_err(io::Error::other)?,
        name: name.clone().try_into().map_err(io::Error::other)?,
        request: format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n"),
        resumes: kind == "resumed",
        until: Instant::now() + seconds,
    };
    let connections: usize = connections.parse().map_err(io::Error::other)?;
    let mut clients: JoinSet<_> = (0..connections).map(|_| errand.clone().visits()).collect();
    let mut count = 0;
    while let Some(visits) = clients.join_next().await {
        count += visits.map_err(io::Error::other)??;
    }
    Ok(count)
}

impl Errand {
    /// One visit after the other, each with the ticket of the one before.
    async fn visits(self) -> io::Result<u64> {
        let connector = TlsConnector::from(Arc::new(config(self.resumes)?));
        let mut count = 0;
        while Instant::now() < self.until {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let mut stream = connector.connect(self.name.clone(), stream).await?;
            stream.write_all(self.request.as_bytes()).await?;
            let mut answer = Vec::new();
            // Some servers end without saying so in TLS.
            let _ = stream.read_to_end(&mut answer).await;
            if !answer.starts_with(b"HTTP/1.1 200") {
                return Err(io::Error::other("the server does not answer as it should"));
            }
            let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            if count > 0 && resumed != self.resumes {
                return Err(io::Error::other("the server does not resume sessions"));
            }
            count += 1;
        }
        Ok(count)
    }
}

fn config(resumes: bool) -> io::Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.resumption = match resumes {
        true => Resumption::in_memory_sessions(TICKETS),
        false => Resumption::disabled(),
    };
    Ok(config)
}

/// Believes whoever answers, which costs the client nothing.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
