//! Connections that outlive their replica's drain end at the edge, and those that do not are left alone.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::StatusCode;
use temps_state::EnvironmentId;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, host, image};

async fn connect(edge: &TestEdge) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(edge.http).await.expect("it listens");
    let url = format!("ws://{}/socket", host("shop"));
    tokio_tungstenite::client_async(url, stream).await.expect("it is upgraded").0
}

async fn echo(socket: &mut WebSocketStream<TcpStream>) {
    socket.send(Message::text("hello")).await.expect("it takes messages");
    let echoed =
        timeout(PATIENCE, socket.next()).await.expect("in time").expect("open").expect("sound");
    assert_eq!(echoed, Message::text("hello"));
}

async fn replace(edge: &mut TestEdge, environment: EnvironmentId) -> Upstream {
    let newer = Upstream::start("newer").await;
    edge.deploy(environment, image(), &[newer.addr]).await;
    newer
}

#[tokio::test]
async fn a_websocket_ends_with_the_drain_of_its_replica() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::websocket().await;
    let environment = edge.app("shop", &[app.addr]).await;
    let mut socket = connect(&edge).await;
    echo(&mut socket).await;
    let newer = Upstream::websocket().await;
    edge.deploy(environment, image(), &[newer.addr]).await;
    echo(&mut socket).await;
    let mut moved = connect(&edge).await;
    echo(&mut moved).await;
    edge.end_drains().await;
    let end = timeout(PATIENCE, socket.next()).await.expect("it ends");
    let Some(Ok(Message::Close(Some(reason)))) = end else { panic!("it is not told: {end:?}") };
    assert_eq!(reason.code, CloseCode::Away);
    echo(&mut moved).await;
}

#[tokio::test]
async fn a_stream_ends_with_the_drain_of_its_replica() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let environment = edge.app("shop", &[app.addr]).await;
    let h1 = edge.client(&["shop"]);
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    let mut streams = Vec::new();
    for client in [&h1, &h2] {
        let answer = client.get(edge.url("shop", "/sse")).send().await.unwrap();
        let mut pieces = answer.bytes_stream();
        timeout(PATIENCE, pieces.next()).await.unwrap().unwrap().unwrap();
        streams.push(pieces);
    }
    let _newer = replace(&mut edge, environment).await;
    edge.end_drains().await;
    for mut pieces in streams {
        let end = timeout(PATIENCE, pieces.next()).await.expect("it ends");
        assert!(end.unwrap().is_err(), "a cut stream is not shown as a whole one");
    }
    let still = edge.metric("temps_edge_requests_in_flight");
    assert!(["0", "1", "2"].contains(&still.as_str()));
    let counted = async {
        while edge.metric("temps_edge_requests_in_flight") != "0" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("nothing is left");
}

#[tokio::test]
async fn what_has_no_answer_yet_goes_to_the_newer_version_where_it_may() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let environment = edge.app("shop", &[app.addr]).await;
    let client = edge.client(&["shop"]);
    let get = tokio::spawn(client.get(edge.url("shop", "/hang")).send());
    let post = tokio::spawn(client.post(edge.url("shop", "/hang")).body("x").send());
    let both = async {
        while app.requests.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, both).await.expect("both arrive");
    let newer = replace(&mut edge, environment).await;
    edge.end_drains().await;
    let asked = async {
        while newer.requests.load(Ordering::SeqCst) < 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asked).await.expect("GET is sent again");
    let answer = timeout(PATIENCE, post).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(newer.requests.load(Ordering::SeqCst), 1, "POST is not");
    get.abort();
}

#[tokio::test]
async fn a_request_that_is_reset_goes_to_another_replica_only_where_it_may() {
    for (post, status) in [(false, StatusCode::OK), (true, StatusCode::BAD_GATEWAY)] {
        let mut edge = TestEdge::start().await;
        let apps = [Upstream::start("one").await, Upstream::start("two").await];
        edge.app("shop", &[apps[0].addr, apps[1].addr]).await;
        let client = edge.client(&["shop"]);
        // Only the first request that an app ever gets is reset.
        client.get(format!("http://{}/", apps[1].addr)).send().await.unwrap();
        let url = edge.url("shop", "/reset-first");
        let request = if post { client.post(url).body("x") } else { client.get(url) };
        assert_eq!(request.send().await.unwrap().status(), status);
        let asked = apps.each_ref().map(|app| app.requests.load(Ordering::SeqCst));
        assert_eq!(asked, if post { [1, 1] } else { [1, 2] });
    }
}

#[tokio::test]
async fn an_endpoint_that_failed_comes_back_when_it_answers() {
    let mut edge = TestEdge::start().await;
    let addr = crate::support::upstream::closed_port().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[addr, app.addr]).await;
    let client = edge.client(&["shop"]);
    for _ in 0..4 {
        client.get(edge.url("shop", "/")).send().await.unwrap();
    }
    assert_eq!(edge.metric("temps_edge_upstream_errors_total"), "1");
    let back = Upstream::serve(tokio::net::TcpListener::bind(addr).await.unwrap(), "back");
    let returned = async {
        while back.requests.load(Ordering::SeqCst) == 0 {
            client.get(edge.url("shop", "/")).send().await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, returned).await.expect("it gets requests again");
    assert_eq!(edge.metric("temps_edge_upstream_errors_total"), "1", "no request tried it out");
}
