//! Guards: what is checked before requests are forwarded, who may set it, and what is never shown.

use reqwest::Method;
use serde_json::{Value, json};
use temps_state::{PasswordRule, Scope};

use crate::common::{TestNode, read};

const CLUSTER: &str = "/api/guards";
const PROJECT: &str = "/api/projects/shop/guard";
const ENVIRONMENT: &str = "/api/projects/shop/environments/production/guard";

async fn with_project() -> TestNode {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    node
}

async fn change(node: &TestNode, path: &str, body: Value) -> crate::common::Answer {
    read(node.admin(Method::PATCH, path).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_add_up_and_the_nearest_value_holds() {
    let node = with_project().await;
    let body = json!({"deny": ["203.0.113.7/24"], "rate_per_client": "100/1m"});
    assert_eq!(change(&node, CLUSTER, body).await.ok()["set"]["deny"], json!(["203.0.113.0/24"]));
    let body = json!({"deny": ["2001:db8::1"], "rate_per_client": "off", "attack_mode": "auto"});
    change(&node, ENVIRONMENT, body).await.ok();
    let shown = node.get(ENVIRONMENT).await.ok();
    assert_eq!(shown["scope"], "shop/production");
    let held = |value: &str, scope: &str| json!({"value": value, "scope": scope});
    let denied = [held("2001:db8::1", "shop/production"), held("203.0.113.0/24", "cluster")];
    assert_eq!(shown["effective"]["deny"], json!(denied));
    assert_eq!(shown["effective"]["rate_per_client"], held("off", "shop/production"));
    assert_eq!(shown["set"]["triggers"], json!(["suspicious_pattern", "rate_limit"]));
    let shown = node.get(PROJECT).await.ok();
    assert_eq!(shown["effective"]["rate_per_client"], held("100/1m", "cluster"));
    assert_eq!(shown["set"]["rate_per_client"], Value::Null);

    let kept = change(&node, ENVIRONMENT, json!({"rate_per_client": null})).await.ok();
    assert_eq!(kept["set"]["deny"], json!(["2001:db8::1"]), "what is left out stays");
    assert_eq!(kept["effective"]["rate_per_client"], held("100/1m", "cluster"));
    for _ in 0..2 {
        assert_eq!(read(node.admin(Method::DELETE, ENVIRONMENT)).await.status, 204);
    }
    let shown = node.get(ENVIRONMENT).await.ok();
    assert_eq!((&shown["set"]["deny"], &shown["set"]["attack_mode"]), (&json!([]), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_hashed_and_never_shown() {
    let node = with_project().await;
    let set = change(&node, PROJECT, json!({"password": "correct horse"})).await;
    let text = set.ok().to_string();
    assert!(text.contains("\"password\":\"asked\""), "{text}");
    assert!(!text.contains("horse") && !text.contains("argon2"), "{text}");
    let state = node.cluster.state();
    let id = state.projects.values().next().unwrap().id;
    let rule = state.guards[&Scope::Project(id)].password.clone();
    assert!(matches!(rule, Some(PasswordRule::Asked { hash }) if hash.starts_with("$argon2id$")));
    let short = change(&node, PROJECT, json!({"password": "short"})).await;
    assert_eq!(short.status, 422);
    let opened = change(&node, ENVIRONMENT, json!({"open": true})).await.ok();
    let held = json!({"value": "open", "scope": "shop/production"});
    assert_eq!(opened["effective"]["password"], held);
    let record = node.get("/api/audit/logs").await.ok();
    let records: Vec<_> = record["items"].as_array().unwrap().iter().collect();
    assert!(records.iter().any(|one| one["action"] == "guard.set"), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_what_is_wrong_and_what_would_be_right() {
    let node = with_project().await;
    for (body, field, said) in [
        (json!({"deny": ["203.0.113.0/33"]}), "deny", "`203.0.113.0/33`"),
        (json!({"allow": ["shop.example.com"]}), "allow", "203.0.113.0/24"),
        (json!({"rate_per_client": "often"}), "rate_per_client", "100/1m"),
        (json!({"allow_countries": ["Germany"]}), "allow_countries", "DE or US"),
        (json!({"attack_mode": "on", "triggers": ["rate_limit"]}), "triggers", "auto"),
        (json!({"rate": "100/1m"}), "rate", "rate_per_client"),
    ] {
        let refused = change(&node, PROJECT, body.clone()).await;
        assert_eq!(refused.status, 422, "{body}");
        let text = &refused.text;
        assert!(text.contains(field) && text.contains(said), "{body}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_do_not_hold_say_so() {
    let node = with_project().await;
    let set = change(&node, CLUSTER, json!({"deny_countries": ["de"]})).await.ok();
    assert_eq!(set["set"]["deny_countries"], json!(["DE"]));
    for path in [CLUSTER, PROJECT, ENVIRONMENT] {
        let shown = node.get(path).await.ok();
        assert!(shown["warnings"][0].as_str().unwrap().contains("--geoip"), "{path}");
    }
    // Who lets in one country alone means to keep all others out.
    let only = || json!({"allow_countries": ["de"]});
    for path in [CLUSTER, PROJECT, ENVIRONMENT] {
        let refused = change(&node, path, only()).await.problem(409, "no_countries");
        assert!(refused["hint"].as_str().unwrap().contains("--geoip"), "{refused}");
        assert_eq!(node.get(path).await.ok()["set"]["allow_countries"], json!([]));
    }
    change(&node, PROJECT, json!({"allow_countries": []})).await.ok();
    let forced = change(&node, &format!("{PROJECT}?force=true"), only()).await.ok();
    assert_eq!(forced["set"]["allow_countries"], json!(["DE"]));
    change(&node, PROJECT, json!({"allow_countries": []})).await.ok();
    let taken_back = change(&node, CLUSTER, json!({"deny_countries": []})).await.ok();
    assert_eq!(taken_back["warnings"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_applies_to_what_was_seen() {
    let node = with_project().await;
    change(&node, PROJECT, json!({"attack_mode": "on"})).await.ok();
    let seen = node.get(PROJECT).await;
    let tag = seen.header("etag").to_owned();
    change(&node, PROJECT, json!({"attack_mode": "off"})).await.ok();
    let late = node.admin(Method::PATCH, PROJECT).header("if-match", tag);
    assert_eq!(read(late.json(&json!({"attack_mode": "auto"}))).await.status, 412);
}
