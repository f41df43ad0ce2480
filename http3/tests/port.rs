//! Who calls at a port, and what becomes of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use temps_http3::{ALPN, Bounds, Caller, Port, Reason};
use tokio::time::timeout;

const NAME: &str = "shop.example.com";
const PATIENCE: Duration = Duration::from_secs(20);
const BOUNDS: Bounds = Bounds {
    requests_max: 10,
    header_bytes_max: 10_000,
    stream_window: 10_000,
    connection_window: 100_000,
    send_window: 100_000,
};

fn open() -> (Port, SocketAddr, CertificateDer<'static>) {
    open_at(([127, 0, 0, 1], 0).into())
}

fn open_at(address: SocketAddr) -> (Port, SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
    let key = PrivateKeyDer::try_from(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a key of the certificate");
    let port = Port::open(address, tls, BOUNDS).expect("a free port");
    let address = port.address().expect("an address");
    (port, address, certificate)
}

async fn connect(
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    alpn: &str,
) -> Result<quinn::Connection, ConnectionError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.into()];
    let tls = QuicClientConfig::try_from(tls).expect("a cipher");
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
    let config = quinn::ClientConfig::new(Arc::new(tls));
    endpoint.connect_with(config, address, NAME).expect("an attempt").await
}

async fn caller(port: &Port) -> Caller {
    timeout(PATIENCE, port.next()).await.expect("somebody calls").expect("the port is open")
}

#[tokio::test]
async fn who_must_prove_its_address_calls_again() {
    let (port, address, certificate) = open();
    let client = tokio::spawn(connect(address, certificate, ALPN));
    let first = caller(&port).await;
    assert!(!first.is_proven());
    first.prove();
    let again = caller(&port).await;
    assert!(again.is_proven());
    let mut connection = again.greet().await.expect("a handshake");
    let client = client.await.expect("it runs").expect("a connection");
    client.close(0x100_u32.into(), b"");
    assert!(connection.next().await.is_err(), "it has left");
}

#[tokio::test]
async fn who_is_refused_hears_of_it_at_once() {
    let (port, address, certificate) = open();
    let client = tokio::spawn(connect(address, certificate.clone(), ALPN));
    caller(&port).await.refuse();
    assert!(client.await.expect("it runs").is_err());
    tokio::select! {
        client = timeout(PATIENCE, connect(address, certificate, ALPN)) => {
            assert!(client.expect("an answer in time").is_err());
        }
        () = port.refuse() => panic!("the port is open"),
    }
    port.close().await;
    let freed = async {
        while std::net::UdpSocket::bind(address).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("the port is free");
}

#[tokio::test]
async fn other_protocols_are_not_spoken() {
    let (port, address, certificate) = open();
    let client = tokio::spawn(connect(address, certificate.clone(), "temps-mesh/1"));
    assert!(caller(&port).await.greet().await.is_err());
    assert!(client.await.expect("it runs").is_err());
    let client = tokio::spawn(connect(address, certificate, ALPN));
    let connection = caller(&port).await.greet().await.expect("a handshake");
    connection.end(Reason::ExcessiveLoad);
    let end = client.await.expect("it runs").expect("a connection").closed().await;
    assert!(
        matches!(end, ConnectionError::ApplicationClosed(close) if close.error_code == 0x107_u32.into())
    );
}

#[tokio::test]
async fn connections_go_on_while_another_port_follows() {
    let (first, address, certificate) = open();
    let client = tokio::spawn(connect(address, certificate, ALPN));
    let connection = caller(&first).await.greet().await.expect("a handshake");
    let before = client.await.expect("it runs").expect("a connection");

    let (second, _, certificate) = open_at(address);
    for _ in 0..20 {
        let client = tokio::spawn(connect(address, certificate.clone(), ALPN));
        caller(&second).await.greet().await.expect("a handshake");
        client.await.expect("it runs").expect("a connection");
    }
    connection.end(Reason::ExcessiveLoad);
    let end = timeout(PATIENCE, before.closed()).await.expect("it hears of it");
    assert!(
        matches!(end, ConnectionError::ApplicationClosed(close) if close.error_code == 0x107_u32.into())
    );
    drop(connection);
    first.close().await;
    let client = tokio::spawn(connect(address, certificate, ALPN));
    caller(&second).await.greet().await.expect("a handshake");
    client.await.expect("it runs").expect("a connection");
}
