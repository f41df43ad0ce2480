//! Requests that go to an app: what it is told, and that everything streams.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::StatusCode;
use temps_state::{Command, ProjectChange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::upstream::{Upstream, closed_port};
use crate::support::{PATIENCE, TestEdge, host, image};

fn line<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn an_app_is_told_who_asks_and_the_client_which_request_it_was() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let environment = edge.app("shop", &[app.addr]).await;
    let project = edge.state().environments[&environment].project;
    let client = edge.client(&["shop"]);
    let request = client.get(edge.url("shop", "/echo?a=b"));
    let answer = request.header("x-forwarded-for", "10.0.0.1").send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let names: Vec<_> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
    for leaked in ["x-project-id", "x-environment-id", "keep-alive", "server"] {
        assert!(!names.contains(&leaked.to_owned()), "{leaked} is not shown");
    }
    let head = answer.text().await.unwrap();
    assert!(head.starts_with("GET /echo?a=b HTTP/1.1\r\n"), "{head}");
    assert_eq!(line(&head, "host"), [format!("{}:{}", host("shop"), edge.port())]);
    assert_eq!(line(&head, "x-request-id"), [id]);
    assert_eq!(line(&head, "x-project-id"), [project.to_string()]);
    assert_eq!(line(&head, "x-environment-id"), [environment.to_string()]);
    assert_eq!(line(&head, "x-client-ip"), ["127.0.0.1"]);
    assert_eq!(line(&head, "x-forwarded-for"), ["10.0.0.1, 127.0.0.1"]);
    assert_eq!(line(&head, "x-forwarded-proto"), ["http"]);
    assert_eq!(line(&head, "x-forwarded-host"), [format!("{}:{}", host("shop"), edge.port())]);
}

#[tokio::test]
async fn hosts_without_an_app_get_a_page_that_says_why() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let shop = edge.app("shop", &[app.addr]).await;
    edge.project("empty").await;
    let client = edge.client(&["shop", "empty", "gone"]);
    for (app, status, code) in
        [("shop", 200, ""), ("empty", 503, "nothing_deployed"), ("gone", 503, "unknown_host")]
    {
        let request = client.get(edge.url(app, "/")).header("accept", "application/json");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{app}");
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        if status != 200 {
            let problem: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], code);
            assert_eq!(problem["request_id"], id);
        }
    }
    let id = edge.state().environments[&shop].project;
    let change = ProjectChange { disabled: Some(true), ..ProjectChange::default() };
    edge.apply(Command::ChangeProject { id, change }).await;
    let answer = client.get(edge.url("shop", "/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert!(answer.text().await.unwrap().contains("This project is disabled"));
}

#[tokio::test]
async fn a_host_is_found_in_any_spelling() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    for (host, status) in [
        ("shop-production.localho.st", 200),
        ("SHOP-Production.localho.ST:8080", 200),
        ("shop-production.localho.st.", 200),
        ("shop.localho.st", 503),
        ("[::1]:80", 503),
        ("127.0.0.1", 503),
        ("", 400),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = edge.raw(request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
    }
    let absolute = "GET http://shop-production.localho.st/echo HTTP/1.1\r\n\
                    Host: shop-production.localho.st\r\nConnection: close\r\n\r\n";
    assert!(edge.raw(absolute.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let old = edge.raw(b"GET / HTTP/1.0\r\nHost: shop-production.localho.st\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200 ") && old.contains("\r\nConnection: close\r\n"), "{old}");
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let host = host("shop");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let post = format!("POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc");
    let last = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let ahead = format!("{}{post}{}{last}", get("/slow?50"), get("/"));
    let answer = edge.raw(ahead.as_bytes()).await;
    let bodies: Vec<_> =
        answer.split("\r\n\r\n").skip(1).map(|b| b.split("HTTP/1.1").next().unwrap()).collect();
    assert_eq!(bodies, ["one", "3", "one", "one"], "{answer}");
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let h1 = edge.client(&["shop"]);
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    for client in [h1, h2] {
        let pieces = (0..512).map(|_| Ok::<_, std::io::Error>(vec![1_u8; 64 << 10]));
        let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        let answer = client.post(edge.url("shop", "/upload")).body(body).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), (512 * (64 << 10)).to_string());
        let url = edge.url("shop", "/download?50000000");
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(50_000_000));
        let mut received = 0;
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            received += piece.unwrap().len();
        }
        assert_eq!(received, 50_000_000);
    }
}

