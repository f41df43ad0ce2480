//! HTTP/2 that is malformed, and HTTP/2 that asks for more work than it brings: refused within bounds.

use std::time::Duration;

use tokio::time::timeout;

use crate::support::corpus::{Case, cases};
use crate::support::frames::*;
use crate::support::recorder::Recorder;
use crate::support::{PATIENCE, TestEdge, body, host, status};

/// RFC 9113 §7.
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

async fn edge_with_recorder() -> (TestEdge, Recorder) {
    let mut edge = TestEdge::start().await;
    let app = Recorder::start().await;
    edge.app("shop", &[app.addr]).await;
    (edge, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_is_refused() {
    let (edge, app) = edge_with_recorder().await;
    let mut wrong = Vec::new();
    let all = cases(include_str!("../corpus/http2.txt"));
    for case in &all {
        let end = ask(&edge, case).await;
        let got = app.take();
        if !case.is_met(end == End::Answered, &got) {
            wrong.push(format!("{}: {end:?}, {got:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

/// Sends a case's head, and its body where it has one.
async fn ask(edge: &TestEdge, case: &Case) -> End {
    let octets = &case.octets;
    let at =
        octets.windows(3).position(|w| w == b" < ").filter(|at| !octets[..*at].contains(&b'<'));
    let (head, body) = match at {
        Some(at) => (&octets[..at], Some(&octets[at + 3..])),
        None => (&octets[..], None),
    };
    let fields: Vec<_> = split(head).into_iter().map(field).collect();
    let flags = if body.is_some() { END_HEADERS } else { END_HEADERS | END_STREAM };
    let mut raw = Raw::open(edge.http).await;
    raw.send(&frame(HEADERS, flags, 1, &block(&fields))).await;
    if let Some(body) = body {
        raw.send(&frame(DATA, END_STREAM, 1, body)).await;
    }
    raw.end_of(1).await
}

fn split(head: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    let mut rest = head;
    while let Some(at) = rest.windows(2).position(|w| w == b"; ") {
        fields.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    fields.push(rest);
    fields
}

fn field(text: &[u8]) -> (&[u8], &[u8]) {
    let at = text.iter().position(|octet| *octet == b'=').expect("a name and a value");
    (&text[..at], &text[at + 1..])
}

/// What is sent next of a flood.
type Next<'a> = Box<dyn FnMut(u32) -> Vec<u8> + 'a>;

/// Sends something again and again until the edge ends the connection, which it must; gives its reason.
async fn flood(edge: &TestEdge, mut next: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut raw = Raw::open(edge.http).await;
    for n in 0..50_000 {
        if !raw.send(&next(n)).await {
            break;
        }
    }
    let reason = raw.closed().await;
    serves(edge).await;
    reason
}

/// A good client is served.
async fn serves(edge: &TestEdge) {
    let client = edge.builder(&["shop"]).http2_prior_knowledge().build().expect("a client");
    let answer = client.get(edge.url("shop", "/")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reset_at_once_end() {
    let (edge, app) = edge_with_recorder().await;
    let head = get(&host("shop"), "/");
    let reset = |n: u32| {
        let stream = 2 * n + 1;
        let mut frames = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        frames.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        frames
    };
    let reason = flood(&edge, reset).await;
    assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
    let together = flood(&edge, |n| (0..100).flat_map(|m| reset(n * 100 + m)).collect()).await;
    assert!(matches!(together, None | Some(ENHANCE_YOUR_CALM)), "{together:?}");
    let asked = app.take().whole.len();
    assert!(asked < 2_000, "the app was asked {asked} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_bring_nothing_end() {
    let (edge, _app) = edge_with_recorder().await;
    let head = get(&host("shop"), "/");
    let open = |n: u32, frames: Vec<u8>| match n {
        0 => [frame(HEADERS, END_HEADERS, 1, &head), frames].concat(),
        _ => frames,
    };
    let floods: [(&str, Next<'_>); 7] = [
        ("pings", Box::new(|_| frame(PING, 0, 0, &[7; 8]))),
        ("settings", Box::new(|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]))),
        ("priorities", Box::new(|_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]))),
        ("windows", Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))),
        ("unknown frames", Box::new(|_| frame(200, 0, 0, &[7; 50]))),
        ("empty data", Box::new(|n| open(n, frame(DATA, 0, 1, &[])))),
        ("answers to pings", Box::new(|_| frame(PING, 1, 0, &[7; 8]))),
    ];
    for (what, next) in floods {
        let reason = flood(&edge, next).await;
        assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{what}: {reason:?}");
    }
}

/// CVE-2024-27316 and its kin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_without_an_end_end() {
    let (edge, app) = edge_with_recorder().await;
    let head = get(&host("shop"), "/");
    let more = block(&[(b"x", &[b'y'; 1_000])]);
    for piece in [&more[..], &[]] {
        flood(&edge, |n| match n {
            0 => frame(HEADERS, END_STREAM, 1, &head),
            _ => frame(CONTINUATION, 0, 1, piece),
        })
        .await;
    }
    // A small block that unfolds to a large list by its table (CVE-2016-6581).
    let mut bomb = vec![0x40, 1, b'x', 127, 129, 30];
    bomb.extend(vec![b'y'; 4_000]);
    bomb.extend(vec![0xbe; 12_000]);
    let mut raw = Raw::open(edge.http).await;
    let bomb = [&head[..], &bomb].concat();
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).await;
    assert_ne!(raw.end_of(1).await, End::Answered);
    let whole = app.take().whole;
    assert!(whole.iter().all(|r| r.headers.iter().all(|(n, _)| n != "x")), "{whole:?}");
}

/// CVE-2025-8671: the client breaks the protocol so that the edge resets the stream, and the app works for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_make_the_edge_reset_them_end() {
    let (edge, app) = edge_with_recorder().await;
    let head = get(&host("shop"), "/");
    let breaks: [fn(u32) -> Vec<u8>; 3] = [
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
        |stream| frame(DATA, 0, stream, &[7]),
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]),
    ];
    for broken in breaks {
        flood(&edge, |n| {
            let stream = 2 * n + 1;
            let opened = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
            [opened, broken(stream)].concat()
        })
        .await;
    }
    let asked = app.take().whole.len();
    assert!(asked < 5_000, "the app was asked {asked} times");
}

#[tokio::test]
async fn misused_frames_end_the_connection() {
    let (edge, app) = edge_with_recorder().await;
    let head = get(&host("shop"), "/smuggled");
    let whole = END_HEADERS | END_STREAM;
    let opened = frame(HEADERS, END_HEADERS, 1, &get(&host("shop"), "/"));
    let after = |frames: Vec<u8>| [opened.clone(), frames].concat();
    for (what, octets) in [
        ("a stream of the server's", frame(HEADERS, whole, 2, &head)),
        ("stream 0", frame(HEADERS, whole, 0, &head)),
        ("data on stream 0", frame(DATA, 0, 0, &[7])),
        ("data on no stream", frame(DATA, 0, 5, &[7])),
        ("a window on no stream", frame(WINDOW_UPDATE, 0, 5, &[0, 0, 0, 1])),
        ("a reset of no stream", frame(RST_STREAM, 0, 5, &[0, 0, 0, 8])),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &head)),
        ("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        ("a frame between", after(frame(CONTINUATION, END_HEADERS, 1, &head))),
        ("a window of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window too large", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("a frame too large", frame(DATA, 0, 1, &[7; 20_000])),
        ("settings of five octets", frame(SETTINGS, 0, 0, &[7; 5])),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("settings with an acknowledgement", frame(SETTINGS, 1, 0, &[7; 6])),
        ("a frame size too small", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
        ("a window size too large", frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])),
        ("a ping of seven octets", frame(PING, 0, 0, &[7; 7])),
        ("a ping on a stream", frame(PING, 0, 1, &[7; 8])),
        ("a reset of three octets", after(frame(RST_STREAM, 0, 1, &[7; 3]))),
        ("padding longer than its frame", frame(HEADERS, whole | 8, 1, &[200, 0])),
        ("an index out of the table", frame(HEADERS, whole, 1, &[0xff, 0xff, 0x7f])),
        ("a table size too large", frame(HEADERS, whole, 1, &[0x3f, 0xff, 0xff, 0x7f])),
        ("an endless integer", frame(HEADERS, whole, 1, &[0xff; 40])),
        ("a field that breaks off", frame(HEADERS, whole, 1, &head[..head.len() - 3])),
        (
            "a broken Huffman code",
            frame(HEADERS, whole, 1, &[0, 0x81, 0, 0x84, 255, 255, 255, 255]),
        ),
    ] {
        let mut raw = Raw::open(edge.http).await;
        raw.send(&octets).await;
        // A stream of its own, so that what was broken is told from what merely waits.
        raw.send(&frame(HEADERS, whole, 7, &get(&host("shop"), "/"))).await;
        let end = raw.end_of(7).await;
        assert!(matches!(end, End::Closed(_)), "{what}: {end:?}");
    }
    let smuggled = app.take().whole.into_iter().find(|r| r.line.contains("smuggled"));
    assert_eq!(smuggled, None);
    let mut raw = Raw::open(edge.http).await;
    raw.send(&frame(HEADERS, whole, 5, &get(&host("shop"), "/"))).await;
    assert_eq!(raw.end_of(5).await, End::Answered);
    raw.send(&frame(HEADERS, whole, 3, &head)).await;
    assert_eq!(raw.closed().await, Some(PROTOCOL_ERROR), "a stream older than the last");
}

