//! How connections end: by age, by slowness, and when the edge stops.

use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::frames::{END_HEADERS, END_STREAM, End, GOAWAY, HEADERS, Raw, frame, get};
use crate::support::recorder::Recorder;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, host, read_to_end, status};

async fn edge_with_app(
    change: impl FnOnce(&mut temps_state::EdgeSettings),
) -> (TestEdge, Upstream) {
    let mut edge = TestEdge::start_with(|settings| change(&mut settings.edge)).await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    (edge, app)
}

/// Asks on one connection until an answer says that it was the last, and gives how many there were.
async fn answers_until_the_last(edge: &TestEdge) -> usize {
    let mut stream = TcpStream::connect(edge.http).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host("shop"));
    for count in 1.. {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"one") {
            stream.read_buf(&mut answer).await.unwrap();
        }
        if String::from_utf8_lossy(&answer).contains("\r\nConnection: close\r\n") {
            assert_eq!(read_to_end(&mut stream).await, "", "it closes");
            return count;
        }
    }
    unreachable!("it counts on")
}

#[tokio::test]
async fn a_connection_ends_after_so_many_requests() {
    let (edge, _app) = edge_with_app(|edge| edge.connection_requests_max = 3).await;
    assert_eq!(answers_until_the_last(&edge).await, 3);
}

#[tokio::test]
async fn a_connection_ends_at_its_age() {
    let (edge, _app) = edge_with_app(|edge| edge.connection_seconds_max = 1).await;
    timeout(PATIENCE, answers_until_the_last(&edge)).await.expect("it ends");
    let mut h2 = Raw::open(edge.http).await;
    assert_eq!(h2.closed().await, Some(0));
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut_off() {
    let slow = |edge: &mut temps_state::EdgeSettings| {
        edge.header_seconds_max = 1;
        edge.body_rate_min = 1 << 40;
    };
    let (edge, _app) = edge_with_app(slow).await;
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(edge.http).await.unwrap();
        let head = format!("POST /upload HTTP/1.1\r\nHost: {}\r\n{framing}\r\n\r\n", host("shop"));
        stream.write_all(head.as_bytes()).await.unwrap();
        let trickle = async {
            while timeout(Duration::from_millis(50), stream.readable()).await.is_err() {
                let _ = stream.write_all(b"1\r\nx\r\n").await;
            }
        };
        timeout(PATIENCE, trickle).await.expect("it is cut off");
        assert_eq!(status(&read_to_end(&mut stream).await), 408);
    }
    let client = edge.client(&["shop"]);
    let answer = client.post(edge.url("shop", "/upload")).body(vec![7; 1 << 20]).send().await;
    assert_eq!(answer.unwrap().status(), 200, "what comes at once is not slow");
}

#[tokio::test]
async fn a_stopping_edge_tells_clients_of_http2() {
    let mut edge = TestEdge::start().await;
    let app = Recorder::start().await;
    edge.app("shop", &[app.addr]).await;
    let mut raw = Raw::open(edge.http).await;
    let head = get(&host("shop"), "/");
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await;
    assert_eq!(raw.end_of(1).await, End::Answered);
    let stop = tokio::spawn(edge.stop(PATIENCE));
    let told = async {
        while let Some(frame) = raw.next().await {
            if frame.kind == GOAWAY {
                return true;
            }
        }
        false
    };
    assert!(told.await, "it is told to leave");
    drop(raw);
    timeout(PATIENCE, stop).await.expect("it stops").unwrap();
}

#[tokio::test]
async fn a_stopping_edge_tells_clients_of_websockets() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::websocket().await;
    edge.app("chat", &[app.addr]).await;
    let tcp = TcpStream::connect(edge.http).await.unwrap();
    let url = format!("ws://{}:{}/", host("chat"), edge.port());
    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
    futures::SinkExt::send(&mut socket, Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    let stop = tokio::spawn(edge.stop(PATIENCE));
    let last = timeout(PATIENCE, socket.next()).await.expect("in time").unwrap().unwrap();
    let Message::Close(Some(reason)) = last else { panic!("another message: {last:?}") };
    assert_eq!(reason.code, CloseCode::Away);
    // The client's own farewell goes out as it reads on, and ends the connection.
    while let Some(Ok(_)) = timeout(PATIENCE, socket.next()).await.expect("an end") {}
    timeout(PATIENCE, stop).await.expect("it stops").unwrap();
}
