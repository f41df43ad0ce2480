//! Several nodes: how they are shown and changed, and requests whose work is on another one.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use temps_builder::LogLine;
use temps_raft::{Cluster, Proposal, fresh_id};
use temps_state::{
    Actor, Artifact, Built, Command, DeploymentId, Failure, FailureCode, NodeId, Observed,
    ReplicaId,
};

use crate::common::{TestNode, Wires, read};

/// Two nodes; the first one leads.
async fn two() -> (Wires, TestNode, TestNode) {
    let wires = Wires::default();
    let one = TestNode::that_meets(&wires).await;
    let two = one.joined_by(&wires).await;
    (wires, one, two)
}

async fn propose(node: &TestNode, command: Command) {
    let actor = Actor::Node { id: node.cluster.node_id() };
    node.cluster.propose(Proposal::new(actor, command)).await.unwrap();
}

/// A deployment that `on` builds. No scheduler runs here, so that it stays as it is.
async fn building(node: &TestNode, on: NodeId) -> DeploymentId {
    node.create_project("shop").await;
    let source = json!({"source": {"type": "git", "url": "https://localhost:1/a.git"}});
    let made = node.post("/api/projects/shop/deployments", source).await.ok();
    let id = made["id"].as_str().unwrap().parse().unwrap();
    propose(node, Command::StartBuild { id, on }).await;
    id
}

