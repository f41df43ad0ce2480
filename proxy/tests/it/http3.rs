//! HTTP/3 over real sockets: the same as over any other version, by the same certificates.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Request;
use temps_state::*;
use tokio::time::timeout;

use crate::support::http3::*;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, host, image};

async fn edge_with_app() -> (TestEdge, Upstream) {
    let mut edge = edge_with(|_| {}).await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    (edge, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_asked_as_over_any_version() {
    let (edge, app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let answer = client.get(&name, "/echo?a=b").await;
    let head = answer.text().to_lowercase();
    assert_eq!(answer.status(), 200);
    assert!(head.starts_with("get /echo?a=b http/1.1\r\n"), "{head}");
    for line in [&format!("host: {name}"), "x-forwarded-proto: https", "x-client-ip: 127.0.0.1"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("transfer-encoding"), "a GET has no body: {head}");
    assert!(answer.header("x-request-id").is_some() && answer.header("date").is_some());
    assert_eq!(answer.header("alt-svc"), None, "it is there already");
    let answer = client.ask(request("POST", &name, "/upload"), b"hello").await;
    assert_eq!((answer.status(), answer.text()), (200, "5"));
    let answer = client.ask(request("HEAD", &name, "/"), b"").await;
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-length"), Some("3"));
    let cookies = Request::get(format!("https://{name}/echo"));
    let cookies = cookies.header("cookie", "a=1").header("cookie", "b=2").body(()).unwrap();
    let answer = client.ask(cookies, b"").await;
    assert!(answer.text().to_lowercase().contains("cookie: a=1; b=2\r\n"), "{}", answer.text());
    assert_eq!(app.requests.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_edge_answers_itself_is_the_same() {
    let (mut edge, _app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    assert_eq!(client.get("gone-production.localho.st", "/").await.status(), 503);
    let empty = edge.project("empty").await;
    assert_eq!(client.get(&host("empty"), "/").await.status(), 503);
    let head = client.ask(request("HEAD", &host("empty"), "/"), b"").await;
    assert_eq!((head.status(), head.body.len()), (503, 0));
    let redirect = Redirect { to: "https://other.example".into(), status: RedirectStatus::Found };
    edge.domain_with("old.example.com", empty, Some(redirect), &[]).await;
    let away = client.get("old.example.com", "/a?b").await;
    assert_eq!((away.status(), away.header("location")), (302, Some("https://other.example")));
    let connect = Request::connect(format!("{name}:443")).body(()).unwrap();
    assert_eq!(client.ask(connect, b"").await.status(), 405);
    let closed = crate::support::upstream::closed_port().await;
    let environment = edge.project("down").await;
    edge.deploy(environment, image(), &[closed]).await;
    assert!(client.get(&host("down"), "/").await.status() >= 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_go_both_ways() {
    let (edge, _app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let body = Bytes::from(vec![7; 20 << 20]);
    let answer = client.try_ask(request("POST", &name, "/upload"), body).await.unwrap();
    assert_eq!(answer.text(), (20 << 20).to_string());
    let answer = client.get(&name, &format!("/download?{}", 20 << 20)).await;
    assert_eq!((answer.status(), answer.body.len()), (200, 20 << 20));
    let mut small = edge_with(|settings| settings.edge.body_bytes_max = 1_000).await;
    let app = Upstream::start("one").await;
    small.app("shop", &[app.addr]).await;
    let mut client = Client::open(&small, &name).await;
    let mut told = request("POST", &name, "/upload");
    told.headers_mut().insert("content-length", "1001".parse().unwrap());
    let mut stream = client.send(told).await;
    assert_eq!(stream.recv_response().await.unwrap().status(), 413);
    let body = Bytes::from(vec![7; 100_000]);
    let answer = client.try_ask(request("POST", &name, "/upload"), body).await;
    assert_eq!(answer.map(|answer| answer.status()).unwrap_or(413), 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_as_they_are_made() {
    let (edge, app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let mut stream = client.send(request("GET", &name, "/sse")).await;
    stream.finish().await.unwrap();
    assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    let first = timeout(PATIENCE, stream.recv_data()).await.unwrap().unwrap().unwrap();
    assert!(first.remaining() > 0, "it comes before the end");
    drop(first);
    app.go_on.notify_one();
    while timeout(PATIENCE, stream.recv_data()).await.unwrap().unwrap().is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let (edge, _app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let answer = client.try_ask(request("GET", &name, "/half"), Bytes::new()).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(client.get(&name, "/").await.status(), 200, "the connection goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_ends_its_request() {
    let (edge, _app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let mut stream = client.send(request("GET", &name, "/hang")).await;
    stream.finish().await.unwrap();
    until(&edge, "temps_edge_requests_in_flight", "1").await;
    stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
    until(&edge, "temps_edge_requests_in_flight", "0").await;
    let mut stream = client.send(request("GET", &name, "/hang")).await;
    stream.finish().await.unwrap();
    until(&edge, "temps_edge_requests_in_flight", "1").await;
    assert_eq!(edge.metric("temps_edge_connections_open"), "1");
    client.quic.close(code(H3_NO_ERROR), b"");
    until(&edge, "temps_edge_requests_in_flight", "0").await;
    until(&edge, "temps_edge_connections_open", "0").await;
}

/// Waits until whoever wants a port has it.
async fn freed(port: SocketAddr) {
    let freed = async {
        while UdpSocket::bind(port).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("the port is free");
}

async fn until(edge: &TestEdge, metric: &str, value: &str) {
    let reached = async {
        while edge.metric(metric) != value {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{metric} becomes {value}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_have_the_same_certificates() {
    let (edge, _app) = edge_with_app().await;
    for name in ["example.com", "a.b.localho.st", "localho.st"] {
        assert!(connect(&edge, name).await.is_err(), "{name}");
    }
    until(&edge, "temps_edge_handshakes_refused_total", "3").await;
    assert!(connect(&edge, &host("shop")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_know_the_clients_address() {
    let (mut edge, _app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let guard = |networks: &[&str]| {
        let deny = networks.iter().map(|network| network.parse().unwrap()).collect();
        let guard = Guard { deny, ..Guard::default() };
        Command::SetGuard { scope: Scope::Cluster, guard: Some(guard) }
    };
    edge.apply(guard(&["192.0.2.0/24"])).await;
    let mut claims = request("GET", &name, "/");
    claims.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    assert_eq!(client.ask(claims, b"").await.status(), 200, "nobody is believed");
    edge.apply(guard(&["127.0.0.0/8"])).await;
    assert_eq!(client.get(&name, "/").await.status(), 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_are_believed_that_need_not_say_for_whom_they_come() {
    let name = host("shop");
    for proxy_protocol in [false, true] {
        let mut edge = edge_with(|settings| {
            settings.edge.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
            settings.edge.proxy_protocol = proxy_protocol;
        })
        .await;
        let app = Upstream::start("one").await;
        edge.app("shop", &[app.addr]).await;
        if proxy_protocol {
            assert!(connect(&edge, &name).await.is_err());
            continue;
        }
        let mut client = Client::open(&edge, &name).await;
        let mut request = request("GET", &name, "/echo");
        request.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
        let answer = client.ask(request, b"").await;
        assert!(answer.text().contains("x-client-ip: 192.0.2.1\r\n"), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_offered_over_tls_while_it_is_there() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let name = host("shop");
    let builder = edge.builder(&[]).resolve(&name, edge.https);
    let client = builder.danger_accept_invalid_certs(true).build().unwrap();
    let plain = edge.client(&["shop"]);
    let url = format!("https://{name}:{}/", edge.https.port());
    let offered = format!("h3=\":{}\"; ma=3600", edge.https.port());
    for on in [false, true, false, true] {
        let mut settings = Settings::default();
        settings.edge.http3 = on;
        edge.apply(Command::ChangeSettings { settings }).await;
        listens(&edge.metrics, on).await;
        let answer = client.get(&url).send().await.unwrap();
        let alt_svc = answer.headers().get("alt-svc").map(|value| value.to_str().unwrap());
        assert_eq!(alt_svc, on.then_some(offered.as_str()));
        let answer = plain.get(edge.url("shop", "/")).send().await.unwrap();
        assert!(!answer.headers().contains_key("alt-svc"));
        if on {
            let mut client = Client::open(&edge, &name).await;
            assert_eq!(client.get(&name, "/").await.status(), 200);
        } else {
            freed(edge.https).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_waited_for() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let taken = UdpSocket::bind(edge.https).unwrap();
    let mut settings = Settings::default();
    settings.edge.http3 = true;
    edge.apply(Command::ChangeSettings { settings }).await;
    assert_eq!(edge.metric("temps_edge_http3_listens"), "0");
    drop(taken);
    listens(&edge.metrics, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_requests_end_and_takes_no_more() {
    let (edge, app) = edge_with_app().await;
    let (name, https) = (host("shop"), edge.https);
    let mut client = Client::open(&edge, &name).await;
    let idle = Client::open(&edge, &name).await;
    let certificate = certificate_of(&edge);
    let mut stream = client.send(request("GET", &name, "/sse")).await;
    stream.finish().await.unwrap();
    assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    let stopping = tokio::spawn(edge.stop(PATIENCE));
    let end = timeout(PATIENCE, idle.quic.closed()).await.expect("who has nothing to do leaves");
    assert_eq!(reason(&end), Some(H3_NO_ERROR), "{end}");
    let refused = timeout(PATIENCE, connect_trusting(https, &name, certificate)).await;
    assert!(refused.expect("an answer in time").is_err());
    let late = client.try_ask(request("GET", &name, "/"), Bytes::new()).await;
    assert!(late.is_err(), "{late:?}");
    app.go_on.notify_one();
    while timeout(PATIENCE, stream.recv_data()).await.unwrap().unwrap().is_some() {}
    let end = timeout(PATIENCE, client.quic.closed()).await.expect("it ends in time");
    assert_eq!(reason(&end), Some(H3_NO_ERROR), "{end}");
    timeout(PATIENCE, stopping).await.expect("it stops in time").unwrap();
    freed(https).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_served() {
    let (edge, app) = edge_with_app().await;
    let name = host("shop");
    let mut client = Client::open(&edge, &name).await;
    let mut streams = Vec::new();
    for n in 0..300 {
        streams.push(tokio::spawn({
            let mut stream = client.send(request("GET", &name, &format!("/slow?{}", n % 20))).await;
            async move {
                stream.finish().await.unwrap();
                answer(&mut stream).await.unwrap().status()
            }
        }));
    }
    for stream in streams {
        assert_eq!(timeout(PATIENCE, stream).await.unwrap().unwrap(), 200);
    }
    assert_eq!(app.requests.load(Ordering::SeqCst), 300);
}
