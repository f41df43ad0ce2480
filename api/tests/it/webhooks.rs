//! Webhooks, with the bodies and headers that Git servers send.
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::common::{Answer, TestNode, read};

const COMMIT: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
const ZERO: &str = "0000000000000000000000000000000000000000";

fn sign(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The parts of GitHub's documented push payload that differ between pushes, among those that do not.
fn github(branch: &str, after: &str) -> String {
    let head = json!({
        "id": after, "message": "Update README.md\n\nmore", "timestamp": "2026-01-01T12:00:00Z",
        "author": {"name": "Codertocat", "email": "c@example.com", "username": "Codertocat"},
        "added": [], "removed": [], "modified": ["README.md"],
    });
    json!({
        "ref": format!("refs/heads/{branch}"),
        "before": "ec26c3e57ca3a959ca5aad62de7213c562f8c821",
        "after": after,
        "created": false, "deleted": after == ZERO, "forced": false,
        "compare": "https://example.com/compare",
        "repository": {
            "id": 186853002, "name": "Hello-World", "full_name": "Codertocat/Hello-World",
            "private": false, "clone_url": "https://example.com/Codertocat/Hello-World.git",
            "default_branch": "main", "pushed_at": 1557933620,
        },
        "pusher": {"name": "Codertocat", "email": "c@example.com"},
        "head_commit": if after == ZERO { Value::Null } else { head.clone() },
        "commits": if after == ZERO { json!([]) } else { json!([head]) },
    })
    .to_string()
}

async fn send(node: &TestNode, server: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let path = format!("/api/webhook/git/{server}/shop");
    let mut request =
        node.anonymous(Method::POST, &path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request.body(body)).await
}

async fn push(node: &TestNode, secret: &str, delivery: &str, body: String) -> Answer {
    let signature = format!("sha256={}", sign(secret, &body));
    let headers = [
        ("x-github-event", "push"),
        ("x-github-delivery", delivery),
        ("x-hub-signature-256", signature.as_str()),
        ("user-agent", "GitHub-Hookshot/044aadd"),
    ];
    send(node, "github", &headers, body).await
}

async fn shop(previews: bool) -> (TestNode, String) {
    let node = TestNode::start().await;
    let repository = json!({"url": "file:///nonexistent/hello.git", "branch": "main"});
    let body = json!({"name": "shop", "repository": repository, "previews": previews});
    node.post("/api/projects", body).await.ok();
    let rotated = node.post("/api/projects/shop/webhook-secret", json!({})).await.ok();
    (node, rotated["secret"].as_str().unwrap().into())
}

fn deployments(node: &TestNode) -> usize {
    node.cluster.state().deployments.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_push_is_deployed_once() {
    let (node, secret) = shop(false).await;
    let answer = push(&node, &secret, "d-1", github("main", COMMIT)).await;
    assert_eq!(answer.status, 202);
    let outcome = answer.ok();
    assert_eq!((&outcome["outcome"], &outcome["number"]), (&json!("deployed"), &json!(1)));
    let again = push(&node, &secret, "d-1", github("main", COMMIT)).await.ok();
    assert_eq!(again["deployment"], outcome["deployment"]);
    assert_eq!(deployments(&node), 1);
    let deployment = node.get("/api/projects/shop/deployments/1").await.ok();
    let source = &deployment["source"];
    assert_eq!(source["url"], "file:///nonexistent/hello.git", "the project's, not the body's");
    assert_eq!((&source["commit"], &source["branch"]), (&json!(COMMIT), &json!("main")));
    let wanted = json!({"branch": "main", "commit": COMMIT, "message": "Update README.md", "author": "Codertocat"});
    assert_eq!(deployment["revision"], wanted);
    assert_eq!(deployment["created_by"]["type"], "webhook");
    let other = push(&node, &secret, "d-2", github("feature", COMMIT)).await.ok();
    assert_eq!(other["outcome"], "ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_not_believed() {
    let (node, secret) = shop(true).await;
    let body = github("main", COMMIT);
    push(&node, "another secret", "d", body.clone()).await.problem(401, "wrong_signature");
    send(&node, "github", &[("x-github-event", "push")], body.clone())
        .await
        .problem(401, "wrong_signature");
    let signature = format!("sha256={}", sign(&secret, &body));
    let headers = [("x-github-event", "push"), ("x-hub-signature-256", signature.as_str())];
    send(&node, "github", &headers, github("main", &"b".repeat(40)))
        .await
        .problem(401, "wrong_signature");
    let gitea = [("x-gitea-event", "push"), ("x-gitea-signature", "00ff")];
    send(&node, "gitea", &gitea, body.clone()).await.problem(401, "wrong_signature");
    let gitlab = [("x-gitlab-event", "Push Hook"), ("x-gitlab-token", "guess")];
    send(&node, "gitlab", &gitlab, body.clone()).await.problem(401, "wrong_signature");
    let nowhere = node.anonymous(Method::POST, "/api/webhook/git/github/nowhere").body(body);
    read(nowhere).await.problem(401, "wrong_signature");
    assert_eq!(deployments(&node), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_get_previews_and_lose_them() {
    let (node, secret) = shop(true).await;
    push(&node, &secret, "1", github("Feature/Log_In", COMMIT)).await.ok();
    let preview = node.get("/api/projects/shop/environments/feature-log-in").await.ok();
    assert_eq!(preview["kind"], json!({"type": "preview", "branch": "Feature/Log_In"}));
    push(&node, &secret, "2", github("Feature/Log_In", &"b".repeat(40))).await.ok();
    assert_eq!(deployments(&node), 2);
    let slug = push(&node, &secret, "3", github("feature/log-in", COMMIT)).await;
    slug.problem(409, "taken");
    let gone = push(&node, &secret, "4", github("Feature/Log_In", ZERO)).await.ok();
    assert_eq!(gone["outcome"], "deleted");
    node.get("/api/projects/shop/environments/feature-log-in").await.problem(404, "not_found");
    let main = push(&node, &secret, "5", github("main", ZERO)).await.ok();
    assert_eq!(main["outcome"], "ignored", "production stays");
    let gone = push(&node, &secret, "6", github("never-was", ZERO)).await.ok();
    assert_eq!(gone["outcome"], "ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn github_also_sends_pings_tags_and_forms() {
    let (node, secret) = shop(false).await;
    let ping = json!({"zen": "Keep it logically awesome.", "hook_id": 1}).to_string();
    let signature = format!("sha256={}", sign(&secret, &ping));
    let headers = [("x-github-event", "ping"), ("x-hub-signature-256", signature.as_str())];
    assert_eq!(send(&node, "github", &headers, ping).await.ok()["outcome"], "ignored");
    let tag = github("main", COMMIT).replace("refs/heads/main", "refs/tags/v1");
    assert_eq!(push(&node, &secret, "t", tag).await.ok()["outcome"], "ignored");
    let form = format!("payload={}", percent(&github("main", COMMIT)));
    let signature = format!("sha256={}", sign(&secret, &form));
    let request = node.anonymous(Method::POST, "/api/webhook/git/github/shop");
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-github-event", "push")
        .header("x-hub-signature-256", signature)
        .body(form);
    assert_eq!(read(request).await.ok()["outcome"], "deployed");
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_and_gitea_are_understood() {
    let (node, secret) = shop(false).await;
    let gitlab = json!({
        "object_kind": "push", "event_name": "push", "before": ZERO, "after": COMMIT,
        "ref": "refs/heads/main", "checkout_sha": COMMIT, "user_name": "John Smith",
        "project": {"id": 15, "git_http_url": "https://example.com/a.git", "default_branch": "main"},
        "commits": [
            {"id": "b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327", "message": "Older", "author": {"name": "A"}},
            {"id": COMMIT, "message": "Newest", "author": {"name": "John Smith", "email": "j@example.com"}},
        ],
        "total_commits_count": 2,
    });
    let headers = [
        ("x-gitlab-event", "Push Hook"),
        ("x-gitlab-token", secret.as_str()),
        ("x-gitlab-event-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e"),
    ];
    send(&node, "gitlab", &headers, gitlab.to_string()).await.ok();
    send(&node, "gitlab", &headers, gitlab.to_string()).await.ok();
    assert_eq!(deployments(&node), 1);
    let made = node.get("/api/projects/shop/deployments/1").await.ok();
    assert_eq!(made["revision"]["message"], "Newest");
    let gitea = json!({
        "ref": "refs/heads/main", "before": ZERO, "after": COMMIT, "total_commits": 1,
        "compare_url": "", "commits": [{
            "id": COMMIT, "message": "Hi\n", "author": {"name": "Gitea", "username": "gitea"},
        }],
        "head_commit": null,
        "repository": {"id": 140, "clone_url": "http://localhost:3000/gitea/webhooks.git"},
    })
    .to_string();
    let signature = sign(&secret, &gitea);
    let headers = [
        ("x-gitea-event", "push"),
        ("x-gitea-delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"),
        ("x-gitea-signature", signature.as_str()),
    ];
    send(&node, "gitea", &headers, gitea).await.ok();
    let made = node.get("/api/projects/shop/deployments/2").await.ok();
    assert_eq!(made["revision"]["author"], "Gitea");
    let records = node.get("/api/audit/logs?limit=1").await.ok();
    let actor = &records["items"][0]["actor"];
    assert_eq!((&actor["type"], &actor["name"]), (&json!("webhook"), &json!("shop")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_repository_cannot_fetch() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let rotated = node.post("/api/projects/shop/webhook-secret", json!({})).await.ok();
    let secret = rotated["secret"].as_str().unwrap();
    push(&node, secret, "d", github("main", COMMIT)).await.problem(409, "no_repository");
}