#[tokio::test]
async fn http2_is_spoken_in_the_clear() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let client = edge.builder(&["shop", "gone"]).http2_prior_knowledge().build().unwrap();
    let requests = (0..50).map(|_| client.get(edge.url("shop", "/echo")).send());
    for answer in futures::future::join_all(requests).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, reqwest::Version::HTTP_2));
        let head = answer.text().await.unwrap();
        assert_eq!(line(&head, "host"), [format!("{}:{}", host("shop"), edge.port())]);
    }
    let answer = client.get(edge.url("gone", "/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_websocket_echoes() {
    let mut edge = TestEdge::start_with(|s| s.edge.body_bytes_max = 10).await;
    let app = Upstream::websocket().await;
    edge.app("chat", &[app.addr]).await;
    let stream = tokio::net::TcpStream::connect(edge.http).await.unwrap();
    let url = format!("ws://{}/socket", host("chat"));
    let (mut socket, answer) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    assert!(answer.headers().contains_key("x-request-id"));
    for size in [1, 100, 100_000] {
        let text = "x".repeat(size);
        socket.send(Message::text(text.clone())).await.unwrap();
        let echoed = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(echoed, Message::text(text));
    }
    socket.close(None).await.unwrap();
    while timeout(PATIENCE, socket.next()).await.unwrap().is_some_and(|m| m.is_ok()) {}
}

#[tokio::test]
async fn an_event_arrives_before_the_stream_ends() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let client = edge.client(&["shop"]);
    for (path, accept_encoding) in
        [("/sse", "identity"), ("/sse", "gzip, br"), ("/trickle", "identity")]
    {
        let request = client.get(edge.url("shop", path)).header("accept-encoding", accept_encoding);
        let answer = request.send().await.unwrap();
        assert!(!answer.headers().contains_key("content-encoding"));
        let mut pieces = answer.bytes_stream();
        let first = timeout(PATIENCE, pieces.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(&first[..], b"data: first\n\n");
        app.go_on.notify_one();
        let second = timeout(PATIENCE, pieces.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(&second[..], b"data: second\n\n");
        assert!(pieces.next().await.is_none());
    }
    let request = client.get(edge.url("shop", "/trickle")).header("accept-encoding", "gzip");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let mut pieces = answer.bytes_stream();
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    while decoder.get_ref() != b"data: first\n\n" {
        let piece = timeout(PATIENCE, pieces.next()).await.unwrap().unwrap().unwrap();
        std::io::Write::write_all(&mut decoder, &piece).unwrap();
        std::io::Write::flush(&mut decoder).unwrap();
    }
    app.go_on.notify_one();
}

#[tokio::test]
async fn answers_are_compressed_as_the_client_likes() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let plain = "<p>word</p>".repeat(1_000);
    let h1 = edge.client(&["shop"]);
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    for client in [h1, h2] {
        for (accept, coding) in [("gzip", "gzip"), ("br", "br"), ("zstd, gzip;q=0.5", "zstd")] {
            let request = client.get(edge.url("shop", "/text")).header("accept-encoding", accept);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()["content-encoding"], coding);
            assert_eq!(answer.headers()["vary"], "Accept-Encoding");
            assert_eq!(answer.headers()["etag"], "W/\"app\"");
            let octets = answer.bytes().await.unwrap();
            assert!(octets.len() < 1_000);
            assert_eq!(decoded(coding, &octets), plain);
        }
        let answer = client.get(edge.url("shop", "/text")).send().await.unwrap();
        assert!(!answer.headers().contains_key("content-encoding"));
        assert_eq!(answer.headers()["vary"], "Accept-Encoding");
        assert_eq!(answer.text().await.unwrap(), plain);
        let request = client.get(edge.url("shop", "/")).header("accept-encoding", "gzip");
        assert!(!request.send().await.unwrap().headers().contains_key("content-encoding"));
    }
}

fn decoded(coding: &str, octets: &[u8]) -> String {
    let mut reader: Box<dyn std::io::Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(octets)),
        "br" => Box::new(brotli::Decompressor::new(octets, 4_096)),
        _ => Box::new(zstd::stream::read::Decoder::new(octets).expect("a decoder")),
    };
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("whole and sound");
    text
}

