//! Whatever apps speak reaches them through every node: what passes between nodes passes both ways, as it is sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use http::Uri;
use http::uri::PathAndQuery;
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};
use temps_chaos_tests::{App, Client, RECOVERY, until};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::common::{LARGE_APP, cluster_with_images, without};

/// Speaks gRPC, and nothing but HTTP/2.
const RPC: App = App::new("rpc").made_from(concat!(env!("CARGO_MANIFEST_DIR"), "/apps/rpc"));
/// Messages of each conversation.
const MESSAGES: usize = 5;
/// How long one message may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);
/// Octets of a large body.
const LARGE: usize = 64 << 20;
/// How long a large body may be on its way. It takes a few seconds.
const LARGE_WITHIN: Duration = Duration::from_secs(120);

/// An app as it is asked at one edge.
struct Asked {
    edge: SocketAddr,
    host: String,
    http: reqwest::Client,
}

impl Asked {
    fn new(edge: SocketAddr, app: App) -> Self {
        // Somebody else in this process may have installed it first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { edge, host: app.host(), http }
    }

    fn request(&self, method: http::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.edge)).header("host", &self.host)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Response {
        let answer =
            timeout(LARGE_WITHIN, request.send()).await.expect("in time").expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer
    }

    async fn get(&self, path: &str) -> Response {
        self.send(self.request(http::Method::GET, path)).await
    }

    async fn speaks_websocket(&self) {
        let stream = TcpStream::connect(self.edge).await.expect("the edge listens");
        let opened = client_async(format!("ws://{}/", self.host), stream);
        let (mut socket, _) =
            timeout(PATIENCE, opened).await.expect("in time").expect("a WebSocket");
        for number in 0..MESSAGES {
            let said = Message::text(format!("message {number}"));
            socket.send(said.clone()).await.expect("it takes a message");
            let heard = timeout(PATIENCE, socket.next()).await.expect("in time");
            assert_eq!(heard.expect("it is open").expect("a message"), said);
        }
    }

    /// The next event is sent only once the one before has arrived.
    async fn sends_events_one_by_one(&self) {
        let mut events = self.get("/subscribe").await;
        for number in 0..MESSAGES {
            let told = self
                .get(&format!("/publish?event={number}"))
                .await
                .text()
                .await
                .expect("an answer");
            assert_eq!(told, "1", "there is one subscriber");
            let event = format!("data: {number}\n\n");
            let mut heard = Vec::new();
            while heard.len() < event.len() {
                let piece =
                    timeout(PATIENCE, events.chunk()).await.expect("in time").expect("it is open");
                heard.extend_from_slice(&piece.expect("it has not ended"));
            }
            assert_eq!(String::from_utf8_lossy(&heard), event);
        }
        drop(events);
        until("the app knows that nobody listens", RECOVERY, async || {
            self.get("/publish?event=none").await.text().await.is_ok_and(|told| told == "0")
        })
        .await
        .expect("it is told");
    }

    async fn takes_and_gives_large_bodies(&self, seed: usize) {
        let body = noise(seed);
        let digest = hex(&Sha256::digest(&body));
        let begun = Instant::now();
        let put = self.request(http::Method::PUT, "/upload").body(body);
        assert_eq!(self.send(put).await.text().await.expect("an answer"), digest);
        let up = begun.elapsed();
        let mut answer = self.get("/upload").await;
        let (mut octets, mut seen) = (0, Sha256::new());
        while let Some(piece) =
            timeout(PATIENCE, answer.chunk()).await.expect("in time").expect("it is open")
        {
            octets += piece.len();
            seen.update(&piece);
        }
        assert_eq!((octets, hex(&seen.finalize())), (LARGE, digest));
        println!("{} MiB up in {up:.2?}, down in {:.2?}", LARGE >> 20, begun.elapsed() - up);
    }
}

/// Octets that nothing makes smaller, other ones for every seed.
fn noise(seed: usize) -> Vec<u8> {
    let blocks =
        (0..LARGE / 32).map(|block| Sha256::digest([seed, block].map(usize::to_le_bytes).concat()));
    blocks.flatten().collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A gRPC client as others have it, over HTTP/2 in the clear.
async fn grpc(edge: SocketAddr) -> Grpc<Channel> {
    let edge = Endpoint::from_shared(format!("http://{edge}")).expect("an address");
    let origin = Uri::try_from(format!("http://{}", RPC.host())).expect("a host");
    let channel = edge.origin(origin).connect().await.expect("the edge listens");
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.expect("it is connected");
    grpc
}

async fn call(
    edge: SocketAddr,
    method: &'static str,
) -> Result<(mpsc::Sender<String>, Streaming<String>), Status> {
    let (say, said) = mpsc::channel(1);
    let codec: ProstCodec<String, String> = ProstCodec::default();
    let request = Request::new(ReceiverStream::new(said));
    let mut grpc = grpc(edge).await;
    let answer = grpc.streaming(request, PathAndQuery::from_static(method), codec);
    let answer = timeout(PATIENCE, answer).await.expect("in time")?;
    Ok((say, answer.into_inner()))
}

async fn speaks_grpc(edge: SocketAddr) {
    let (say, mut heard) = call(edge, "/echo.Echo/Say").await.expect("the service is there");
    for number in 0..MESSAGES {
        // All but the first are larger than what may be sent unasked.
        let message = format!("{number}").repeat(1 + 200_000 * number);
        say.send(message.clone()).await.expect("it listens");
        let answer =
            timeout(PATIENCE, heard.message()).await.expect("in time").expect("it is open");
        assert!(answer.is_some_and(|answer| answer == message), "message {number}");
    }
    drop(say);
    assert_eq!(
        timeout(PATIENCE, heard.message()).await.expect("in time").expect("it is open"),
        None
    );
    let trailers = heard.trailers().await.expect("an end").expect("trailers");
    assert_eq!(trailers.get("x-messages").expect("a count"), &MESSAGES.to_string());
    let refused = call(edge, "/echo.Echo/Sing").await.expect_err("there is no such method");
    assert_eq!((refused.code(), refused.message()), (Code::Unimplemented, "nobody does that"));
}

/// The number of the only node that runs an app.
async fn only_node_of(app: App, client: &Client) -> usize {
    let nodes = app.healthy(client, 1).await;
    let [node] = &nodes[..] else { panic!("one replica, not {nodes:?}") };
    node[1..].parse().expect("nodes are n1, n2 and so on")
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_events_grpc_and_large_bodies_pass_between_nodes() {
    let ground = cluster_with_images().await;
    let client = ground.client().unwrap();
    LARGE_APP.deploy(&ground, 1).await.unwrap();
    RPC.deploy_once(&ground).await.unwrap();

    for node in without(only_node_of(LARGE_APP, &client).await) {
        let app = Asked::new(ground.node(node).edge(), LARGE_APP);
        app.speaks_websocket().await;
        app.sends_events_one_by_one().await;
        app.takes_and_gives_large_bodies(node).await;
    }
    for node in without(only_node_of(RPC, &client).await) {
        let edge = ground.node(node).edge();
        until("the edge knows the service", RECOVERY, async || {
            call(edge, "/echo.Echo/Say").await.is_ok()
        })
        .await
        .unwrap();
        speaks_grpc(edge).await;
    }
}
