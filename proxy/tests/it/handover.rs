//! An edge that leaves its sockets to the next, as in an upgrade: no client is refused, and those that stay connected are
//! told to come again.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use prometheus_client::registry::Registry;
use rustls::pki_types::ServerName;
use temps_proxy::{Edge, EdgeConfig, EdgeHandle, EdgeSockets};
use temps_state::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::authority::client_of_anybody;
use crate::support::frames::GOAWAY;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, cluster_key, host, http3};

/// How many requests each kind of client has answered before, while and after the sockets change hands.
const ANSWERED: usize = 20;

/// Both processes' sockets, which are the same.
fn sockets() -> [EdgeSockets; 2] {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (http, https) = (listen(), listen());
    let again = EdgeSockets { http: http.try_clone().unwrap(), https: https.try_clone().ok() };
    [EdgeSockets { http, https: Some(https) }, again]
}

/// An edge of another process that has the state of `ground`.
fn start(
    ground: &TestEdge,
    sockets: EdgeSockets,
) -> (EdgeHandle, watch::Sender<Arc<temps_raft::Applied>>) {
    start_with(ground, sockets, &mut Registry::default())
}

fn start_with(
    ground: &TestEdge,
    sockets: EdgeSockets,
    metrics: &mut Registry,
) -> (EdgeHandle, watch::Sender<Arc<temps_raft::Applied>>) {
    let (http, https) = (ground.http, Some(ground.https));
    let data_dir = ground.data.path().into();
    let config = EdgeConfig { http, https, data_dir, node: NodeId(1) };
    let edge = Edge::on(config, sockets).unwrap().with_key(cluster_key());
    let (sender, state) = watch::channel(ground.state());
    (edge.start(state, metrics), sender)
}

/// A client that asks again and again, each time as if it were the first.
struct Asking {
    stop: Arc<AtomicBool>,
    answered: watch::Receiver<usize>,
    asks: tokio::task::JoinHandle<()>,
}

impl Asking {
    /// `keeps` its connections for the next request.
    fn start(port: u16, http1: bool, keeps: bool) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let (count, answered) = watch::channel(0);
        let asks = tokio::spawn(async move {
            let client = client(port, http1);
            while !stopped.load(Ordering::Relaxed) {
                let fresh = if keeps { client.clone() } else { self::client(port, http1) };
                let url = format!("https://{}:{port}/", host("shop"));
                let answer = fresh.get(url).send().await;
                let answer = answer.unwrap_or_else(|error| panic!("http1 {http1}: {error:?}"));
                assert_eq!(answer.status(), 200, "http1 {http1}");
                assert_eq!(answer.text().await.unwrap(), "one");
                count.send_modify(|count| *count += 1);
            }
        });
        Self { stop, answered, asks }
    }

    /// Waits for some more answers.
    async fn goes_on(&mut self) {
        let wanted = *self.answered.borrow() + ANSWERED;
        let answered = self.answered.wait_for(|count| *count >= wanted);
        timeout(PATIENCE, answered).await.expect("in time").expect("no request was refused");
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.asks.await.expect("no request was refused");
    }
}

fn client(port: u16, http1: bool) -> reqwest::Client {
    let at = ([127, 0, 0, 1], port).into();
    let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    let builder = builder.resolve(&host("shop"), at).danger_accept_invalid_certs(true);
    if http1 { builder.http1_only() } else { builder }.build().unwrap()
}

/// A connection to an app over TLS that speaks this protocol.
async fn tls(port: u16, app: &str, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut config = client_of_anybody();
    config.alpn_protocols = vec![protocol.into()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from(host(app)).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_process_takes_over_and_no_client_is_refused() {
    let mut ground = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let chat = Upstream::websocket().await;
    ground.app("shop", &[app.addr]).await;
    ground.app("chat", &[chat.addr]).await;
    let [here, there] = sockets();
    let port = here.https.as_ref().unwrap().local_addr().unwrap().port();
    let (first, _state) = start(&ground, here);

    let all = [(true, false), (true, true), (false, false), (false, true)];
    let mut clients = all.map(|(http1, keeps)| Asking::start(port, http1, keeps));
    for client in &mut clients {
        client.goes_on().await;
    }
    let url = format!("wss://{}:{port}/", host("chat"));
    let stream = tls(port, "chat", b"http/1.1").await;
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    let mut idle = tls(port, "shop", b"h2").await;
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();

    // The next process serves before this one stops.
    let (second, _state) = start(&ground, there);
    let stop = tokio::spawn(first.stop(PATIENCE));
    let last = timeout(PATIENCE, socket.next()).await.expect("in time").unwrap().unwrap();
    let Message::Close(Some(reason)) = last else { panic!("another message: {last:?}") };
    assert_eq!(reason.code, CloseCode::Away);
    while let Some(Ok(_)) = timeout(PATIENCE, socket.next()).await.expect("an end") {}
    let mut told = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut told)).await.expect("an end").unwrap_or_default();
    assert!(kinds(&told).contains(&GOAWAY), "it is told to leave: {told:?}");
    for client in &mut clients {
        client.goes_on().await;
    }
    timeout(PATIENCE, stop).await.expect("it stops").unwrap();
    for client in &mut clients {
        client.goes_on().await;
    }
    for client in clients {
        client.end().await;
    }
    second.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http3_ends_at_the_process_that_stops_and_begins_at_the_next() {
    let mut ground = http3::edge_with(|_| {}).await;
    let (app, name) = (Upstream::start("one").await, host("shop"));
    ground.app("shop", &[app.addr]).await;
    let [here, there] = sockets();
    let https = here.https.as_ref().unwrap().local_addr().unwrap();
    let open = async || {
        let quic = http3::connect_trusting(https, &name, http3::certificate_of(&ground)).await;
        http3::Client::over(quic.expect("nobody is refused")).await
    };
    let mut metrics = Registry::default();
    let (first, _state) = start_with(&ground, here, &mut metrics);
    http3::listens(&metrics, true).await;
    let mut old = open().await;
    let mut stream = old.send(http3::request("GET", &name, "/sse")).await;
    stream.finish().await.unwrap();
    assert_eq!(stream.recv_response().await.unwrap().status(), 200);

    let mut metrics = Registry::default();
    let (second, _state) = start_with(&ground, there, &mut metrics);
    http3::listens(&metrics, true).await;
    assert_eq!(old.get(&name, "/").await.status(), 200, "it goes on where it is");
    let mut new = open().await;
    let stop = tokio::spawn(first.stop(PATIENCE));
    let ask = || http3::request("GET", &name, "/");
    while old.try_ask(ask(), Bytes::new()).await.is_ok() {}
    for _ in 0..ANSWERED {
        assert_eq!(open().await.get(&name, "/").await.status(), 200);
    }
    app.go_on.notify_one();
    while timeout(PATIENCE, stream.recv_data()).await.unwrap().unwrap().is_some() {}
    timeout(PATIENCE, stop).await.expect("it stops").unwrap();
    assert_eq!(new.get(&name, "/").await.status(), 200);
    second.stop(PATIENCE).await;
}

/// The kinds of the frames that octets hold (RFC 9113 §4.1).
fn kinds(mut octets: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [high, middle, low, kind, ..] = *octets {
        kinds.push(kind);
        let length = 9 + u32::from_be_bytes([0, high, middle, low]) as usize;
        octets = octets.get(length..).unwrap_or_default();
    }
    kinds
}
