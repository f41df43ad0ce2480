//! Projects, environments and variables over HTTP, and what all resources have in common.

use reqwest::Method;
use serde_json::{Value, json};
use temps_api::Sites;

use crate::common::{TestNode, read};

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_created_shown_changed_and_deleted() {
    let node = TestNode::start().await;
    let created = node.post("/api/projects", json!({"name": "shop"})).await;
    assert_eq!(created.status, 201);
    assert!(!created.header("etag").is_empty());
    let project = created.ok();
    assert_eq!(project["name"], "shop");
    assert_eq!(project["git_url"], format!("{}/git/shop.git", node.url));
    assert_eq!(project["webhooks"]["github"], format!("{}/api/webhook/git/github/shop", node.url));
    let production = &project["environments"][0];
    assert_eq!(production["url"], "http://shop-production.localho.st:8080");
    assert_eq!(production["kind"], json!({"type": "production"}));
    let id = project["id"].as_str().unwrap();
    assert_eq!(node.get(&format!("/api/projects/{id}")).await.ok(), project);
    let repository = json!({"url": "https://me:tok3n@host/a.git", "directory": "/web/", "deploy_key": "PRIVATE"});
    let changed = node.patch("/api/projects/shop", json!({"repository": repository})).await;
    assert!(!changed.text.contains("tok3n") && !changed.text.contains("PRIVATE"));
    let shown = changed.ok()["repository"].clone();
    let wanted = json!({"url": "https://host/a.git", "branch": "main", "directory": "web", "has_deploy_key": true});
    assert_eq!(shown, wanted);
    // What was shown can be sent back without losing what was not shown.
    let back = json!({"repository": {"url": "https://host/a.git", "branch": "release"}});
    assert_eq!(
        node.patch("/api/projects/shop", back).await.ok()["repository"]["has_deploy_key"],
        true
    );
    let kept = node.cluster.state().projects.values().next().unwrap().repository.clone().unwrap();
    assert_eq!(
        (kept.url.as_str(), kept.branch.as_str()),
        ("https://me:tok3n@host/a.git", "release")
    );
    let untouched = node.patch("/api/projects/shop", json!({"previews": false})).await.ok();
    assert_eq!(untouched["repository"]["branch"], "release");
    let without = node.patch("/api/projects/shop", json!({"repository": null})).await.ok();
    assert_eq!(without["repository"], json!(null));
    assert!(node.cluster.state().projects.values().all(|p| p.repository.is_none()));
    node.delete("/api/projects/shop").await.ok();
    node.get("/api/projects/shop").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_environment_hides_behind_a_name_server() {
    let node = TestNode::start().await;
    node.create_project("ns").await;
    node.create_project("shop").await;
    let path = "/api/projects/ns/environments";
    for branch in ["11", "#7"] {
        let refused = node.post(path, json!({"branch": branch})).await.problem(422, "invalid");
        assert_eq!(refused["field"], "branch");
        assert!(refused["detail"].as_str().unwrap().contains("answers in the DNS"), "{refused}");
    }
    assert_eq!(node.post(path, json!({"branch": "v11"})).await.status, 201);
    let other = "/api/projects/shop/environments";
    assert_eq!(node.post(other, json!({"branch": "11"})).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_name_the_field() {
    let node = TestNode::start().await;
    let post = |text: &'static str, media: &'static str| {
        read(node.admin(Method::POST, "/api/projects").header("content-type", media).body(text))
    };
    let json_type = "application/json";
    let unknown = post(r#"{"name": "shop", "nmae": 1}"#, json_type).await.problem(422, "invalid");
    assert!(unknown["detail"].as_str().unwrap().contains("unknown field `nmae`"), "{unknown}");
    let nested = post(r#"{"name": "a", "repository": {"url": 7}}"#, json_type).await;
    assert_eq!(nested.problem(422, "invalid")["field"], "repository.url");
    let name = post(r#"{"name": "No Name"}"#, json_type).await.problem(422, "invalid");
    assert!(name["detail"].as_str().unwrap().contains("lower-case letters"));
    post("{", json_type).await.problem(400, "not_json");
    post("name=shop", "application/x-www-form-urlencoded")
        .await
        .problem(415, "unsupported_media_type");
    let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(2 << 20));
    let long =
        node.admin(Method::POST, "/api/projects").header("content-type", json_type).body(long);
    let long = read(long).await;
    assert_eq!(long.header("connection"), "close", "nobody may ask on after half a body");
    long.problem(413, "too_large");
    node.get("/api/nowhere").await.problem(404, "no_route");
    node.delete("/api/projects").await.problem(405, "method_not_allowed");
    node.get("/api/projects?limit=0").await.problem(422, "invalid");
    node.get("/api/projects?limit=abc").await.problem(422, "invalid");
    node.get("/api/projects?cursor=%25").await.problem(422, "invalid");
    node.get("/api/projects?consistency=maybe").await.problem(422, "invalid");
    let logs = "/api/projects/shop/environments/production/logs?tail=many";
    node.get(logs).await.problem(400, "bad_request");
    node.post("/api/webhook/git/other/shop", json!({})).await.problem(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_takes_effect_once_and_gets_the_same_answer() {
    let node = TestNode::start().await;
    let post = |path: &'static str, key: &'static str, body: Value| {
        read(node.admin(Method::POST, path).header("idempotency-key", key).json(&body))
    };
    let first = post("/api/projects", "k1", json!({"name": "shop"})).await.ok();
    let second = post("/api/projects", "k1", json!({"name": "shop"})).await.ok();
    assert_eq!(first, second);
    post("/api/projects", "k2", json!({"name": "shop"})).await.problem(409, "taken");
    let reused = post("/api/projects", "k1", json!({"name": "blog"})).await;
    let reused = reused.problem(422, "idempotency_key_reused");
    assert!(reused["hint"].as_str().unwrap().contains("Idempotency-Key"), "{reused}");
    node.get("/api/projects/blog").await.problem(404, "not_found");
    let first = post("/api/api-keys", "k1", json!({"name": "ci"})).await.ok();
    let second = post("/api/api-keys", "k1", json!({"name": "ci"})).await.ok();
    assert_eq!(first, second);
    let key = second["key"].as_str().unwrap();
    read(node.anonymous(Method::GET, "/api/user/me").bearer_auth(key)).await.ok();
    let image = json!({"source": {"type": "image", "reference": "nginx:1"}});
    let deploy = || post("/api/projects/shop/deployments", "d1", image.clone());
    let (first, second) = (deploy().await.ok(), deploy().await.ok());
    assert_eq!((&first["id"], &first["number"]), (&second["id"], &second["number"]));
    let body = json!({"email": "a@b.c", "role": "user"});
    let (first, second) = (
        post("/api/users", "u", body.clone()).await.ok(),
        post("/api/users", "u", body).await.ok(),
    );
    assert_eq!(first, second);
    let other = node.user_key("user").await;
    let theirs = node.anonymous(Method::POST, "/api/projects").bearer_auth(other);
    let theirs = theirs.header("idempotency-key", "k1").json(&json!({"name": "other"}));
    assert_eq!(read(theirs).await.ok()["name"], "other", "keys belong to their callers");
    post("/api/projects", "", json!({"name": "x"})).await.problem(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_applies_only_to_what_was_seen() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let seen = node.get("/api/projects/shop").await.header("etag").to_string();
    let patch = |tag: String, body: Value| {
        read(node.admin(Method::PATCH, "/api/projects/shop").header("if-match", tag).json(&body))
    };
    let changed = patch(seen.clone(), json!({"previews": true})).await;
    let tag = changed.header("etag").to_string();
    changed.ok();
    assert_ne!(seen, tag);
    patch(seen.clone(), json!({"previews": false})).await.problem(412, "changed");
    patch("nonsense".into(), json!({"previews": false})).await.problem(422, "invalid");
    patch("*".into(), json!({"previews": true})).await.ok();
    let delete = node.admin(Method::DELETE, "/api/projects/shop").header("if-match", seen);
    read(delete).await.problem(412, "changed");
    let delete = node.admin(Method::DELETE, "/api/projects/shop").header("if-match", tag);
    read(delete).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let node = TestNode::start().await;
    for n in 0..7 {
        node.create_project(&format!("p{n}")).await;
    }
    let mut names = Vec::new();
    let mut path = "/api/projects?limit=3".to_string();
    loop {
        let page = node.get(&path).await.ok();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_string()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/projects?limit=3&cursor={cursor}");
    }
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    let audit = node.get("/api/audit/logs?limit=2").await.ok();
    assert_eq!(audit["items"][0]["target"], "p6", "newest first");
    let cursor = audit["next_cursor"].as_str().unwrap();
    let more = node.get(&format!("/api/audit/logs?limit=2&cursor={cursor}")).await.ok();
    assert_eq!(more["items"][0]["target"], "p4");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_shown_again() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let path = "/api/projects/shop/environments/production/env-vars";
    let body = json!({"variables": [
        {"name": "MODE", "value": "fast"},
        {"name": "TOKEN", "value": "s3cr3t-value", "secret": true},
    ]});
    let set = node.put(path, body).await;
    let listed = node.get(path).await;
    for answer in [&set, &listed] {
        assert!(!answer.text.contains("s3cr3t-value"), "{}", answer.text);
    }
    let items = listed.ok()["items"].clone();
    assert_eq!((&items[0]["value"], &items[0]["secret"]), (&json!("fast"), &json!(false)));
    assert_eq!((&items[1]["value"], &items[1]["secret"]), (&Value::Null, &json!(true)));
    let rotated = node.post("/api/projects/shop/webhook-secret", json!({})).await.ok();
    let webhook_secret = rotated["secret"].as_str().unwrap().to_string();
    for path in ["/api/projects", "/api/audit/logs", "/api/status", "/api/settings", "/api/users"] {
        let text = node.get(path).await.text;
        for secret in ["s3cr3t-value", &webhook_secret, "argon2", &node.key] {
            assert!(!text.contains(secret), "{path} shows {secret}");
        }
    }
    let debug = format!("{:?}", *node.cluster.state());
    for secret in ["s3cr3t-value", &webhook_secret, "$argon2"] {
        assert!(!debug.contains(secret), "Debug shows {secret}");
    }
    let bad = json!({"variables": [{"name": "A", "value": "1"}, {"name": "9", "value": "x"}]});
    assert_eq!(node.put(path, bad).await.problem(422, "invalid")["field"], "variables[1].name");
    node.delete(&format!("{path}/TOKEN")).await.ok();
    node.delete(&format!("{path}/TOKEN")).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_an_audit_record() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let production = "/api/projects/shop/environments/production";
    node.put(
        &format!("{production}/env-vars"),
        json!({"variables": [{"name": "A", "value": "1"}]}),
    )
    .await
    .ok();
    node.put(&format!("{production}/scale"), json!({"replicas": 2})).await.ok();
    node.post("/api/projects/shop/environments", json!({"branch": "Feature/X"})).await.ok();
    let image = json!({"source": {"type": "image", "reference": "nginx:1"}});
    node.post("/api/projects/shop/deployments", image).await.ok();
    node.delete("/api/projects/shop/environments/feature-x").await.ok();
    node.delete(production).await.problem(422, "invalid");
    let log = node.get("/api/audit/logs").await.ok();
    let actions: Vec<_> = log["items"].as_array().unwrap().iter().rev().skip(3).collect();
    let wanted = [
        "project.create",
        "variable.set",
        "environment.scale",
        "environment.create",
        "deployment.create",
        "environment.delete",
    ];
    assert_eq!(actions.iter().map(|record| &record["action"]).collect::<Vec<_>>(), wanted);
    for record in actions {
        assert_eq!(record["from"], "127.0.0.1");
        assert_eq!(record["actor"]["type"], "api_key");
        assert_eq!(record["actor"]["email"], crate::common::ADMIN);
        assert!(record["at"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_can_wait_for_the_edges() {
    let node = TestNode::start().await;
    let mut states = node.cluster.watch();
    let edge = node.edge.clone();
    tokio::spawn(async move {
        while states.changed().await.is_ok() {
            edge.send_replace(states.borrow_and_update().index);
        }
    });
    let answer = node.post("/api/projects?wait=edges", json!({"name": "shop"})).await;
    assert_eq!(answer.header("x-temps-edges"), "applied");
    answer.ok();
    node.post("/api/projects?wait=all", json!({"name": "other"})).await.problem(422, "invalid");
    node.get("/api/projects/other").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_tells_how_it_is() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let status = node.get("/api/status").await.ok();
    assert_eq!((&status["may_lose"], &status["projects"]), (&json!(0), &json!(1)));
    assert!(status["may_lose_text"].as_str().unwrap().contains("the only node"), "{status}");
    assert_eq!((&status["node"], &status["leader"]), (&status["leader"], &status["node"]));
    assert_eq!(status["edge"]["http_port"], 8080);
    assert_eq!(node.get("/api/nodes").await.ok()["items"][0]["architecture"], "amd64");
    let health = read(node.anonymous(Method::GET, "/healthz")).await.ok();
    assert_eq!(health, json!({"status": "ok", "quorum": true}));
    assert_eq!(read(node.anonymous(Method::GET, "/readyz")).await.status, 503, "no routes yet");
    node.edge.send_replace(1);
    node.sites.send_replace(Sites::Awaited);
    let starting = read(node.anonymous(Method::GET, "/readyz")).await;
    assert_eq!(starting.status, 503, "no sites yet");
    assert!(starting.text.contains("static sites are on their way"), "{}", starting.text);
    node.sites.send_replace(Sites::Missing);
    let ready = read(node.anonymous(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, 200, "what nobody has keeps no other traffic away");
    assert!(ready.text.contains("some static sites could not be fetched"), "{}", ready.text);
    node.sites.send_replace(Sites::Here);
    let ready = read(node.anonymous(Method::GET, "/readyz")).await.ok();
    assert_eq!(ready["status"], "ok", "an engine that is away keeps no traffic away");
    let warning = ready["warnings"][0].as_str().unwrap();
    assert!(warning.contains("container engine does not answer"), "{ready}");
    let problem = status["nodes"][0]["engine_problem"].as_str().unwrap();
    assert!(problem.contains("/nonexistent/docker.sock"), "{problem}");
    let metrics = read(node.anonymous(Method::GET, "/metrics")).await.text;
    for line in [
        "temps_raft_leader 1",
        "temps_projects 1",
        "temps_api_requests_total{method=\"POST\",path=\"/api/projects\",status=\"201\"} 1",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    let schema = read(node.anonymous(Method::GET, "/api/schema/temps.json")).await.ok();
    assert!(schema["properties"].is_object());
    let given = node.admin(Method::GET, "/api/status").header("x-request-id", "mine-1");
    assert_eq!(read(given).await.header("x-request-id"), "mine-1");
}
