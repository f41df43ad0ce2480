//! Zones that the nodes answer for: whether they are handed over to the nodes there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use temps_state::{Delegation, DelegationSight};

use crate::common::{TestNode, record_name_server};

const ZONE: &str = "apps.example.com";

/// What is seen where the zone above names these servers with an address each.
fn sight(servers: &[(&str, &str)]) -> DelegationSight {
    let one = |(name, address): &(&str, &str)| {
        (format!("{name}.{ZONE}"), [address.parse().unwrap()].into())
    };
    let found = Ok(Delegation(servers.iter().map(one).collect::<BTreeMap<_, _>>()));
    DelegationSight { at: Timestamp::now(), by_parent: true, found }
}

/// The zone, the status' word of it, and the number of zones that are wrong.
async fn told(node: &TestNode) -> (Value, Value, bool) {
    let status = node.get("/api/status").await.ok();
    let metrics = node.get("/metrics").await.text;
    let listed = node.get("/api/dns-zones").await.ok();
    assert_eq!(status["dns_zones"], listed["items"]);
    let wrong = metrics.contains("\ntemps_dns_zones_misdelegated 1\n");
    assert!(wrong || metrics.contains("\ntemps_dns_zones_misdelegated 0\n"), "{metrics}");
    (listed["items"][0].clone(), status["dns_zones"][0]["status"].clone(), wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_says_what_to_change_where_the_zone_above_is_kept() {
    let node = TestNode::start().await;
    record_name_server(&node.cluster, "192.0.2.1:53".parse().unwrap()).await;
    let path = format!("/api/dns-zones/{ZONE}");
    node.get(&path).await.problem(404, "not_found");
    let mut settings = node.get("/api/settings").await.ok();
    settings["dns"]["zones"] = json!([ZONE]);
    node.put("/api/settings", settings).await.ok();
    let (zone, status, wrong) = told(&node).await;
    assert_eq!((&zone["looked_at"], status, wrong), (&Value::Null, json!("unknown"), false));

    // Nobody has delegated it yet, which is no trouble.
    node.zone_looks.see(sight(&[]));
    let zone = node.get(&path).await.ok();
    let add = json!([
        {"type": "NS", "name": ZONE, "value": "ns-1.apps.example.com"},
        {"type": "A", "name": "ns-1.apps.example.com", "value": "192.0.2.1"},
    ]);
    assert_eq!((&zone["status"], &zone["add"]), (&json!("undelegated"), &add));
    assert_eq!(zone["faults"], json!([]));
    let (_, status, wrong) = told(&node).await;
    assert_eq!((status, wrong), (json!("undelegated"), false));

    node.zone_looks.see(sight(&[("ns-1", "192.0.2.1")]));
    let zone = node.get(&path).await.ok();
    assert_eq!((&zone["status"], &zone["add"]), (&json!("right"), &json!([])));
    assert!(!told(&node).await.2);
    // The node is replaced by one elsewhere, and nobody has looked since.
    record_name_server(&node.cluster, "192.0.2.2:53".parse().unwrap()).await;
    let (zone, status, wrong) = told(&node).await;
    assert_eq!((status, wrong), (json!("wrong"), true));
    let record = |at: &str| json!([{"type": "A", "name": "ns-1.apps.example.com", "value": at}]);
    assert_eq!((&zone["remove"], &zone["add"]), (&record("192.0.2.1"), &record("192.0.2.2")));
    let why = "ns-1.apps.example.com leads to 192.0.2.1, where no node answers";
    assert_eq!(zone["faults"][0]["why"], why);
    assert_eq!(zone["faults"][1]["address"], Value::Null);

    let error = DelegationSight { found: Err("nobody answers".into()), ..sight(&[]) };
    node.zone_looks.see(error);
    let zone = node.get(&path).await.ok();
    assert_eq!((&zone["status"], &zone["error"]), (&json!("unknown"), &json!("nobody answers")));
}
