//! Deployments as REST shows them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{TestNode, read};

#[tokio::test(flavor = "multi_thread")]
async fn deployments_are_asked_for_listed_and_called_off() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let path = "/api/projects/shop/deployments";
    let deploy = |source: Value| node.post(path, json!({"source": source}));
    let nowhere = json!({"environment": "nowhere", "source": {"type": "image", "reference": "a"}});
    node.post(path, nowhere).await.problem(404, "not_found");
    let missing = deploy(json!({"type": "upload", "digest": "a".repeat(64)})).await;
    missing.problem(404, "not_found");
    deploy(json!({"type": "git", "url": "--upload-pack=x"})).await.problem(422, "invalid");
    let odd = deploy(json!({"type": "git", "url": "https://h/a", "tag": "v1"})).await;
    assert!(
        odd.problem(422, "invalid")["detail"].as_str().unwrap().contains("unknown field `tag`")
    );
    deploy(json!({"type": "artifact", "of": "7"})).await.problem(404, "not_found");
    node.upload(b"not an archive".to_vec(), "application/gzip")
        .await
        .problem(415, "unsupported_media_type");
    node.upload(b"x".to_vec(), "text/plain").await.problem(415, "unsupported_media_type");
    let revision = json!({"commit": "ab".repeat(20), "message": "Fix it\n\nwell", "author": "me"});
    let source = json!({"type": "git", "url": "https://me:pw@localhost:1/a.git"});
    let first = node.post(path, json!({"source": source, "revision": revision})).await;
    assert_eq!(first.status, 201);
    assert!(!first.text.contains("me:pw"));
    let first = first.ok();
    assert_eq!((&first["number"], &first["revision"]["message"]), (&json!(1), &json!("Fix it")));
    assert_eq!(first["environment_name"], "production");
    assert_eq!(first["url"], "http://shop-production.localho.st:8080");
    assert_eq!(first["created_by"]["email"], crate::common::ADMIN);
    let second = deploy(json!({"type": "image", "reference": "nginx:1"})).await.ok();
    assert_eq!(second["number"], 2);
    let list = node.get(&format!("{path}?limit=1")).await.ok();
    assert_eq!(list["items"][0]["id"], second["id"], "newest first");
    let rest = node.get(&format!("{path}?cursor={}", list["next_cursor"].as_str().unwrap())).await;
    assert_eq!(rest.ok()["items"][0]["number"], 1);
    let none = node.get(&format!("{path}?environment=production&limit=200")).await.ok();
    assert_eq!(none["items"].as_array().unwrap().len(), 2);
    for (search, number) in [("fix", 1), ("ABAB", 1), ("me", 1), ("nginx", 2), ("%232", 2)] {
        let found = node.get(&format!("{path}?search={search}&limit=1")).await.ok();
        assert_eq!(found["items"][0]["number"], number, "{search}");
    }
    let unknown = node.get(&format!("{path}?search=nobody%20wrote%20this")).await.ok();
    assert_eq!(unknown["items"], json!([]));
    let long = node.get(&format!("{path}?search={}", "a".repeat(201))).await;
    long.problem(422, "invalid");
    let environment = node.get("/api/projects/shop/environments/production").await.ok();
    assert_eq!(environment["latest"]["number"], 2);
    assert_eq!(environment["latest"]["created_at"], second["created_at"]);
    let over = node.get(&format!("{path}/1")).await.ok();
    assert!(["cancelled", "failed"].contains(&over["phase"].as_str().unwrap()), "{over}");
    node.post(&format!("{path}/1/cancel"), json!({})).await.problem(409, "finished");
    node.post(&format!("{path}/1/rollback"), json!({})).await.problem(409, "nothing_built");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployments_events_end_when_it_does() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let image = json!({"source": {"type": "image", "reference": "nginx:1"}});
    node.post("/api/projects/shop/deployments", image).await.ok();
    let events = node.get("/api/projects/shop/deployments/1/events").await;
    assert_eq!(events.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = events.text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["phase"], "failed", "there is no engine");
    assert_eq!(last["failure"]["code"], "engine_unavailable", "{last}");
    assert!(last["failure"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    let sse = node.admin(Method::GET, "/api/projects/shop/deployments/1/events");
    let sse = read(sse.header("accept", "text/event-stream")).await;
    assert!(sse.header("content-type").starts_with("text/event-stream"));
    assert!(sse.text.starts_with("data: {"), "{}", sse.text);
    let log = node.get("/api/projects/shop/deployments/1/logs?follow=true").await;
    for line in log.text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["at"].is_string() && line["step"].is_string() && line["text"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_not_there_has_no_shell() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let replicas = "/api/projects/shop/environments/production/replicas";
    assert_eq!(node.get(replicas).await.ok(), json!([]));
    let none = format!("{replicas}/rep_00000000000000000000000000");
    node.get(&format!("{none}/stats")).await.problem(404, "not_found");
    node.get(&format!("{none}/exec?command=ls")).await.problem(404, "not_found");
    let logs = node.get("/api/projects/shop/environments/production/logs").await;
    logs.problem(503, "engine_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_deployment_tells_how_many_builds_are_ahead() {
    let node = TestNode::start().await;
    // Nobody builds, so that all wait.
    crate::common::record(&node.cluster, node.cluster.node_id(), false).await;
    let source = json!({"source": {"type": "git", "url": "https://localhost:1/a.git"}});
    for (ahead, project) in ["one", "two", "three"].into_iter().enumerate() {
        node.create_project(project).await;
        let path = format!("/api/projects/{project}/deployments");
        let made = node.post(&path, source.clone()).await.ok();
        assert_eq!(made["queue"], json!({"ahead": ahead}), "{made}");
    }
    let cancelled = node.post("/api/projects/two/deployments/1/cancel", json!({})).await.ok();
    assert_eq!(cancelled.get("queue"), None);
    let last = node.get("/api/projects/three/deployments/1").await.ok();
    assert_eq!(last["queue"], json!({"ahead": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_git_source_that_cannot_be_used_says_what_can() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let deploy =
        |source: Value| node.post("/api/projects/shop/deployments", json!({"source": source}));
    let none = deploy(json!({"type": "git"})).await.problem(409, "no_repository");
    assert!(none["hint"].as_str().unwrap().contains("temps projects set --repository"), "{none}");
    let url = deploy(json!({"type": "git", "url": "ext::sh"})).await.problem(422, "invalid");
    assert_eq!(url["field"], "source.url");
    assert!(url["hint"].as_str().unwrap().contains("https://"), "{url}");
}