/// Places a replica of what was built.
async fn place(node: &TestNode, deployment: DeploymentId, replica: ReplicaId, on: NodeId) {
    let config = json!({"preset": "docker", "port": 3000, "command": null, "health":
        {"path": null, "status": null, "interval_ms": 1000, "timeout_ms": 1000, "threshold": 1,
         "deadline_seconds": 60}, "resources": {"cpu_millis": 100, "memory_mib": 16, "pids": 16},
        "before_deploy": [], "cron": [], "drain_seconds": 1});
    let config = serde_json::from_value(config).unwrap();
    let artifact = Artifact::Image { id: format!("sha256:{}", "a".repeat(64)) };
    let built = Built { artifact, config, revision: None };
    propose(node, Command::FinishBuild { id: deployment, built }).await;
    propose(node, Command::PlaceReplicas { deployment, places: vec![(replica, on)] }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_that_no_node_has_room_for_is_told() {
    let node = TestNode::that_meets(&Wires::default()).await;
    let (id, replica) = (node.cluster.node_id(), fresh_id());
    let deployment = building(&node, id).await;
    place(&node, deployment, replica, id).await;
    let observed = Observed::Healthy { endpoint: "127.0.0.1:1".parse().unwrap() };
    propose(&node, Command::ReportReplica { id: replica, observed }).await;
    let drain_until = jiff::Timestamp::now();
    propose(&node, Command::SwitchRoute { id: deployment, drain_until }).await;
    let production = "/api/projects/shop/environments/production";
    let scale = node.admin(Method::PUT, &format!("{production}/scale"));
    let scaled = read(scale.json(&json!({"replicas": 2}))).await.ok();
    assert_eq!(scaled["lacking"], json!(null), "there is room, and it comes in a moment");
    propose(&node, Command::DrainNode { id }).await;
    let lacking = node.get(production).await.ok()["lacking"].clone();
    let message = lacking["message"].as_str().unwrap();
    assert!(message.starts_with("2 replicas have no place"), "{message}");
    assert!(message.ends_with("of 1 node, 1 lost, draining or joining"), "{message}");
    assert!(lacking["hint"].as_str().unwrap().contains("temps nodes undrain"), "{lacking}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_alone_has_no_peer_port_to_join() {
    let node = TestNode::start().await;
    node.post("/api/nodes/tokens", json!({})).await.problem(409, "alone");
    let id = node.cluster.node_id();
    node.delete(&format!("/api/nodes/{id}")).await.problem(409, "would_lose_quorum");
    let forced = node.delete(&format!("/api/nodes/{id}?force=true")).await;
    forced.problem(409, "last_node");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_removals_at_once_one_is_refused_where_both_would_lose_the_quorum() {
    let wires = Wires::default();
    let one = TestNode::that_meets(&wires).await;
    let (two, three) = (one.joined_by(&wires).await, one.joined_by(&wires).await);
    let voters = |cluster: &Cluster| {
        let all = cluster.status().members.iter().filter(|member| member.voter).count() == 3;
        (all && cluster.state().ready_nodes().count() == 3).then_some(())
    };
    one.eventually("three nodes vote", voters).await;
    let removed = |gone: &TestNode| format!("/api/nodes/{}", gone.cluster.node_id());
    let (first, second) = (removed(&two), removed(&three));
    let (first, second) = tokio::join!(one.delete(&first), one.delete(&second));
    let (refused, done) = if first.status.is_success() { (second, first) } else { (first, second) };
    done.ok();
    refused.problem(409, "would_lose_quorum");
    assert_eq!(one.cluster.state().nodes.len(), 2);
    one.create_project("shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_built_is_on_two_nodes_and_asked_for_again_is_answered_wherever_it_is() {
    let (wires, one, two) = two().await;
    one.create_project("shop").await;
    let archive =
        two.admin(Method::POST, "/api/uploads").header("content-type", "application/gzip");
    let sent = read(archive.body(vec![0x1f, 0x8b, 1, 2, 3, 4, 5])).await.ok();
    let digest = sent["digest"].as_str().unwrap().to_owned();
    let ask = async |node: &TestNode, key: &str| {
        let body = json!({"source": {"type": "upload", "digest": digest}});
        let request = node.admin(Method::POST, "/api/projects/shop/deployments");
        read(request.header("idempotency-key", key).json(&body)).await
    };
    let made = ask(&two, "once").await.ok();
    let copy = one.builder.uploads().path(&digest);
    assert!(copy.exists(), "the other node has it too");
    wires.cut(two.cluster.node_id());
    ask(&one, "another").await.ok();
    std::fs::remove_file(copy).unwrap();
    ask(&one, "a third").await.problem(404, "not_found");
    assert_eq!(ask(&one, "once").await.ok()["id"], made["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_shown_once_listed_and_deleted() {
    let node = TestNode::that_meets(&Wires::default()).await;
    for (body, field) in [
        (json!({"ttl_seconds": 1}), "ttl_seconds"),
        (json!({"uses": 0}), "uses"),
        (json!({"ttl": 7}), ""),
    ] {
        let problem = node.post("/api/nodes/tokens", body).await.problem(422, "invalid");
        assert!(field.is_empty() || problem["field"] == field, "{problem}");
    }
    let made = node.post("/api/nodes/tokens", json!({"uses": 2, "ttl_seconds": 60})).await.ok();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("tj_") && made["command"].as_str().unwrap().ends_with(token));
    assert_eq!(made["uses"], 2);
    let listed = node.get("/api/nodes/tokens").await;
    assert!(!listed.text.contains(token));
    let listed = listed.ok();
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["uses"]), (&made["id"], &json!(2)));
    let path = format!("/api/nodes/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(node.delete(&path).await.status, 204);
    node.delete(&path).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_shows_the_same_token() {
    let (_, one, two) = two().await;
    let post = |node: &TestNode, key: &str| {
        let request = node.admin(Method::POST, "/api/nodes/tokens").json(&json!({}));
        read(request.header("idempotency-key", key))
    };
    let before = one.get("/api/nodes/tokens").await.ok()["items"].as_array().unwrap().len();
    let made = post(&one, "k1").await.ok();
    for node in [&one, &two] {
        let again = post(node, "k1").await.ok();
        for field in ["token", "id", "created_at", "expires_at", "uses"] {
            assert_eq!(again[field], made[field], "{field}");
        }
        assert!(again["command"].as_str().unwrap().ends_with(made["token"].as_str().unwrap()));
    }
    let listed = one.get("/api/nodes/tokens").await.ok()["items"].clone();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|token| &token["id"]).collect();
    assert_eq!((ids.len(), ids.last()), (before + 1, Some(&&made["id"])), "{listed}");
    let other = post(&one, "k2").await.ok();
    assert!(other["id"] != made["id"] && other["token"] != made["token"], "{other}");
    one.delete(&format!("/api/nodes/tokens/{}", made["id"].as_str().unwrap())).await;
    for node in [&one, &two] {
        post(node, "k1").await.problem(409, "token_gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_deletes_nothing_that_was_made_since() {
    let (_, one, two) = two().await;
    let delete = |node: &TestNode, key: &str| {
        let request = node.admin(Method::DELETE, "/api/projects/shop");
        read(request.header("idempotency-key", key))
    };
    one.create_project("shop").await;
    assert_eq!(delete(&one, "k1").await.status, 204);
    one.create_project("shop").await;
    for node in [&one, &two] {
        assert_eq!(delete(node, "k1").await.status, 204, "the same answer");
        assert_eq!(node.get("/api/projects/shop").await.ok()["name"], "shop");
    }
    assert_eq!(delete(&two, "k2").await.status, 204);
    delete(&one, "k3").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_nodes_answer_for_the_cluster() {
    let (_, one, two) = two().await;
    two.create_project("shop").await;
    assert_eq!(one.get("/api/projects/shop").await.ok()["name"], "shop");
    let shown = two.get("/api/projects/shop").await;
    assert_eq!(shown.header("x-temps-node"), two.cluster.node_id().to_string());

    let body = json!({"name": "twice"});
    let post = |node: &TestNode| {
        node.admin(Method::POST, "/api/projects").json(&body).header("idempotency-key", "k1")
    };
    let first = read(post(&one)).await.ok();
    assert_eq!(read(post(&two)).await.ok()["id"], first["id"], "a retry elsewhere changes nothing");

    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let status = two.get("/api/status").await.ok();
        let nodes = status["nodes"].as_array().unwrap().clone();
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[0]["leader"], true, "{status}");
        if nodes.iter().all(|node| node["applied_index"].is_u64() && node["standing"] == "ready") {
            assert!(nodes.iter().all(|node| node["lag"].is_u64()), "{status}");
            assert!(nodes.iter().all(|node| node["engine_problem"].is_string()), "{status}");
            break;
        }
        assert!(Instant::now() < deadline, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_a_node_that_is_gone_is_not_called_reachable() {
    let (_wires, one, two) = two().await;
    let gone = one.cluster.node_id().0;
    one.cluster.clone().stop().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = loop {
        let status = two.get("/api/status").await.ok();
        if status["quorum"] == false {
            break status;
        }
        assert!(Instant::now() < deadline, "{status}");
    };
    for node in status["nodes"].as_array().unwrap() {
        let (is_gone, lag) = (node["id"] == gone, node["lag"].is_null());
        assert_eq!((node["reachable"].as_bool(), lag), (Some(!is_gone), is_gone), "{node}");
        assert!(node["lost_since"].is_null(), "nobody could say so");
    }
    let shown = two.get(&format!("/api/nodes/{gone}?consistency=stale")).await.ok();
    assert_eq!(shown["reachable"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_on_one_node_works_on_the_other_at_once() {
    let (_, one, two) = two().await;
    for name in ["a", "b", "c"] {
        let made = one.post("/api/api-keys", json!({"name": name})).await.ok();
        let key = made["key"].as_str().unwrap();
        let me = read(two.anonymous(Method::GET, "/api/user/me").bearer_auth(key)).await;
        assert_eq!(me.status, 200, "{}", me.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_labelled_drained_and_removed() {
    let (_, one, two) = two().await;
    let id = two.cluster.node_id();
    let path = format!("/api/nodes/{id}");
    let labels = json!({"labels": {"set": {"zone": "north", "disk": "ssd"}}});
    one.patch(&path, labels).await.ok();
    let labels = json!({"labels": {"unset": ["disk"]}});
    assert_eq!(one.patch(&path, labels).await.ok()["labels"], json!({"zone": "north"}));
    let bad = json!({"labels": {"set": {"zone": "a b"}}});
    one.patch(&path, bad).await.problem(422, "invalid");
    one.get("/api/nodes/nobody").await.problem(404, "not_found");

    let drained = one.post(&format!("{path}/drain"), json!({})).await.ok();
    assert_eq!((&drained["standing"], &drained["drained"]), (&json!("draining"), &json!(true)));
    let back = one.post(&format!("{path}/undrain"), json!({})).await.ok();
    assert_eq!((&back["standing"], &back["drained"]), (&json!("ready"), &json!(false)));

    let first = one.cluster.node_id();
    let leading = one.post(&format!("/api/nodes/{first}/drain"), json!({})).await.ok();
    assert_eq!(leading["standing"], "draining");
    one.post(&format!("/api/nodes/{first}/undrain"), json!({})).await.ok();

    let removed = two.delete(&path).await;
    assert_eq!(removed.header("x-temps-node"), first.to_string(), "another node does it");
    let removed = removed.ok();
    assert_eq!((&removed["id"], &removed["warning"]), (&json!(id.0), &Value::Null));
    assert!(two.left.is_cancelled());
    one.get(&path).await.problem(404, "not_found");
    let audit = one.get("/api/audit/logs").await.ok();
    let actions = audit["items"].as_array().unwrap().iter().map(|record| &record["action"]);
    let actions: Vec<_> = actions.map(|action| action.as_str().unwrap()).collect();
    for action in ["node.label", "node.drain", "node.undrain", "node.remove", "node.token"] {
        assert!(actions.contains(&action), "{action} is missing: {actions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_log_is_had_from_the_node_that_built() {
    let (wires, one, two) = two().await;
    let id = building(&one, two.cluster.node_id()).await;
    two.builder.logs().append(id, LogLine::new("build", "made far away"));
    let path = "/api/projects/shop/deployments/1/logs";
    let follow = format!("{path}?follow=true");
    let following = one.get(&follow);
    let (followed, ()) = tokio::join!(following, async {
        let reason = "that is enough".into();
        propose(&two, Command::CancelDeployment { id, reason }).await;
    });
    assert!(followed.text.contains("made far away"), "{}", followed.text);
    let shown = one.get("/api/projects/shop/deployments/1").await.ok();
    assert_eq!(shown["built_on"], two.cluster.node_id().0);

    let read_there = two.get(path).await.text;
    assert_eq!(one.get(path).await.text, read_there);
    wires.cut(two.cluster.node_id());
    let missing = one.get(path).await.text;
    assert!(missing.contains("lines are missing"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_log_goes_on_at_the_node_that_builds_after_another_could_not() {
    let (_wires, one, two) = two().await;
    let (far, near) = (two.cluster.node_id(), one.cluster.node_id());
    let id = building(&one, far).await;
    two.builder.logs().append(id, LogLine::new("", "the engine is away"));
    let following = one.get("/api/projects/shop/deployments/1/logs?follow=true");
    let (followed, ()) = tokio::join!(following, async {
        let failure = Failure {
            code: FailureCode::EngineUnavailable,
            message: "m".into(),
            hint: "h".into(),
            log_tail: vec![],
        };
        propose(&two, Command::ReturnBuild { id, by: far, failure }).await;
        two.builder.logs().finish(id);
        propose(&one, Command::StartBuild { id, on: near }).await;
        one.builder.logs().append(id, LogLine::new("build", "made here"));
        propose(&one, Command::CancelDeployment { id, reason: "that is enough".into() }).await;
        one.builder.logs().finish(id);
    });
    let told = |text: &str| followed.text.find(text);
    assert!(told("the engine is away").is_some(), "{}", followed.text);
    assert!(told("the engine is away") < told("made here"), "{}", followed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_does_is_asked_of_its_node() {
    let (wires, one, two) = two().await;
    let id = building(&one, two.cluster.node_id()).await;
    let replica: ReplicaId = temps_raft::fresh_id();
    let far = two.cluster.node_id();
    place(&one, id, replica, far).await;

    let base = "/api/projects/shop/environments/production";
    let stats = format!("{base}/replicas/{replica}/stats");
    let asked = one.get(&stats).await;
    assert_eq!(asked.header("x-temps-node"), far.to_string());
    asked.problem(503, "engine_unavailable");
    let exec = one.get(&format!("{base}/replicas/{replica}/exec?command=ls")).await;
    assert_eq!(exec.header("x-temps-node"), far.to_string());
    let stranger = read(one.anonymous(Method::GET, &stats)).await;
    stranger.problem(401, "unauthenticated");

    wires.cut(far);
    let gone = one.get(&stats).await;
    assert_eq!(gone.header("x-temps-node"), one.cluster.node_id().to_string());
    let gone = gone.problem(503, "node_unreachable");
    assert!(gone["detail"].as_str().unwrap().contains(&format!("node {far}")), "{gone}");
    let lines = one.get(&format!("{base}/logs?replica={replica}")).await.text;
    assert!(lines.contains(&replica.to_string()) && lines.contains("missing"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_entered_through_a_node_that_has_not_heard_of_it_yet() {
    let (_wires, one, two) = two().await;
    let id = building(&one, two.cluster.node_id()).await;
    let replica: ReplicaId = temps_raft::fresh_id();
    place(&one, id, replica, two.cluster.node_id()).await;
    let base = "/api/projects/shop/environments/production/replicas";
    // Anything but "not found": this is no WebSocket.
    let path = format!("{base}/{replica}/exec?command=ls");
    two.get(&path).await.problem(422, "invalid");
    let other: ReplicaId = temps_raft::fresh_id();
    two.get(&format!("{base}/{other}/exec?command=ls")).await.problem(404, "not_found");
}