#[tokio::test]
async fn an_app_that_fails_gets_a_page_and_the_edge_goes_on() {
    let mut edge = TestEdge::start_with(|s| s.edge.upstream_read_seconds_max = 1).await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let client = edge.client(&["shop"]);
    for (path, status) in [("/reset", 502), ("/nonsense", 502), ("/hang", 504), ("/", 200)] {
        let answer = client.get(edge.url("shop", path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    let broken = client.get(edge.url("shop", "/half")).send().await.unwrap();
    assert!(broken.bytes().await.is_err(), "a cut answer is not shown as a whole one");
    let answer = client.get(edge.url("shop", "/")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "one");
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_sent_twice() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let client = edge.client(&["shop"]);
    let answer = client.get(edge.url("shop", "/reset-first")).send().await.unwrap();
    assert_eq!((answer.status(), app.requests.load(Ordering::SeqCst)), (StatusCode::OK, 2));
    let answer = client.post(edge.url("shop", "/reset")).body("x").send().await.unwrap();
    assert_eq!(
        (answer.status(), app.requests.load(Ordering::SeqCst)),
        (StatusCode::BAD_GATEWAY, 3)
    );
    let answer = client.get(edge.url("shop", "/reset")).send().await.unwrap();
    assert_eq!(
        (answer.status(), app.requests.load(Ordering::SeqCst)),
        (StatusCode::BAD_GATEWAY, 5)
    );
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[closed_port().await, app.addr]).await;
    let client = edge.client(&["shop"]);
    for _ in 0..20 {
        let answer = client.post(edge.url("shop", "/")).body("x").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "one");
    }
    // The last request is counted once its answer is out.
    let counted = async {
        while edge.metric("temps_edge_requests_total{status=\"2xx\"}") != "20" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("all are counted");
    assert_eq!(edge.metric("temps_edge_upstream_errors_total"), "1");
    assert_eq!(edge.metric("temps_edge_upstream_retries_total"), "1");
}

#[tokio::test]
async fn load_is_spread() {
    let mut edge = TestEdge::start().await;
    let apps = [Upstream::start("one").await, Upstream::start("two").await];
    edge.app("shop", &[apps[0].addr, apps[1].addr]).await;
    let client = edge.client(&["shop"]);
    for _ in 0..20 {
        client.get(edge.url("shop", "/")).send().await.unwrap();
    }
    for app in &apps {
        assert!(app.requests.load(Ordering::SeqCst) >= 5);
    }
}

#[tokio::test]
async fn a_stopping_edge_finishes_what_is_under_way() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let client = edge.client(&["shop"]);
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    client.get(edge.url("shop", "/")).send().await.unwrap();
    let requests = [client.get(edge.url("shop", "/trickle")), h2.get(edge.url("shop", "/trickle"))];
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.send().await.unwrap());
    }
    let address = edge.http;
    let stopped = tokio::spawn(edge.stop(PATIENCE));
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, refused).await.expect("the port closes");
    assert!(!stopped.is_finished());
    for answer in answers {
        app.go_on.notify_one();
        assert_eq!(answer.text().await.unwrap(), "data: first\n\ndata: second\n\n");
    }
    timeout(PATIENCE, stopped).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_deployment_without_replicas_waits_for_one() {
    let mut edge = TestEdge::start().await;
    let environment = edge.app("shop", &[]).await;
    let client = edge.client(&["shop"]);
    let waiting = tokio::spawn(client.get(edge.url("shop", "/")).send());
    let app = Upstream::start("one").await;
    edge.deploy(environment, image(), &[app.addr]).await;
    assert_eq!(waiting.await.unwrap().unwrap().text().await.unwrap(), "one");
}

#[tokio::test]
async fn a_head_does_not_wait_for_a_body_that_is_late_or_never_comes() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    for body in [&b"late!"[..], b""] {
        let mut edge = TestEdge::start().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        edge.app("shop", &[listener.local_addr().unwrap()]).await;
        let mut client = TcpStream::connect(edge.http).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host("shop"));
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut app, _) = listener.accept().await.unwrap();
        read_head(&mut app).await;
        app.write_all(HEAD).await.unwrap();
        if body.is_empty() {
            drop(app);
            assert!(read_head(&mut client).await.contains("Content-Length: 5"));
            continue;
        }
        assert!(read_head(&mut client).await.contains("Content-Length: 5"));
        app.write_all(body).await.unwrap();
        let mut got = [0; 5];
        timeout(PATIENCE, client.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, body);
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("in time").expect("a head"));
    }
    String::from_utf8(head).expect("ASCII")
}