/// Each request of one connection may be malformed in a way that is answered; not without end.
#[tokio::test]
async fn malformed_requests_end_the_connection() {
    let (edge, _app) = edge_with_recorder().await;
    let head = block(&[(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]);
    flood(&edge, |n| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head)).await;
}

#[tokio::test]
async fn a_client_that_agreed_on_http2_must_begin() {
    let edge = TestEdge::start_with(|settings| settings.edge.header_seconds_max = 1).await;
    let mut config = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(preview_authority(&edge))
    .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let tcp = tokio::net::TcpStream::connect(edge.https).await.unwrap();
    let name = host("shop").try_into().unwrap();
    let mut stream = tls.connect(name, tcp).await.unwrap();
    let mut octets = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut octets);
    let _ = timeout(PATIENCE, end).await.expect("it is cut off");
}

fn preview_authority(edge: &TestEdge) -> rustls::RootCertStore {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let path = edge.data.path().join("tls/preview-localho.st.crt");
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(path).expect("a certificate");
    roots.add(certificate).expect("a good one");
    roots
}

/// How long an app may hang over a body that never comes.
#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let mut edge = TestEdge::start_with(|s| s.edge.upstream_read_seconds_max = 1).await;
    let app = Recorder::start().await;
    edge.app("shop", &[app.addr]).await;
    let mut raw = Raw::open(edge.http).await;
    let head = block(&[
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/upload"),
        (b":authority", host("shop").as_bytes()),
    ]);
    raw.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    raw.send(&frame(DATA, 0, 1, b"a beginning")).await;
    assert_ne!(raw.end_of(1).await, End::Answered);
    assert!(app.take().whole.is_empty());
}

