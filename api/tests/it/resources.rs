//! Projects, environments, variables and deployments over HTTP.
use reqwest::Method;
use serde_json::{Value, json};
use temps_api::Sites;

use crate::common::{Answer, TestNode, read};

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
async fn the_key_of_an_account_with_an_authority_is_never_shown() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let node = TestNode::start().await;
    let mut settings = node.get("/api/settings").await.ok();
    let kept = || node.cluster.state().settings().acme.eab_key;
    assert_eq!(settings["acme"]["eab_key"], "");
    for (id, key, fits) in [
        ("kid-1", "", false),
        ("", KEY, false),
        ("kid-1", "no Base64!", false),
        ("kid-1", KEY, true),
        ("kid-1", "", true),
        ("kid-2", "", false),
    ] {
        settings["acme"]["eab_key_id"] = json!(id);
        settings["acme"]["eab_key"] = json!(key);
        let answer = node.put("/api/settings", settings.clone()).await;
        assert!(!answer.text.contains(KEY), "{id} {key}");
        match fits {
            true => assert_eq!(answer.ok()["acme"]["eab_key"], ""),
            false => assert_eq!(answer.problem(422, "invalid")["field"], "acme.eab_key"),
        }
    }
    let sealed = kept().expect("it is kept");
    let place = temps_state::AcmeSettings::EAB_KEY_PLACE;
    assert_eq!(node.cluster.open(place, &sealed).unwrap(), KEY);
    assert!(!node.get("/api/settings").await.text.contains(KEY));
    settings["acme"]["eab_key_id"] = json!("");
    node.put("/api/settings", settings).await.ok();
    assert_eq!(kept(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_replaced_whole_and_checked() {
    let node = TestNode::start().await;
    let before = node.get("/api/settings").await.ok();
    assert_eq!(before["preview_domain"], "localho.st");
    let mut settings = before.clone();
    settings["preview_domain"] = json!("apps.example.com");
    settings["edge"]["body_bytes_max"] = json!(5);
    assert_eq!(node.put("/api/settings", settings.clone()).await.ok(), settings);
    assert_eq!(node.get("/api/settings").await.ok(), settings);
    settings["edge"]["headers_max"] = json!(0);
    let refused = node.put("/api/settings", settings).await.problem(422, "invalid");
    assert_eq!(refused["field"], "edge.headers_max");
    node.put("/api/settings", json!({"preview_domain": "No Domain"})).await.problem(422, "invalid");
    let unknown = node.put("/api/settings", json!({"edge": {"x": 1}})).await;
    assert!(
        unknown.problem(422, "invalid")["detail"].as_str().unwrap().contains("unknown field `x`")
    );
    assert_eq!(node.put("/api/settings", json!({})).await.ok(), before, "left out means default");
    let zones = |zones: Value| json!({"dns": {"zones": zones}});
    for wrong in [json!(["*.example.com"]), json!(["example.com", "a.example.com"])] {
        let refused = node.put("/api/settings", zones(wrong)).await.problem(422, "invalid");
        assert!(refused["detail"].as_str().unwrap().contains("example.com"), "{refused}");
    }
    let refused =
        node.put("/api/settings", zones(json!(["no zone"]))).await.problem(422, "invalid");
    assert!(refused["detail"].as_str().unwrap().contains("no zone"), "{refused}");
    let named = node.put("/api/settings", zones(json!(["Apps.Example.com."]))).await.ok();
    assert_eq!(named["dns"]["zones"], json!(["apps.example.com"]));
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

pub fn upload(node: &TestNode, octets: Vec<u8>, media: &str) -> impl Future<Output = Answer> {
    read(
        node.admin(Method::POST, "/api/uploads")
            .header("content-type", media.to_string())
            .body(octets),
    )
}

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
    upload(&node, b"not an archive".to_vec(), "application/gzip")
        .await
        .problem(415, "unsupported_media_type");
    upload(&node, b"x".to_vec(), "text/plain").await.problem(415, "unsupported_media_type");
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
