//! Internal names: who may use them, where, and that everything passes that passes outside.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use ipnet::Ipv4Net;
use temps_proxy::{Inner, Residents};
use temps_state::{EnvironmentId, NodeId, ProjectId};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, image};

const SHOP: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 2);
const BLOG: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 3);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 4);

/// An edge whose containers' network is a part of loopback.
struct Ground {
    edge: TestEdge,
    door: SocketAddr,
    gateway: watch::Sender<Option<Ipv4Net>>,
    residents: watch::Sender<Residents>,
}

fn net(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new(address, 16).expect("a prefix")
}

impl Ground {
    async fn new() -> Self {
        let own = Ipv4Addr::new(127, 77, 0, 1);
        let probe = std::net::TcpListener::bind((own, 0)).expect("a free port");
        let door = probe.local_addr().expect("an address");
        drop(probe);
        let (gateway, at) = watch::channel(Some(net(own)));
        let (residents, whose) = watch::channel(Residents::default());
        let inner = Inner { gateway: at, residents: whose, port: door.port() };
        let edge = TestEdge::start_as(|_| {}, |edge| edge.with_inner(inner)).await;
        let ground = Self { edge, door, gateway, residents };
        ground.until_open(door).await;
        ground
    }

    async fn until_open(&self, door: SocketAddr) {
        let began = Instant::now();
        while TcpStream::connect(door).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "nobody listens at {door}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn project_of(&self, environment: EnvironmentId) -> ProjectId {
        self.edge.state().environments[&environment].project
    }

    /// `shop` with a replica at this address, and `blog` without any; a container of each.
    async fn shop(&mut self, endpoint: SocketAddr) -> EnvironmentId {
        let shop = self.edge.app("shop", &[endpoint]).await;
        let blog = self.edge.project("blog").await;
        let whose = [(SHOP, shop), (BLOG, blog)].map(|(a, e)| (a.into(), self.project_of(e)));
        self.residents.send_replace(Arc::new(BTreeMap::from(whose)));
        shop
    }

    fn client(&self, from: Ipv4Addr) -> reqwest::ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        builder.local_address(IpAddr::from(from))
    }

    fn url(&self, app: &str, at: SocketAddr, path: &str) -> (String, String) {
        (format!("http://{at}{path}"), format!("{app}.temps.internal"))
    }

    /// The status and the body that a container gets.
    async fn get(&self, from: Ipv4Addr, app: &str, path: &str) -> (u16, String) {
        self.get_at(self.door, from, app, path).await
    }

    async fn get_at(&self, at: SocketAddr, from: Ipv4Addr, app: &str, path: &str) -> (u16, String) {
        let (url, host) = self.url(app, at, path);
        let client = self.client(from).build().expect("a client");
        let asked = client.get(url).header("host", host).header("accept", "application/json");
        let answer = asked.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }
}

#[tokio::test]
async fn an_app_answers_containers_of_its_own_project_only() {
    let app = Upstream::start("shop").await;
    let mut ground = Ground::new().await;
    ground.shop(app.addr).await;
    assert_eq!(ground.get(SHOP, "shop-production", "/").await, (200, "shop".into()));
    assert_eq!(ground.get(SHOP, "Shop-Production", "/").await.0, 200);
    for (from, app, status, code) in [
        (BLOG, "shop-production", 403, "other_project"),
        (STRANGER, "shop-production", 403, "unknown_caller"),
        (Ipv4Addr::new(127, 77, 0, 1), "shop-production", 403, "unknown_caller"),
        (SHOP, "blog-production", 403, "other_project"),
        (BLOG, "blog-production", 503, "nothing_deployed"),
        (SHOP, "shop-staging", 503, "unknown_host"),
        (SHOP, "a.shop-production", 503, "unknown_host"),
    ] {
        let (was, body) = ground.get(from, app, "/").await;
        let code = format!("\"code\":\"{code}\"");
        assert!(was == status && body.contains(&code), "{from} {app}: {was} {body}");
    }
}

#[tokio::test]
async fn another_project_may_ask_from_when_it_is_allowed_until_it_is_denied() {
    let app = Upstream::start("shop").await;
    let mut ground = Ground::new().await;
    let shop = ground.shop(app.addr).await;
    let id = ground.project_of(shop);
    let caller = ground.residents.borrow()[&IpAddr::from(BLOG)];
    let (status, body) = ground.get(BLOG, "shop-production", "/").await;
    assert_eq!(status, 403);
    let told = ["shop does not let apps of blog call", "temps projects callers allow blog -p shop"];
    assert!(told.iter().all(|told| body.contains(told)), "{body}");

    ground.edge.apply(temps_state::Command::AllowCaller { id, caller }).await;
    assert_eq!(ground.get(BLOG, "shop-production", "/").await, (200, "shop".into()));
    assert_eq!(ground.get(SHOP, "shop-production", "/").await.0, 200);
    assert_eq!(ground.get(SHOP, "blog-production", "/").await.0, 403, "it holds in one direction");
    assert_eq!(ground.get(STRANGER, "shop-production", "/").await.0, 403);
    let (status, _) = ground.get_at(ground.edge.http, BLOG, "shop-production", "/").await;
    assert_eq!(status, 503, "only at the door");

    ground.edge.apply(temps_state::Command::DenyCaller { id, caller }).await;
    assert_eq!(ground.get(BLOG, "shop-production", "/").await.0, 403);
}