#[tokio::test]
async fn an_old_connection_is_told_to_end() {
    let mut edge = TestEdge::start_with(|s| s.edge.connection_requests_max = 2).await;
    let app = Recorder::start().await;
    edge.app("shop", &[app.addr]).await;
    let mut raw = Raw::open(edge.http).await;
    for stream in [1, 3] {
        let head = get(&host("shop"), "/");
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)).await;
    }
    for stream in [1, 3] {
        let answered = async { while raw.end_of(stream).await != End::Answered {} };
        let _ = timeout(Duration::from_secs(1), answered).await;
    }
    assert_eq!(raw.closed().await, Some(0));
}

/// Waits until so many streams have begun to be answered, and so many have their whole answer; no more may.
async fn answers(raw: &mut Raw, begun: usize, ended: usize) {
    let (mut heads, mut ends) = (0, 0);
    while heads < begun || ends < ended {
        let frame = raw.next().await.expect("a frame");
        let of_stream = matches!(frame.kind, HEADERS | DATA);
        ends += usize::from(of_stream && frame.flags & END_STREAM != 0);
        heads += usize::from(frame.kind == HEADERS);
    }
    assert_eq!((heads, ends), (begun, ended));
}

/// A client that takes nothing of its answers leaves them all with the edge.
#[tokio::test]
async fn answers_that_nobody_takes_are_few() {
    let edge = TestEdge::start_with(|s| s.edge.connections_per_client_max = 8).await;
    let mut raw = Raw::open(edge.http).await;
    let window = |octets: u8| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, octets, 0]);
    let head = get(&host("nobody-knows-it"), "/");
    let ask = |n: u32| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head);
    raw.send(&window(0)).await;
    for n in 0..20 {
        raw.send(&ask(n)).await;
    }
    // One too many is turned away without a body, so that nothing is left of it.
    answers(&mut raw, 20, 12).await;
    raw.send(&window(0xff)).await;
    answers(&mut raw, 0, 8).await;
    raw.send(&ask(20)).await;
    answers(&mut raw, 1, 1).await;
}

#[tokio::test]
async fn what_an_authority_looks_for_is_answered_where_there_is_no_room_for_requests() {
    let mut edge = TestEdge::start_with(|s| s.edge.connections_per_client_max = 8).await;
    let environment = edge.project("shop").await;
    edge.domain("a.example.com", environment).await;
    let mut raw = Raw::open(edge.http).await;
    raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    let head = get(&host("nobody-knows-it"), "/");
    for n in 0..8 {
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head)).await;
    }
    answers(&mut raw, 8, 0).await;
    assert_eq!(status(&edge.ask("GET", "a.example.com", "/").await), 429);
    let answer = edge.ask("GET", "a.example.com", "/.well-known/temps-domain").await;
    assert_eq!((status(&answer), body(&answer)), (200, "proof of a.example.com"));
}
