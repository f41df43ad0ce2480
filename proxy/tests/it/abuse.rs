//! What clients must not do: each bound is met, and the edge goes on.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::frames::*;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, host, read_to_end};

async fn edge_with_app(change: impl FnOnce(&mut temps_state::Settings)) -> (TestEdge, Upstream) {
    let mut edge = TestEdge::start_with(change).await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    (edge, app)
}

#[tokio::test]
async fn what_could_be_smuggled_never_reaches_the_app() {
    let (edge, app) = edge_with_app(|_| {}).await;
    let host = host("shop");
    let post = format!("POST /upload HTTP/1.1\r\nHost: {host}\r\n");
    let hidden = format!("0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (why, request) in [
        ("CL.TE", format!("{post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}")),
        ("TE.CL", format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n{hidden}")),
        ("two CL", format!("{post}Content-Length: 0\r\nContent-Length: 50\r\n\r\n{hidden}")),
        ("same CL", format!("{post}Content-Length: 5\r\nContent-Length: 5\r\n\r\n{hidden}")),
        ("TE hidden", format!("{post}Transfer-Encoding: \x0bchunked\r\n\r\n{hidden}")),
        (
            "TE twice",
            format!("{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n{hidden}"),
        ),
        ("TE list", format!("{post}Transfer-Encoding: x, chunked\r\n\r\n{hidden}")),
        ("TE space", format!("{post}Transfer-Encoding : chunked\r\n\r\n{hidden}")),
        ("folded", format!("{post}X: y\r\n Transfer-Encoding: chunked\r\n\r\n{hidden}")),
        ("bare LF", format!("{post}X: y\nTransfer-Encoding: chunked\r\n\r\n{hidden}")),
        ("only LF", format!("POST / HTTP/1.1\nHost: {host}\n\n{hidden}")),
        (
            "1.0 and TE",
            format!(
                "POST / HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}"
            ),
        ),
        ("two Hosts", format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: other\r\n\r\n")),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("other Host", format!("GET http://other/ HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ("nonsense", "nonsense\r\n\r\n".to_owned()),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01".to_owned()),
    ] {
        let answer = edge.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{why}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{why}: one answer, {answer}");
    }
    assert_eq!(app.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
    let answer = edge.raw(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let chunked = format!(
        "{post}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    assert!(edge.raw(chunked.as_bytes()).await.ends_with("\r\n\r\n3"));
}

#[tokio::test]
async fn broken_chunks_are_refused() {
    let (edge, _app) = edge_with_app(|_| {}).await;
    let post = format!(
        "POST /upload HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        host("shop")
    );
    for body in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    ] {
        let answer = edge.raw(format!("{post}{body}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let (edge, _app) = edge_with_app(|s| s.edge.header_seconds_max = 1).await;
    let started = Instant::now();
    for pieces in ["G", "GET / HTTP/1.1\r\n"] {
        let mut stream = TcpStream::connect(edge.http).await.unwrap();
        stream.write_all(pieces.as_bytes()).await.unwrap();
        let trickle = async {
            while stream.write_all(b"X").await.is_ok() {
                if timeout(Duration::from_millis(100), stream.readable()).await.is_ok() {
                    break;
                }
            }
        };
        timeout(PATIENCE, trickle).await.expect("it is cut off");
    }
    assert!(started.elapsed() < PATIENCE / 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (edge, _app) = edge_with_app(|s| s.edge.idle_seconds_max = 1).await;
    let mut silent = TcpStream::connect(edge.http).await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, "");
    let mut served = TcpStream::connect(edge.http).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host("shop"));
    served.write_all(request.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut served).await.ends_with("one"));
    let mut h2 = TcpStream::connect(edge.http).await.unwrap();
    h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    read_to_end(&mut h2).await;
}

#[tokio::test]
async fn large_heads_get_431() {
    let (edge, _app) =
        edge_with_app(|s| (s.edge.header_bytes_max, s.edge.headers_max) = (2_000, 30)).await;
    let h1 = edge.client(&["shop"]);
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    for client in [h1, h2] {
        let large = client.get(edge.url("shop", "/")).header("x", "y".repeat(2_000));
        assert_eq!(large.send().await.unwrap().status(), 431);
        let many =
            (0..31).fold(client.get(edge.url("shop", "/")), |r, n| r.header(format!("x-{n}"), "y"));
        assert_eq!(many.send().await.unwrap().status(), 431);
        let few =
            (0..20).fold(client.get(edge.url("shop", "/")), |r, n| r.header(format!("x-{n}"), "y"));
        assert_eq!(few.send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn large_bodies_get_413() {
    let (edge, app) = edge_with_app(|s| s.edge.body_bytes_max = 100_000).await;
    let h1 = edge.client(&["shop"]);
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    for client in [h1, h2] {
        let post = |bytes: usize| client.post(edge.url("shop", "/upload")).body(vec![1; bytes]);
        assert_eq!(post(100_000).send().await.unwrap().status(), 200);
        assert_eq!(post(100_001).send().await.unwrap().status(), 413);
        let pieces = (0..4).map(|_| Ok::<_, std::io::Error>(vec![1_u8; 30_000]));
        let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        let answer = client.post(edge.url("shop", "/upload")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 413);
        assert!(answer.text().await.unwrap().contains("100000 octets"));
    }
    assert_eq!(app.requests.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_upload_still_gets_its_answer() {
    let (edge, _app) = edge_with_app(|s| s.edge.body_bytes_max = 1_000).await;
    let mut stream = TcpStream::connect(edge.http).await.unwrap();
    let head =
        format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\n", host("shop"));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![1; 1_000_000]).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("\r\nConnection: close\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn connections_are_bounded() {
    let (edge, _app) = edge_with_app(|s| s.edge.connections_per_client_max = 3).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host("shop"));
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(edge.http).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut fourth = TcpStream::connect(edge.http).await.unwrap();
    assert_eq!(read_to_end(&mut fourth).await, "");
    drop(held);
    let again = async {
        loop {
            let mut stream = TcpStream::connect(edge.http).await.unwrap();
            let _ = stream
                .write_all(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())
                .await;
            if read_to_end(&mut stream).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("room again");
}

/// Asks once and keeps the connection.
async fn ask_and_stay(edge: &TestEdge) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(edge.http).await?;
    ask_again(&mut stream).await?;
    Ok(stream)
}

async fn ask_again(stream: &mut TcpStream) -> std::io::Result<()> {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host("shop"));
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"one") {
        if timeout(PATIENCE, stream.read_buf(&mut answer)).await?? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[tokio::test]
async fn where_all_places_are_taken_the_longest_idle_connection_makes_room() {
    let (edge, _app) = edge_with_app(|s| s.edge.connections_max = 3).await;
    let mut first = ask_and_stay(&edge).await.unwrap();
    let mut silent = TcpStream::connect(edge.http).await.unwrap();
    let mut third = ask_and_stay(&edge).await.unwrap();
    ask_again(&mut first).await.unwrap();
    let mut fourth = ask_and_stay(&edge).await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, "", "it never asked");
    let mut fifth = ask_and_stay(&edge).await.unwrap();
    assert_eq!(read_to_end(&mut third).await, "");
    for kept in [&mut first, &mut fourth, &mut fifth] {
        ask_again(kept).await.expect("it is still there");
    }
    assert_eq!(edge.metric("temps_edge_connections_displaced_total"), "2");
    assert_eq!(edge.metric("temps_edge_connections_refused_total"), "0");
}

#[tokio::test]
async fn who_trickles_a_head_makes_room_and_who_waits_for_an_answer_does_not() {
    let (edge, app) = edge_with_app(|s| s.edge.connections_max = 3).await;
    let mut waits = TcpStream::connect(edge.http).await.unwrap();
    let trickle = format!("GET /trickle HTTP/1.1\r\nHost: {}\r\n", host("shop"));
    waits.write_all(format!("{trickle}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut first = [0; 12];
    timeout(PATIENCE, waits.read_exact(&mut first)).await.unwrap().unwrap();
    let mut slow = TcpStream::connect(edge.http).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut h2 = TcpStream::connect(edge.http).await.unwrap();
    h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 9];
    timeout(PATIENCE, h2.read_exact(&mut settings)).await.unwrap().unwrap();
    let _third = ask_and_stay(&edge).await.unwrap();
    assert_eq!(read_to_end(&mut slow).await, "");
    let _fourth = ask_and_stay(&edge).await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, h2.read_to_end(&mut rest)).await.unwrap().unwrap();
    let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0];
    assert!(rest.windows(9).any(|frame| frame == goaway), "{rest:?}");
    app.go_on.notify_one();
    assert!(read_to_end(&mut waits).await.ends_with("0\r\n\r\n"), "it has the whole answer");
}

#[tokio::test]
async fn one_connection_brings_no_more_requests_than_a_client_may_have() {
    let (edge, app) = edge_with_app(|s| s.edge.connections_per_client_max = 3).await;
    let mut h2 = Raw::open(edge.http).await;
    for stream in [1, 3, 5] {
        let head = get(&host("shop"), "/hang");
        h2.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)).await;
    }
    let all_hang = async {
        while app.requests.load(SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all_hang).await.unwrap();
    let ask = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host("shop"));
    let refused = edge.raw(ask.as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(refused.contains("Retry-After: 1\r\n"), "{refused}");
    drop(h2);
    let answered = async { while !edge.raw(ask.as_bytes()).await.starts_with("HTTP/1.1 200 ") {} };
    timeout(PATIENCE, answered).await.expect("its share is free again");
}

#[tokio::test]
async fn random_octets_do_no_harm() {
    let (edge, _app) = edge_with_app(|s| s.edge.header_seconds_max = 1).await;
    for seed in 0_u8..40 {
        let octets: Vec<u8> = (0..300_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> (8 + seed % 16)) as u8 ^ seed)
            .collect();
        let mut stream = TcpStream::connect(edge.http).await.unwrap();
        let _ = stream.write_all(&octets).await;
        let _ = stream.shutdown().await;
        read_to_end(&mut stream).await;
        let mut stream = TcpStream::connect(edge.http).await.unwrap();
        let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let _ = stream.write_all(&octets).await;
        let _ = stream.shutdown().await;
        read_to_end(&mut stream).await;
    }
    let answer = edge.client(&["shop"]).get(edge.url("shop", "/")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Every octet that a target may have somewhere, raw: an answer of the app, or a page that names the request.
#[tokio::test]
async fn no_octet_of_a_target_gets_a_bare_answer() {
    let (edge, _app) = edge_with_app(|_| {}).await;
    let host = host("shop");
    for octet in 0..=u8::MAX {
        for begin in ["/", "/?a=", "http://"] {
            let mut request = format!("GET {begin}").into_bytes();
            request.push(octet);
            let rest = format!("b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            request.extend_from_slice(rest.as_bytes());
            let answer = edge.raw(&request).await.to_ascii_lowercase();
            let good = answer.starts_with("http/1.1 200 ") || answer.starts_with("http/1.1 400 ");
            assert!(good && answer.contains("\r\nx-request-id: "), "{begin}{octet:#x}: {answer}");
        }
    }
}

/// Whatever is wrong with a request, the client gets one page that names it, or a plain end.
#[tokio::test]
async fn every_refusal_is_a_page_of_ours() {
    let (edge, _app) = edge_with_app(|_| {}).await;
    let host = host("shop");
    let head = format!("POST /upload HTTP/1.1\r\nHost: {host}\r\n");
    for (why, request, status) in [
        ("two CL", format!("{head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"), 400),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("two Hosts", format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"), 400),
        ("folded", format!("{head}X: a\r\n b\r\n\r\n"), 400),
        ("bad chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400),
        ("other host", format!("GET http://other/ HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400),
        ("userinfo", format!("GET http://a@{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400),
        ("other scheme", format!("GET ftp://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400),
        (
            "asterisk",
            format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            200,
        ),
        ("CONNECT", format!("CONNECT {host}:80 HTTP/1.1\r\nHost: {host}\r\n\r\n"), 405),
        ("1.0 without Host", "GET / HTTP/1.0\r\n\r\n".into(), 503),
        ("1.0", format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"), 200),
        ("2.0", format!("GET / HTTP/2.0\r\nHost: {host}\r\n\r\n"), 400),
        (
            "Expect",
            format!("{head}Expect: nothing\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            200,
        ),
    ] {
        let answer = edge.raw(request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{why}: {answer}");
        let named = answer.to_ascii_lowercase().matches("\r\nx-request-id: ").count();
        assert_eq!(named, 1, "{why}: {answer}");
    }
}
