//! A certificate authority, and TLS clients that trust it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    version,
};
use temps_state::{Certificate, CertificateSource, DomainName, Id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{PATIENCE, cluster_key};

/// An authority that nobody but its clients trusts.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    made: u64,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("an authority"), made: 0 }
    }

    /// A certificate for some names, as the state holds it.
    pub fn issue(&mut self, names: &[&str]) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let sans: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(sans).expect("names");
        let chain = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        self.row(names, chain, &key.serialize_pem())
    }

    /// A row of the state that holds this certificate.
    pub fn row(&mut self, names: &[&str], chain: String, key: &str) -> Certificate {
        self.made += 1;
        let id = temps_state::CertificateId::from_parts(1_700_000_000_000 + self.made, 1);
        let names: Vec<DomainName> =
            names.iter().map(|name| name.parse().expect("a name")).collect();
        let now = Timestamp::now();
        Certificate {
            id,
            chain,
            key: cluster_key().seal([0; 12], &Certificate::place(id), key).expect("short"),
            not_before: now - SignedDuration::from_hours(1),
            not_after: now + SignedDuration::from_hours(90 * 24),
            issuer: "test".into(),
            source: CertificateSource::Issued {
                domain: names[0].clone(),
                directory: "https://ca.example/directory".into(),
            },
            names,
            created_at: now,
            renewal: None,
        }
    }

    /// A client that trusts the authority, and is shown a certificate at each connection.
    pub fn client(&self) -> ClientConfig {
        let mut client = self.client_of(&[&version::TLS13, &version::TLS12]);
        client.resumption = Resumption::disabled();
        client
    }

    /// One that resumes sessions, and speaks only these versions.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// The authority in PEM.
    pub fn root(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(self.issuer.pem().as_bytes()).expect("a root")
    }
}

/// Connects over TLS and asks for a name.
pub async fn connect(
    config: &Arc<ClientConfig>,
    addr: SocketAddr,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connected = TlsConnector::from(config.clone()).connect(name, stream);
    timeout(PATIENCE, connected).await.expect("in time")
}

/// Asks for `/` over a connection, and keeps it open.
pub async fn get(stream: &mut TlsStream<TcpStream>, host: &str) -> String {
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it is open");
    let mut octets = Vec::new();
    let whole = async {
        while !ends(&octets) {
            let read = stream.read_buf(&mut octets).await.expect("it is open");
            assert!(read > 0, "it was closed");
        }
    };
    timeout(PATIENCE, whole).await.expect("in time");
    String::from_utf8_lossy(&octets).into_owned()
}

fn ends(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = super::header(head, "content-length").and_then(|length| length.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// The certificate that the server showed, in DER.
pub fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let chain = stream.get_ref().1.peer_certificates().expect("it showed one");
    chain[0].to_vec()
}

/// A client that trusts whatever it is shown.
pub fn client_of_anybody() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth()
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
