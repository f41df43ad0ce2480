//! HTTP/3 that is malformed, and HTTP/3 that asks for more than it brings: refused within bounds.

use std::net::SocketAddr;

use temps_state::Settings;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::support::corpus::{Case, cases};
use crate::support::http3::*;
use crate::support::recorder::Recorder;
use crate::support::{PATIENCE, TestEdge, host};

const DATA: u64 = 0;
const HEADERS: u64 = 1;
const H3_FRAME_UNEXPECTED: u64 = 0x105;

async fn edge_with_recorder(change: impl FnOnce(&mut Settings)) -> (TestEdge, Recorder) {
    let mut edge = edge_with(change).await;
    let app = Recorder::start().await;
    edge.app("shop", &[app.addr]).await;
    (edge, app)
}

/// A good client is served.
async fn serves(edge: &TestEdge) {
    let mut client = Client::open(edge, &host("shop")).await;
    assert_eq!(client.get(&host("shop"), "/").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_is_refused() {
    let (edge, app) = edge_with_recorder(|_| {}).await;
    let mut wrong = Vec::new();
    let corpus = include_str!("../corpus/http2.txt").replace(":scheme=http;", ":scheme=https;");
    let all = cases(&corpus);
    for case in &all {
        let end = ask(&edge, case).await;
        let got = app.take();
        if !case.is_met(end == End::Answered, &got) {
            wrong.push(format!("{}: {end:?}, {got:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    serves(&edge).await;
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
    let mut frames = frame(HEADERS, &block(&fields));
    frames.extend(body.map(|body| frame(DATA, body)).unwrap_or_default());
    Raw::open(edge, &host("shop")).await.ask(&frames).await
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_framing_is_refused() {
    let (edge, app) = edge_with_recorder(|_| {}).await;
    let name = host("shop");
    let (head, data) = (get(&name, "/"), frame(DATA, b"x"));
    let trailers = frame(HEADERS, &block(&[(b"x", b"y")]));
    let post = |length: &str| {
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":path", b"/upload"),
            (b":authority", name.as_bytes()),
            (b"content-length", length.as_bytes()),
        ];
        frame(HEADERS, &block(&fields))
    };
    for (why, octets, passes) in [
        ("a request", head.clone(), true),
        ("frames to be passed over", [frame(0x21, b"grease"), head.clone()].concat(), true),
        ("trailers", [post("1"), data.clone(), trailers.clone()].concat(), true),
        ("a body that is too short", [post("2"), data.clone()].concat(), false),
        ("a body that is too long", [post("1"), data.clone(), data.clone()].concat(), false),
        ("a body that should not be", [post("0"), data.clone()].concat(), false),
        ("nothing", vec![], false),
        ("no head", data.clone(), false),
        ("half a head", head[..20].to_vec(), false),
        ("settings", [frame(4, &[]), head.clone()].concat(), false),
        ("a push", [frame(5, &[0]), head.clone()].concat(), false),
        ("a frame of HTTP/2", [frame(8, &[0; 4]), head.clone()].concat(), false),
        ("a dynamic table", frame(HEADERS, &[2, 0, 0x80]), false),
        ("no field block", frame(HEADERS, &[]), false),
    ] {
        let end = Raw::open(&edge, &name).await.ask(&octets).await;
        let got = app.take();
        assert_eq!(end == End::Answered, passes, "{why}: {end:?}");
        assert_eq!(got.whole.len(), usize::from(passes), "{why}: {got:?}");
    }
    serves(&edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_bounded() {
    let (edge, app) = edge_with_recorder(|_| {}).await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let mut large = request("GET", &name, "/");
    large.headers_mut().insert("x", "y".repeat(60_000).parse().unwrap());
    assert_eq!(client.ask(large, b"").await.status(), 200);
    let mut many = request("GET", &name, "/");
    (0..120).for_each(|n| {
        let header: http::HeaderName = format!("x-{n}").parse().unwrap();
        many.headers_mut().insert(header, "y".parse().unwrap());
    });
    assert_eq!(client.ask(many, b"").await.status(), 431);
    // What says that it is long is not waited for.
    let begun = [number(HEADERS), number(1 << 40), vec![0; 1_000]].concat();
    let raw = Raw::open(&edge, &name).await;
    assert!(matches!(raw.ask(&begun).await, End::Reset(_) | End::Closed(_)));
    let raw = Raw(connect(&edge, &name).await.unwrap());
    raw.control(&[number(4), number(1 << 40), vec![0; 1_000]].concat()).await;
    timeout(PATIENCE, raw.0.closed()).await.expect("it is closed");
    assert_eq!(app.take().whole.len(), 1);
    serves(&edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (edge, _app) = edge_with_recorder(|settings| settings.edge.header_seconds_max = 1).await;
    let name = host("shop");
    let raw = Raw::open(&edge, &name).await;
    let (mut send, mut receive) = raw.0.open_bi().await.unwrap();
    send.write_all(&get(&name, "/")[..10]).await.unwrap();
    let end = timeout(PATIENCE, receive.read_to_end(1_000)).await.expect("it ends in time");
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_nothing_is_sent_away() {
    let (edge, _app) = edge_with_recorder(|settings| settings.edge.idle_seconds_max = 1).await;
    let raw = Raw::open(&edge, &host("shop")).await;
    let end = timeout(PATIENCE, raw.0.closed()).await.expect("it ends in time");
    assert_eq!(reason(&end), Some(H3_NO_ERROR));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_connection_ends() {
    let requests = |settings: &mut Settings| settings.edge.connection_requests_max = 3;
    let (edge, app) = edge_with_recorder(requests).await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    for _ in 0..3 {
        assert_eq!(client.get(&name, "/").await.status(), 200);
    }
    let end = timeout(PATIENCE, client.quic.closed()).await.expect("it ends in time");
    assert_eq!(reason(&end), Some(H3_NO_ERROR));
    assert_eq!(app.take().whole.len(), 3);
    let seconds = |settings: &mut Settings| settings.edge.connection_seconds_max = 1;
    let (edge, _app) = edge_with_recorder(seconds).await;
    let client = Client::open(&edge, &name).await;
    timeout(PATIENCE, client.quic.closed()).await.expect("it ends in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_with_all_others() {
    let few = |settings: &mut Settings| settings.edge.connections_per_client_max = 2;
    let (edge, _app) = edge_with_recorder(few).await;
    let name = host("shop");
    let _tcp = tokio::net::TcpStream::connect(edge.https).await.unwrap();
    let mut client = Client::open(&edge, &name).await;
    assert_eq!(client.get(&name, "/").await.status(), 200);
    let third = connect(&edge, &name).await.unwrap();
    let end = timeout(PATIENCE, third.closed()).await.expect("it ends in time");
    assert_eq!(reason(&end), Some(H3_EXCESSIVE_LOAD));
    assert_eq!(edge.metric("temps_edge_connections_refused_total"), "1");
}

/// A way to the edge on which its answers get lost.
async fn one_way_to(edge: SocketAddr) -> (SocketAddr, AbortOnDropHandle<()>) {
    let way = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = way.local_addr().unwrap();
    let carry = async move {
        let mut datagram = [0; 2_000];
        while let Ok((length, sender)) = way.recv_from(&mut datagram).await {
            if sender != edge {
                let _ = way.send_to(&datagram[..length], edge).await;
            }
        }
    };
    (addr, AbortOnDropHandle::new(tokio::spawn(carry)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_of_one_address_are_counted_once_there_are_many() {
    let few = |settings: &mut Settings| settings.edge.connections_per_client_max = 1;
    let (edge, _app) = edge_with_recorder(few).await;
    let name = host("shop");
    let _first = connect(&edge, &name).await.unwrap();
    let (way, _carried) = one_way_to(edge.https).await;
    let mut begun = JoinSet::new();
    for _ in 0..100 {
        let (name, certificate) = (name.clone(), certificate_of(&edge));
        begun.spawn(async move { connect_trusting(way, &name, certificate).await });
    }
    let refused = async {
        // While there are few, only who has shaken hands is counted.
        while connect(&edge, &name).await.is_ok() {}
    };
    timeout(PATIENCE, refused).await.expect("it is refused before it shakes hands");
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reset_at_once_end() {
    let (edge, app) = edge_with_recorder(|_| {}).await;
    let name = host("shop");
    let raw = Raw::open(&edge, &name).await;
    let head = get(&name, "/");
    let flood = async {
        while let Ok((mut send, mut receive)) = raw.0.open_bi().await {
            let _ = send.write_all(&head).await;
            let _ = send.reset(code(H3_REQUEST_CANCELLED));
            let _ = receive.stop(code(H3_REQUEST_CANCELLED));
        }
    };
    timeout(PATIENCE, flood).await.expect("it ends in time");
    assert_eq!(raw.0.close_reason().as_ref().and_then(reason), Some(H3_EXCESSIVE_LOAD));
    assert!(app.take().whole.len() < 2_000);
    serves(&edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_end_the_connection_at_last() {
    let (edge, _app) = edge_with_recorder(|_| {}).await;
    let raw = Raw::open(&edge, &host("shop")).await;
    let bad = frame(HEADERS, &block(&[(b":method", b"GET")]));
    let flood = async { while raw.ask(&bad).await == End::Reset(H3_MESSAGE_ERROR) {} };
    timeout(PATIENCE, flood).await.expect("it ends in time");
    let end = timeout(PATIENCE, raw.0.closed()).await.expect("it is closed");
    assert_eq!(reason(&end), Some(H3_EXCESSIVE_LOAD), "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_belong_on_the_control_stream_ends_the_connection() {
    let (edge, _app) = edge_with_recorder(|_| {}).await;
    let raw = Raw(connect(&edge, &host("shop")).await.unwrap());
    raw.control(&[frame(4, &[]), frame(DATA, b"x")].concat()).await;
    let end = timeout(PATIENCE, raw.0.closed()).await.expect("it is closed");
    assert_eq!(reason(&end), Some(H3_FRAME_UNEXPECTED), "{end}");
}
