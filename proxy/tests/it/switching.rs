//! An app of one replica is switched from version to version while requests come in: none fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::{Instant, timeout};

use crate::support::upstream::{Upstream, closed_port};
use crate::support::{PATIENCE, TestEdge, image};

const SWITCHES: usize = 20;
const CLIENTS: usize = 4;
/// Requests that must be answered by each version before the next one comes.
const REQUESTS_PER_VERSION: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_versions_are_switched() {
    let mut edge = TestEdge::start().await;
    let mut running = Upstream::start("app").await;
    let environment = edge.app("shop", &[running.addr]).await;
    let client = edge.client(&["shop"]);
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (client, url) = (client.clone(), edge.url("shop", "/upload"));
            let (over, answered) = (over.clone(), answered.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let request =
                        if n % 2 == 0 { client.get(&url) } else { client.post(&url).body("body") };
                    let answer = request.send().await.expect("an answer");
                    let (status, text) = (answer.status(), answer.text().await.expect("whole"));
                    assert_eq!(status, 200, "{text}");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..SWITCHES {
        let before = answered.load(Ordering::SeqCst);
        let enough = async {
            while answered.load(Ordering::SeqCst) < before + REQUESTS_PER_VERSION {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, enough).await.expect("requests go on");
        let newer = Upstream::start("app").await;
        edge.deploy(environment, image(), &[newer.addr]).await;
        let older = std::mem::replace(&mut running, newer);
        // The old one drains: what is under way ends, then its port closes.
        older.retire();
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no request failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_meets_a_closed_port_waits_for_the_switch() {
    let mut edge = TestEdge::start().await;
    let environment = edge.app("shop", &[closed_port().await]).await;
    let client = edge.client(&["shop"]);
    let get = tokio::spawn(client.get(edge.url("shop", "/")).send());
    let post = tokio::spawn(client.post(edge.url("shop", "/upload")).body("body").send());
    let refused = async {
        while edge.metric("temps_edge_upstream_errors_total").parse::<u32>().unwrap_or(0) < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("both were refused");
    let app = Upstream::start("one").await;
    edge.deploy(environment, image(), &[app.addr]).await;
    assert_eq!(get.await.unwrap().unwrap().text().await.unwrap(), "one");
    assert_eq!(post.await.unwrap().unwrap().text().await.unwrap(), "4");
}

#[tokio::test]
async fn a_container_that_starts_again_gets_the_waiting_request() {
    let mut edge = TestEdge::start().await;
    let addr = closed_port().await;
    edge.app("shop", &[addr]).await;
    let client = edge.client(&["shop"]);
    let waiting = tokio::spawn(client.get(edge.url("shop", "/")).send());
    while edge.metric("temps_edge_upstream_errors_total") == "0" {
        tokio::task::yield_now().await;
    }
    let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
    let _app = Upstream::serve(listener, "back");
    assert_eq!(waiting.await.unwrap().unwrap().text().await.unwrap(), "back");
}

#[tokio::test]
async fn waiting_ends() {
    let mut edge = TestEdge::start().await;
    edge.app("dead", &[closed_port().await]).await;
    edge.app("none", &[]).await;
    let client = edge.client(&["dead", "none"]);
    let started = Instant::now();
    let (dead, none) = tokio::join!(
        client.get(edge.url("dead", "/")).send(),
        client.get(edge.url("none", "/")).send(),
    );
    assert_eq!(dead.unwrap().status(), 502);
    assert_eq!(none.unwrap().status(), 503);
    assert!(started.elapsed() < PATIENCE / 2);
}
