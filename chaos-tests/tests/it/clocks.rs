//! Clocks that were wrong for a while.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;
use temps_chaos_tests::{Authority, Client, Ground, Node, Options, RECOVERY, Start, until};

/// How far ahead a clock is. Longer than anybody waits for a machine that was let in, and than the token lasts that lets it in.
const AHEAD: Duration = Duration::from_secs(2 * 3600);

/// Sets a node's clock, and returns once it goes by it.
async fn set(node: &Node<'_>, ahead: Duration) {
    node.set_clock(ahead.as_secs().try_into().expect("two hours")).expect("the ground has clocks");
    let is_set = async || {
        node.clock_error().await.is_ok_and(|off| off.abs_diff(ahead) < Duration::from_secs(60))
    };
    until("the clock is set", RECOVERY, is_set).await.expect("the edge tells the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_joins_though_a_clock_was_hours_ahead_before() {
    let options = Options { clocks: true, ..Options::without_images(Start::First) };
    let ground = Ground::up(2, options).await.expect("the ground stands");
    let (client, first) = (ground.client().unwrap(), ground.node(1));
    set(&first, AHEAD).await;
    // The state's time never goes back.
    let made = client.post(1, "/projects", &json!({ "name": "later" }), None).await.unwrap();
    assert!(made.is_success(), "{}", made.body);
    set(&first, Duration::ZERO).await;

    let token = ground.token().await.unwrap();
    ground.node(2).join(first.peer(), &token).await.expect("the second machine joins");
    until("both are members", RECOVERY, async || client.is_whole(2, 2).await).await.unwrap();
}

/// Sets whether certificates are asked for.
async fn enable(client: &Client, authority: &Authority, enabled: bool) {
    let mut settings = client.get(1, "/settings").await.expect("node 1 answers").body;
    settings["acme"] = authority.settings();
    settings["acme"]["enabled"] = enabled.into();
    let set = client.put(1, "/settings", &settings).await.expect("node 1 answers");
    assert!(set.is_success(), "{}", set.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_failed_while_a_clock_was_hours_ahead_is_tried_again_in_time() {
    const NAME: &str = "late.example.test";
    const DOMAIN: &str = "/domains/late.example.test";
    let options = Options { clocks: true, ..Options::without_images(Start::First) };
    let ground = Ground::up(1, options).await.expect("the ground stands");
    let (client, first) = (ground.client().unwrap(), ground.node(1));
    let authority = Authority::start(&ground, &[("PEBBLE_VA_NOSLEEP", "1")]).await.unwrap();
    enable(&client, &authority, false).await;
    authority.lead(NAME, &[first.address]).await.unwrap();
    let made = client.post(1, "/projects", &json!({ "name": "late" }), None).await.unwrap();
    assert!(made.is_success(), "{}", made.body);
    let domain = json!({ "name": NAME, "project": "late" });
    let added = client.post(1, "/domains", &domain, None).await.unwrap();
    assert!(added.is_success(), "{}", added.body);
    let known = async || client.get(1, DOMAIN).await.map(|it| it.body).unwrap_or_default();
    let is_ours = async || !known().await["verified_at"].is_null();
    until("the domain is seen to be ours", RECOVERY, is_ours).await.unwrap();

    authority.lead(NAME, &[Ipv4Addr::new(127, 0, 0, 9)]).await.unwrap();
    set(&first, AHEAD).await;
    enable(&client, &authority, true).await;
    let failed = async || !known().await["order"]["retry_at"].is_null();
    until("the order failed", RECOVERY, failed).await.unwrap();
    set(&first, Duration::ZERO).await;
    authority.lead(NAME, &[first.address]).await.unwrap();
    let given = async || authority.certificates() == 1;
    if until("the certificate is given", RECOVERY, given).await.is_err() {
        panic!("it waits on: {}", known().await);
    }
}
