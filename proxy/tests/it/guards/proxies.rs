//! Who asks, where proxies stand between: those that are trusted say so, and strangers cannot.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use temps_state::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Guarded, networks};
use crate::support::authority::{client_of_anybody, get};
use crate::support::upstream::Upstream;
use crate::support::{TestEdge, body, host, read_to_end, status};

#[tokio::test]
async fn an_app_hears_who_asks_through_proxies_that_are_trusted() {
    let mut guarded = Guarded::start().await;
    let echo = |answer: String| body(&answer).to_ascii_lowercase();
    let told = echo(guarded.get("/echo", "198.51.100.1, 203.0.113.7", "").await);
    assert!(told.contains("\r\nx-real-ip: 203.0.113.7\r\n"), "{told}");
    assert!(told.contains("\r\nx-forwarded-for: 198.51.100.1, 203.0.113.7, 127.0.0.1\r\n"));
    assert!(told.contains("\r\nx-forwarded-proto: http\r\n"), "{told}");
    let https = "X-Forwarded-Proto: https\r\n";
    assert!(echo(guarded.get("/echo", "203.0.113.7", https).await).contains("-proto: https"));
    let settings = Settings::default();
    guarded.edge.apply(Command::ChangeSettings { settings }).await;
    let told = echo(guarded.get("/echo", "203.0.113.7", https).await);
    assert!(told.contains("\r\nx-real-ip: 127.0.0.1\r\n") && told.contains("-proto: http\r\n"));
    assert!(told.contains("\r\nx-forwarded-for: 203.0.113.7, 127.0.0.1\r\n"), "{told}");
}

#[tokio::test]
async fn proxies_speak_for_their_clients() {
    let mut guarded = Guarded::start().await;
    let mut settings = guarded.edge.state().settings();
    settings.edge.proxy_protocol = true;
    settings.edge.connections_per_client_max = 1;
    guarded.edge.apply(Command::ChangeSettings { settings }).await;
    let deny = Guard { deny: networks(&["203.0.113.0/24"]), ..Guard::default() };
    guarded.guard(Scope::Cluster, deny).await;
    let request =
        format!("GET /echo HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host("shop"));
    let ask = async |header: &[u8]| guarded.edge.raw(&[header, request.as_bytes()].concat()).await;
    let first = ask(b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n").await;
    assert!(body(&first).to_ascii_lowercase().contains("x-real-ip: 192.0.2.1\r\n"), "{first}");
    let denied = ask(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n").await;
    assert_eq!(status(&denied), 403);
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x12\x67\0\x50";
    assert_eq!(status(&ask(second).await), 403);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert_eq!(status(&ask(local).await), 200, "the proxy speaks for itself");
    for broken in [&b""[..], b"PROXY TCP4 1 2 3 4\r\n", b"PROXY nonsense\r\n"] {
        let answer = ask(broken).await;
        assert_eq!(status(&answer), 400, "{}", broken.escape_ascii());
    }
    // Each client may have one connection, however many the proxy has.
    let open = async |client: &str| {
        let mut stream = TcpStream::connect(guarded.edge.http).await.unwrap();
        let header = format!("PROXY TCP4 {client} 127.0.0.1 4711 80\r\n{request}");
        stream.write_all(header.as_bytes()).await.unwrap();
        stream
    };
    let held = {
        let mut stream = TcpStream::connect(guarded.edge.http).await.unwrap();
        stream.write_all(b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 80\r\nGET /slow").await.unwrap();
        stream
    };
    let refused = async || read_to_end(&mut open("192.0.2.9").await).await.is_empty();
    while !refused().await {}
    assert_eq!(status(&read_to_end(&mut open("192.0.2.8").await).await), 200);
    drop(held);
}

#[tokio::test]
async fn a_handshake_follows_what_a_proxy_says() {
    let mut guarded = Guarded::start().await;
    let mut settings = guarded.edge.state().settings();
    settings.edge.proxy_protocol = true;
    guarded.edge.apply(Command::ChangeSettings { settings }).await;
    let deny = Guard { deny: networks(&["203.0.113.0/24"]), ..Guard::default() };
    guarded.guard(Scope::Cluster, deny).await;
    let name = host("shop");
    let client = TlsConnector::from(Arc::new(client_of_anybody()));
    for (from, code) in [("192.0.2.1", "200"), ("203.0.113.7", "403")] {
        let mut stream = TcpStream::connect(guarded.edge.https).await.unwrap();
        let header = format!("PROXY TCP4 {from} 127.0.0.1 4711 443\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        let server = ServerName::try_from(name.clone()).unwrap();
        let mut stream = client.connect(server, stream).await.expect("a handshake");
        let answer = get(&mut stream, &name).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{from}: {answer}");
    }
}

#[tokio::test]
async fn strangers_do_not_speak_for_others() {
    let mut edge = TestEdge::start_with(|settings| {
        settings.edge.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()];
        settings.edge.proxy_protocol = true;
    })
    .await;
    let app = Upstream::start("app").await;
    edge.app("shop", &[app.addr]).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host("shop"));
    assert_eq!(status(&edge.raw(request.as_bytes()).await), 200);
    for header in [
        &b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x12\x67\0\x50",
    ] {
        let answer = edge.raw(&[header, request.as_bytes()].concat()).await;
        assert_eq!(status(&answer), 400, "{}", header.escape_ascii());
    }
}