#[tokio::test]
async fn the_outer_listeners_know_no_internal_names() {
    let app = Upstream::start("shop").await;
    let mut ground = Ground::new().await;
    ground.shop(app.addr).await;
    for from in [SHOP, Ipv4Addr::LOCALHOST] {
        let (status, body) = ground.get_at(ground.edge.http, from, "shop-production", "/").await;
        assert!(status == 503 && body.contains("unknown_host"), "{status} {body}");
    }
    let client = ground.edge.client(&["shop"]);
    let outside = client.get(ground.edge.url("shop", "/")).send().await.unwrap();
    assert_eq!(outside.text().await.unwrap(), "shop");
}

#[tokio::test]
async fn a_container_that_began_just_now_is_waited_for() {
    let app = Upstream::start("shop").await;
    let mut ground = Ground::new().await;
    let shop = ground.shop(app.addr).await;
    let project = ground.project_of(shop);
    let asked = ground.get(STRANGER, "shop-production", "/");
    let tell = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let known = BTreeMap::from([(STRANGER.into(), project)]);
        ground.residents.send_replace(Arc::new(known));
    };
    let (answer, ()) = tokio::join!(asked, tell);
    assert_eq!(answer, (200, "shop".into()));
    let (status, _) = ground.get(SHOP, "shop-production", "/").await;
    assert_eq!(status, 403, "an address that was given back is nobody's");
}

#[tokio::test]
async fn the_door_moves_with_the_network() {
    let app = Upstream::start("shop").await;
    let mut ground = Ground::new().await;
    ground.shop(app.addr).await;
    let old = ground.door;
    ground.door.set_ip(Ipv4Addr::new(127, 77, 1, 1).into());
    ground.gateway.send_replace(Some(net(Ipv4Addr::new(127, 77, 1, 1))));
    ground.until_open(ground.door).await;
    assert_eq!(ground.get(SHOP, "shop-production", "/").await.0, 200);
    assert!(TcpStream::connect(old).await.is_err());
    ground.gateway.send_replace(None);
    let began = Instant::now();
    while TcpStream::connect(ground.door).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "the door stays open");
    }
}

#[tokio::test]
async fn replicas_are_told_who_asks_and_get_what_is_sent() {
    let app = Upstream::start("shop").await;
    let mut ground = Ground::new().await;
    ground.shop(app.addr).await;
    let (_, head) = ground.get(SHOP, "shop-production", "/echo").await;
    let head = head.to_lowercase();
    for told in [
        "x-forwarded-for: 127.77.0.2",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop-production.temps.internal",
        "x-project-id: prj_",
    ] {
        assert!(head.contains(told), "no {told} in {head}");
    }
    let name = "shop-production.temps.internal";
    let builder = || ground.client(SHOP).resolve(name, ground.door);
    let url = format!("http://{name}:{}/upload", ground.door.port());
    for client in [builder(), builder().http2_prior_knowledge()] {
        let upload = client.build().unwrap().post(&url).body(vec![1; 3 << 20]);
        assert_eq!(upload.send().await.unwrap().text().await.unwrap(), (3 << 20).to_string());
    }
}

#[tokio::test]
async fn nothing_is_compressed_inside() {
    let app = Upstream::start("shop").await;
    let mut ground = Ground::new().await;
    ground.shop(app.addr).await;
    let (url, host) = ground.url("shop-production", ground.door, "/text");
    let asked = ground.client(SHOP).build().unwrap().get(url).header("host", host);
    let answer = asked.header("accept-encoding", "gzip, br, zstd").send().await.unwrap();
    assert!(!answer.headers().contains_key("content-encoding"));
    assert_eq!(answer.bytes().await.unwrap().len(), 11_000);
}

#[tokio::test]
async fn websockets_pass() {
    let app = Upstream::websocket().await;
    let mut ground = Ground::new().await;
    ground.shop(app.addr).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((SHOP, 0).into()).unwrap();
    let stream = socket.connect(ground.door).await.unwrap();
    let url = "ws://shop-production.temps.internal/socket";
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let echoed = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(echoed, Message::text("hello"));
}

#[tokio::test]
async fn a_preview_is_reached_from_production() {
    let app = Upstream::start("preview").await;
    let mut ground = Ground::new().await;
    let shop = ground.shop(app.addr).await;
    let project = ground.project_of(shop);
    let preview = crate::support::fresh(900);
    let command =
        temps_state::Command::CreateEnvironment { id: preview, project, branch: "next".into() };
    ground.edge.apply(command).await;
    ground.edge.deploy_on(preview, image(), &[(NodeId(1), app.addr)]).await;
    assert_eq!(ground.get(SHOP, "shop-next", "/").await, (200, "preview".into()));
    assert_eq!(ground.get(BLOG, "shop-next", "/").await.0, 403);
}
