//! Replicas of other nodes, reached through what the node gives; and what the node knows of its own.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use futures::{SinkExt, StreamExt};
use temps_proxy::{Duplex, LocalEndpoints, Reach};
use temps_state::{NodeId, ReplicaId};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::upstream::{Upstream, closed_port};
use crate::support::{PATIENCE, TestEdge, host, image};

const OTHER: NodeId = NodeId(2);

/// The network of another node, of which only this knows the true addresses.
#[derive(Default)]
struct Network {
    replicas: Mutex<HashMap<ReplicaId, SocketAddr>>,
    opened: AtomicUsize,
    cut: AtomicBool,
}

impl Reach for Network {
    fn open(&self, node: NodeId, replica: ReplicaId) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>> {
        assert_eq!(node, OTHER);
        self.opened.fetch_add(1, Ordering::SeqCst);
        let cut = self.cut.load(Ordering::SeqCst);
        let addr = self.replicas.lock().expect("sound").get(&replica).copied();
        Box::pin(async move {
            if cut {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            let addr = addr.ok_or(io::ErrorKind::ConnectionRefused)?;
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

async fn two_nodes() -> (TestEdge, Arc<Network>) {
    let network = Arc::new(Network::default());
    let reach = network.clone();
    let mut edge = TestEdge::start_as(|_| {}, |edge| edge.with_reach(reach)).await;
    edge.join(OTHER).await;
    (edge, network)
}

/// An app whose replicas say that they listen at these places; the last is really this app's.
async fn app_on(
    edge: &mut TestEdge,
    network: &Network,
    places: &[(NodeId, SocketAddr)],
    app: &Upstream,
) {
    let environment = edge.project("shop").await;
    edge.deploy_on(environment, image(), places).await;
    let replica = *edge.replicas(environment).last().expect("a replica");
    network.replicas.lock().expect("sound").insert(replica, app.addr);
}

#[tokio::test]
async fn a_replica_of_another_node_answers() {
    let (mut edge, network) = two_nodes().await;
    let app = Upstream::start("far").await;
    app_on(&mut edge, &network, &[(OTHER, closed_port().await)], &app).await;
    let h1 = edge.client(&["shop"]);
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    for client in [h1, h2] {
        for _ in 0..3 {
            let answer = client.get(edge.url("shop", "/")).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "far");
        }
        let upload = client.post(edge.url("shop", "/upload")).body(vec![1; 3 << 20]);
        assert_eq!(upload.send().await.unwrap().text().await.unwrap(), (3 << 20).to_string());
        let url = edge.url("shop", "/download?5000000");
        assert_eq!(client.get(url).send().await.unwrap().bytes().await.unwrap().len(), 5_000_000);
        let many = (0..30).map(|_| client.get(edge.url("shop", "/slow?20")).send());
        for answer in futures::future::join_all(many).await {
            assert_eq!(answer.unwrap().text().await.unwrap(), "far");
        }
    }
    assert_eq!(network.opened.load(Ordering::SeqCst), app.requests.load(Ordering::SeqCst));
    assert_eq!(edge.metric("temps_edge_upstream_errors_total"), "0");
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_not_called_an_app_that_refuses() {
    let (mut edge, network) = two_nodes().await;
    let (app, addr) = (Upstream::start("far").await, closed_port().await);
    app_on(&mut edge, &network, &[(OTHER, addr)], &app).await;
    let ask =
        edge.client(&["shop"]).get(edge.url("shop", "/")).header("accept", "application/json");
    for (cut, code) in [(true, "node_unreachable"), (false, "bad_gateway")] {
        network.cut.store(cut, Ordering::SeqCst);
        if !cut {
            network.replicas.lock().expect("sound").clear();
        }
        let answer = ask.try_clone().expect("no body").send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers().contains_key("retry-after")),
            (502, cut)
        );
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{problem}");
    }
}

#[tokio::test]
async fn equal_addresses_of_two_nodes_are_two_endpoints() {
    let (mut edge, network) = two_nodes().await;
    let (app, addr) = (Upstream::start("far").await, closed_port().await);
    app_on(&mut edge, &network, &[(NodeId(1), addr), (OTHER, addr)], &app).await;
    let client = edge.client(&["shop"]);
    for _ in 0..10 {
        let answer = client.post(edge.url("shop", "/")).body("x").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "far");
    }
}

#[tokio::test]
async fn a_replica_of_this_node_comes_first() {
    let (mut edge, network) = two_nodes().await;
    let [near, far] = [Upstream::start("near").await, Upstream::start("far").await];
    app_on(&mut edge, &network, &[(NodeId(1), near.addr), (OTHER, near.addr)], &far).await;
    let client = edge.client(&["shop"]);
    for _ in 0..10 {
        let answer = client.get(edge.url("shop", "/")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "near");
    }
    let many = (0..40).map(|_| client.get(edge.url("shop", "/slow?300")).send());
    futures::future::join_all(many).await;
    assert!(far.requests.load(Ordering::SeqCst) > 5, "the other helps when there is much to do");
}

#[tokio::test]
async fn the_connections_to_a_lost_node_end() {
    let (mut edge, network) = two_nodes().await;
    let app = Upstream::websocket().await;
    app_on(&mut edge, &network, &[(OTHER, app.addr)], &app).await;
    let stream = TcpStream::connect(edge.http).await.unwrap();
    let url = format!("ws://{}/socket", host("shop"));
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let echoed = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(echoed, Message::text("hello"));
    edge.lose(OTHER).await;
    let end = timeout(PATIENCE, socket.next()).await.expect("it ends");
    let Some(Ok(Message::Close(Some(reason)))) = end else { panic!("it is not told: {end:?}") };
    assert_eq!(reason.code, CloseCode::Away);
}

#[tokio::test]
async fn a_node_without_quorum_serves_its_replicas_where_they_are() {
    let (node, local) = watch::channel(LocalEndpoints::default());
    let mut edge = TestEdge::start_as(|_| {}, |edge| edge.with_local_endpoints(local)).await;
    let [old, new] = [Upstream::start("old").await, Upstream::start("new").await];
    let environment = edge.app("shop", &[old.addr]).await;
    let replica = edge.replicas(environment)[0];
    let client = edge.client(&["shop"]);
    let said = async |expected: &str| {
        let same = async {
            loop {
                // One that meets the change is cut off, as it would be by a container that ends.
                let Ok(answer) = client.get(edge.url("shop", "/")).send().await else { continue };
                if answer.text().await.is_ok_and(|said| said == expected) {
                    return;
                }
            }
        };
        timeout(PATIENCE, same).await.unwrap_or_else(|_| panic!("not {expected}"));
    };
    said("old").await;
    node.send_replace(Some(Arc::new(BTreeMap::from([(replica, new.addr)]))));
    said("new").await;
    node.send_replace(Some(Arc::new(BTreeMap::from([(replica, old.addr)]))));
    said("old").await;
    drop(node);
    said("old").await;
}
