//! The peer port as an attacker meets it, from no key at all to a node's own.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use temps_proto::join::JoinRequest;
use temps_proto::join::join_client::JoinClient;
use temps_proto::peer::peer_client::PeerClient;
use temps_proto::peer::{Message, ProposeRequest, StatusRequest};
use temps_state::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::common::ground::{Place, found, join_one, propose, token};
use crate::common::{put, until};

/// What comes before the seed in the PKCS #8 form of an Ed25519 key.
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Where no node is.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 2), 0);
/// Longer than any handshake may take.
const SOON: Duration = Duration::from_secs(10);

/// An attacker does not mind whom it reaches.
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

/// Shows a certificate that this key signed for itself, or none.
fn showing(key: Option<&KeyPair>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match key {
        None => builder.with_no_client_auth(),
        Some(key) => {
            let certificate = CertificateParams::default().self_signed(key).unwrap();
            let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The key in a join token.
fn key_of(token: &str) -> KeyPair {
    let octets = URL_SAFE_NO_PAD.decode(token.strip_prefix("tj_").unwrap()).unwrap();
    let der = [&PKCS8_HEAD[..], &octets[..32]].concat();
    KeyPair::from_pkcs8_der_and_sign_algo(&der.as_slice().into(), &PKCS_ED25519).unwrap()
}

/// Everything that a server says after the handshake, until it hangs up.
async fn heard(to: &Place, config: Arc<ClientConfig>) -> io::Result<Vec<u8>> {
    let tcp = TcpStream::connect(to.address).await?;
    let name = ServerName::try_from("any.example").unwrap();
    let mut tls = TlsConnector::from(config).connect(name, tcp).await?;
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    let mut heard = Vec::new();
    timeout(SOON, tls.read_to_end(&mut heard)).await.expect("it hangs up")?;
    Ok(heard)
}

/// A channel that does as the config says.
async fn channel(to: &Place, config: Arc<ClientConfig>) -> Channel {
    let address = to.address;
    let connector = tower::service_fn(move |_| {
        let config = config.clone();
        async move {
            let tcp = TcpStream::connect(address).await?;
            let name = ServerName::try_from("any.example").unwrap();
            TlsConnector::from(config).connect(name, tcp).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://peer.temps");
    endpoint.connect_with_connector(connector).await.unwrap()
}

/// The code that a call ends with.
async fn code<T>(call: impl Future<Output = Result<T, tonic::Status>>) -> Code {
    let ended = timeout(SOON, call).await.expect("it is answered");
    ended.err().map_or(Code::Ok, |status| status.code())
}

/// That the node does what it is there for.
async fn is_well(place: &Place, number: u64) {
    put(place.node(), number).await.expect("it takes changes");
    let _joined = join_one(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_key_of_the_cluster_hears_nothing() {
    let one = found().await;
    let keys = [
        None,
        Some(KeyPair::generate_for(&PKCS_ED25519).unwrap()),
        Some(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()),
    ];
    for key in &keys {
        let heard = heard(&one, showing(key.as_ref())).await;
        assert!(heard.as_ref().is_ok_and(Vec::is_empty) || heard.is_err(), "{heard:?}");
    }
    is_well(&one, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_opens_its_own_service_only() {
    let one = found().await;
    let text = token(&one).await;
    let token_only = channel(&one, showing(Some(&key_of(&text)))).await;
    let mut peer = PeerClient::new(token_only.clone());
    assert_eq!(code(peer.status(StatusRequest {})).await, Code::PermissionDenied);
    assert_eq!(code(peer.append(Message::default())).await, Code::PermissionDenied);
    assert_eq!(code(peer.vote(Message::default())).await, Code::PermissionDenied);
    let entry = ProposeRequest::default();
    assert_eq!(code(peer.propose(entry)).await, Code::PermissionDenied);

    // A used token is let in only to be told so, and for nothing else.
    let two = join_one(&one).await;
    let mut join = JoinClient::new(token_only.clone());
    let long = JoinRequest { name: "x".repeat(100 << 10), ..JoinRequest::default() };
    assert_eq!(code(join.join(long)).await, Code::OutOfRange);
    assert_eq!(code(join.join(JoinRequest::default())).await, Code::Ok, "refused in words");

    // A node is no joiner, and not even a node may send whatever it likes.
    let tls = two.node().peers().unwrap().client(one.id, &[b"h2"]);
    let as_node = channel(&one, tls).await;
    let joins = JoinClient::new(as_node.clone()).join(JoinRequest::default()).await;
    assert_eq!(joins.unwrap_err().code(), Code::PermissionDenied);
    let mut peer = PeerClient::new(as_node);
    assert_eq!(code(peer.status(StatusRequest {})).await, Code::Ok);
    let nonsense = Message { body: vec![0xc1; 1000].into() };
    assert_eq!(code(peer.append(nonsense.clone())).await, Code::InvalidArgument);
    assert_eq!(code(peer.vote(nonsense)).await, Code::InvalidArgument);
    let huge = Message { body: vec![0; 9 << 20].into() };
    assert_eq!(code(peer.append(huge)).await, Code::OutOfRange);

    // The connection of a removed node stays open, and is of no use.
    propose(one.node(), Command::RemoveNode { id: two.id, beside: [].into() }).await;
    assert_eq!(code(peer.status(StatusRequest {})).await, Code::PermissionDenied);
    is_well(&one, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_that_asks_again_and_again_adds_nothing_to_the_log() {
    let one = found().await;
    let text = token(&one).await;
    let mut join = JoinClient::new(channel(&one, showing(Some(&key_of(&text)))).await);
    until("the node is at rest", || one.status().applied == one.status().last_log).await;
    let before = one.status().last_log;
    // Calls that are taken back at once, as fast as they can be made.
    for _ in 0..5_000 {
        let call = join.join(JoinRequest::default());
        if timeout(Duration::ZERO, call).await.is_ok_and(|answer| answer.is_err()) {
            break;
        }
    }
    let again = channel(&one, showing(Some(&key_of(&text)))).await;
    assert_eq!(code(JoinClient::new(again).join(JoinRequest::default())).await, Code::Ok);
    assert_eq!(one.status().last_log, before);
    is_well(&one, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn half_open_and_half_said_handshakes_end_by_themselves() {
    let one = found().await;
    let mut half_open = Vec::new();
    for number in 0..1_000 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(ELSEWHERE.into()).unwrap();
        let mut stream = socket.connect(one.address).await.unwrap();
        if number % 2 == 0 {
            // The head of a hello that never comes.
            let _ = stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await;
        }
        half_open.push(stream);
    }
    // Meanwhile others get in, from where a node is.
    is_well(&one, 1).await;
    let begun = Instant::now();
    for mut stream in half_open {
        let mut heard = [0];
        let left = SOON.saturating_sub(begun.elapsed());
        let ended = timeout(left, stream.read(&mut heard)).await.expect("it hangs up in time");
        assert!(ended.is_err() || ended.is_ok_and(|length| length == 0));
    }
    println!("1000 half-open connections were closed after {:?}", begun.elapsed());
    is_well(&one, 2).await;
}
