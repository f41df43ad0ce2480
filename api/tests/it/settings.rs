//! The settings as REST shows and takes them.

use serde_json::{Value, json};

use crate::common::TestNode;

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
