//! Nodes on loopback with a certificate authority of their own.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use temps_mesh::{Arrival, Incoming, Mesh, MeshConfig, MeshStream, MeshTls, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

/// A cluster's certificate authority and what everybody knows of everybody.
pub struct Cluster {
    authority: CertifiedIssuer<'static, KeyPair>,
    certs: Mutex<HashMap<CertificateDer<'static>, u64>>,
    addresses: Mutex<HashMap<u64, SocketAddr>>,
}

impl Cluster {
    pub fn new() -> Arc<Self> {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        Arc::new(Self { authority, certs: Mutex::default(), addresses: Mutex::default() })
    }

    /// Where others look for a node.
    pub fn place(&self, node: u64, address: SocketAddr) {
        self.addresses.lock().unwrap().insert(node, address);
    }

    /// From now on the node is nobody.
    pub fn remove(&self, node: u64) {
        self.certs.lock().unwrap().retain(|_, owner| *owner != node);
    }

    /// A certificate that the authority signed and the members know as `node`'s, good for the server names `names`.
    pub fn identity(self: &Arc<Self>, node: u64, names: &[u64]) -> Arc<Identity> {
        let identity = self.unknown_identity(names);
        self.certs.lock().unwrap().insert(identity.cert.clone(), node);
        identity
    }

    /// As `identity`, but the members do not know it.
    pub fn unknown_identity(self: &Arc<Self>, names: &[u64]) -> Arc<Identity> {
        let names = names.iter().map(|node| format!("node-{node}")).collect::<Vec<_>>();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let cert = params.signed_by(&key, &self.authority).unwrap().der().clone();
        Arc::new(Identity { cluster: self.clone(), cert, key: key.into() })
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        Arc::new(roots)
    }
}

/// One node's certificate.
pub struct Identity {
    cluster: Arc<Cluster>,
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl MeshTls for Identity {
    fn server(&self) -> Arc<rustls::ServerConfig> {
        let clients = WebPkiClientVerifier::builder_with_provider(self.cluster.roots(), provider());
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(vec![self.cert.clone()], self.key.clone_key())
            .unwrap();
        Arc::new(config)
    }

    fn client(&self, _: u64) -> Arc<rustls::ClientConfig> {
        let servers = WebPkiServerVerifier::builder_with_provider(self.cluster.roots(), provider());
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_webpki_verifier(servers.build().unwrap())
            .with_client_auth_cert(vec![self.cert.clone()], self.key.clone_key())
            .unwrap();
        Arc::new(config)
    }

    fn node_of(&self, certs: &[CertificateDer<'static>]) -> Option<u64> {
        self.cluster.certs.lock().unwrap().get(certs.first()?).copied()
    }

    fn address(&self, node: u64) -> Option<SocketAddr> {
        self.cluster.addresses.lock().unwrap().get(&node).copied()
    }
}

pub const ANY: &str = "127.0.0.1:0";

pub fn bind(tls: Arc<Identity>, listen: &str) -> (Mesh, Incoming) {
    Mesh::bind(MeshConfig { listen: listen.parse().unwrap(), tls }).unwrap()
}

/// A node others can find, with its streams yet to be taken.
pub fn node(cluster: &Arc<Cluster>, node: u64) -> (Mesh, Incoming) {
    let (mesh, incoming) = bind(cluster.identity(node, &[node]), ANY);
    cluster.place(node, mesh.local_addr());
    (mesh, incoming)
}

/// A node that echoes on every stream.
pub fn echo_node(cluster: &Arc<Cluster>, id: u64) -> Mesh {
    let (mesh, incoming) = node(cluster, id);
    tokio::spawn(serve(incoming, echo));
    mesh
}

/// Accepts every stream and hands it on.
pub async fn serve<F>(mut incoming: Incoming, handle: fn(MeshStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(Arrival { stream, .. }) = incoming.next().await {
        tokio::spawn(async move {
            if let Ok(stream) = stream.accept().await {
                handle(stream).await;
            }
        });
    }
}

pub async fn echo(stream: MeshStream) {
    let (mut from, mut to) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

/// Bytes that differ from place to place and from seed to seed.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()
    };
    let mut bytes = (0..length.div_ceil(8)).flat_map(next).collect::<Vec<u8>>();
    bytes.truncate(length);
    bytes
}

/// Sends `body`, ends, and returns all that comes back.
pub async fn exchange(stream: MeshStream, body: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = tokio::io::split(stream);
    let mut back = Vec::with_capacity(body.len());
    let send = async {
        to.write_all(body).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let ((), received) = tokio::join!(send, from.read_to_end(&mut back));
    received.unwrap();
    back
}

/// Whether a stream to an echoing node works.
pub async fn reaches(mesh: &Mesh, node: u64) -> bool {
    match mesh.open(node, Target::Api).await {
        Ok(stream) => exchange(stream, b"there?").await == b"there?",
        Err(_) => false,
    }
}

/// Tries until the node is reached, and says how long that took.
pub async fn reached_again(mesh: &Mesh, node: u64, within: Duration) -> Duration {
    let began = Instant::now();
    while !reaches(mesh, node).await {
        assert!(began.elapsed() < within, "node {node} is not reached");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

/// quinn's own settings for a client that takes any server for what it says, with this certificate.
pub fn trusting_nobody(identity: &Identity) -> quinn::ClientConfig {
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_client_auth_cert(vec![identity.cert.clone()], identity.key.clone_key());
    let mut config = config.unwrap();
    config.alpn_protocols = vec![temps_mesh::ALPN.to_vec()];
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    quinn::ClientConfig::new(Arc::new(config))
}

/// Settings that QUIC cannot use.
pub fn tls12_client() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
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
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
