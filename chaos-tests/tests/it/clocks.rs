//! Clocks that were wrong for a while.

use std::time::Duration;

use serde_json::json;
use temps_chaos_tests::{Ground, Node, Options, RECOVERY, Start, until};

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
