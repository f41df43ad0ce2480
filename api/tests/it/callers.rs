//! Which projects may call another one's apps by their internal names.

use reqwest::Method;
use serde_json::json;

use crate::common::{Answer, TestNode, read};

const CALLERS: &str = "/api/projects/shop/callers";

async fn with_projects() -> TestNode {
    let node = TestNode::start().await;
    for name in ["shop", "blog", "web"] {
        node.create_project(name).await;
    }
    node
}

async fn allow(node: &TestNode, caller: &str) -> Answer {
    read(node.admin(Method::PUT, &format!("{CALLERS}/{caller}"))).await
}

/// The names that are listed, which the project itself shows too.
async fn listed(node: &TestNode) -> Vec<String> {
    let list = node.get(CALLERS).await.ok();
    let items = list["items"].as_array().unwrap().iter();
    let names: Vec<String> = items.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(node.get("/api/projects/shop").await.ok()["callers"], json!(names));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_allowed_listed_and_denied() {
    let node = with_projects().await;
    assert!(listed(&node).await.is_empty());
    for _ in 0..2 {
        assert_eq!(allow(&node, "blog").await.ok()["name"], "blog");
    }
    let web = node.get("/api/projects/web").await.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(allow(&node, &web).await.ok()["id"], web.as_str());
    assert_eq!(listed(&node).await, ["blog", "web"]);
    let page = node.get(&format!("{CALLERS}?limit=1")).await.ok();
    assert!(page["next_cursor"].is_string(), "{page}");

    assert_eq!(node.delete(&format!("{CALLERS}/blog")).await.status, 204);
    assert_eq!(listed(&node).await, ["web"]);
    node.delete("/api/projects/web").await.ok();
    assert!(listed(&node).await.is_empty(), "it is gone");
    let audit = node.get("/api/audit/logs").await.ok().to_string();
    assert!(audit.contains("project.caller.allow") && audit.contains("project.caller.deny"));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_to_do() {
    let node = with_projects().await;
    let unknown = allow(&node, "nobody").await.problem(404, "not_found");
    assert!(unknown["hint"].as_str().unwrap().contains("temps projects list"), "{unknown}");
    let itself = allow(&node, "shop").await.problem(422, "invalid");
    assert!(itself["detail"].as_str().unwrap().contains("of one project"), "{itself}");
    let never = node.delete(&format!("{CALLERS}/blog")).await.problem(404, "not_found");
    let hint = never["hint"].as_str().unwrap();
    assert!(hint.contains("temps projects callers list"), "{never}");
    let elsewhere = "/api/projects/nobody/callers";
    node.get(elsewhere).await.problem(404, "not_found");
    let other = read(node.admin(Method::PUT, &format!("{elsewhere}/blog"))).await;
    other.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_is_repeated_takes_effect_once() {
    let node = with_projects().await;
    allow(&node, "blog").await.ok();
    let deny = || {
        let request = node.admin(Method::DELETE, &format!("{CALLERS}/blog"));
        read(request.header("idempotency-key", "once"))
    };
    assert_eq!(deny().await.status, 204);
    allow(&node, "blog").await.ok();
    assert_eq!(deny().await.status, 204);
    assert_eq!(listed(&node).await, ["blog"], "the second is the first one again");
}
