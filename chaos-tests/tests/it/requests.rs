//! What edges answered is seen from any node.

use std::collections::BTreeSet;

use serde_json::Value;
use temps_chaos_tests::{RECOVERY, Traffic, until};

use crate::common::{APP, cluster};

/// Requests a second at each edge.
const RATE: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn what_every_edge_answered_is_seen_at_one_node_and_a_lost_one_is_named() {
    let ground = cluster(3).await;
    APP.deploy(&ground, 1).await.unwrap();
    let traffic = Traffic::start(&ground.edges(&[1, 2, 3]), &APP.host(), RATE);
    let seen = async |arguments: &[&str]| -> Vec<Value> {
        let asked = [&["requests", "-p", APP.project(), "--json"], arguments].concat();
        let said = ground.temps(&asked).await.unwrap_or_default();
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let all_edges = async || {
        let lines = seen(&["--status", "2xx", "--path", "/"]).await;
        let edges: BTreeSet<_> = lines.iter().map(|line| line["node"].as_u64()).collect();
        edges.len() == 3 && lines.iter().all(|line| line["type"] == "request")
    };
    until("requests of all edges are seen", RECOVERY, all_edges).await.unwrap();
    assert_eq!(seen(&["--status", "4xx"]).await, Vec::<Value>::new());

    ground.node(3).kill9().await.unwrap();
    let is_named = async || {
        let lines = seen(&[]).await;
        lines.iter().any(|line| line["type"] == "missing") && lines.len() > 1
    };
    until("it is said whose requests are missing", RECOVERY, is_named).await.unwrap();
    traffic.stop().await;
}
