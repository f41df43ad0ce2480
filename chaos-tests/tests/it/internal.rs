//! Apps reach each other by their internal names, whichever nodes they run on.

use temps_chaos_tests::{App, Ground, GroundError, RECOVERY, until};

use crate::common::cluster;

/// Who is called, on node 2 alone.
const SHOP: App = App::new("shop").in_zone("two");
/// Who may call it, on node 1 alone: of the same project.
const STAGING: App = App::new("shop").preview("staging").in_zone("one");
/// Who may not.
const BLOG: App = App::new("blog").in_zone("one");

/// What a replica of this app is answered by another app: its status and body. In the container, by its own resolver.
async fn asks(ground: &Ground, app: App, whom: App, path: &str) -> Result<String, GroundError> {
    let url = format!("http://{}{path}", whom.internal_host());
    app.exec(ground, &["/app", "ask", &url]).await
}

/// From when its project is allowed until it is denied, another one's app is answered; never the other way round.
async fn allowed_and_denied(ground: &Ground) -> Result<(), GroundError> {
    let callers =
        async |act| ground.temps(&["projects", "callers", act, "blog", "--project", "shop"]).await;
    let is_answered = async |status: &str| {
        until("the door knows", RECOVERY, async || {
            asks(ground, BLOG, SHOP, "/").await.is_ok_and(|answer| answer.starts_with(status))
        })
        .await
    };
    let refused = asks(ground, BLOG, SHOP, "/").await?;
    assert!(refused.contains("temps projects callers allow blog -p shop"), "{refused}");
    callers("allow").await?;
    is_answered("200 one").await?;
    let back = asks(ground, SHOP, BLOG, "/").await?;
    assert!(back.starts_with("403 "), "{back}");
    callers("deny").await?;
    is_answered("403 ").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_project_is_reached_on_another_node_and_others_are_refused() {
    let ground = cluster(3).await;
    for (node, zone) in [("n1", "zone=one"), ("n2", "zone=two")] {
        ground.temps(&["nodes", "label", node, zone]).await.unwrap();
    }
    let client = ground.client().unwrap();
    SHOP.deploy(&ground, 1).await.unwrap();
    let staging = ["environments", "create", "staging", "--project", "shop"];
    ground.temps(&staging).await.unwrap();
    STAGING.deploy(&ground, 1).await.unwrap();
    BLOG.deploy(&ground, 1).await.unwrap();
    assert_eq!(SHOP.healthy(&client, 1).await, ["n2"]);
    assert_eq!(STAGING.healthy(&client, 1).await, ["n1"]);
    assert_eq!(BLOG.healthy(&client, 1).await, ["n1"]);

    let answer = asks(&ground, STAGING, SHOP, "/").await.unwrap();
    assert_eq!(answer, "200 one\n");
    // And back, from node 2 to node 1.
    let answer = asks(&ground, SHOP, STAGING, "/").await.unwrap();
    assert_eq!(answer, "200 one\n");
    let refused = asks(&ground, BLOG, SHOP, "/").await.unwrap();
    assert!(refused.starts_with("403 "), "{refused}");
    allowed_and_denied(&ground).await.unwrap();
    // Nobody outside of a container has such a name.
    let edge = format!("http://{}/", ground.node(2).edge());
    let outside = reqwest::Client::builder().no_proxy().build().unwrap();
    let outside = outside.get(edge).header("host", SHOP.internal_host()).send().await.unwrap();
    assert_eq!(outside.status(), 503);
    // What does not exist has no name.
    assert!(asks(&ground, STAGING, App::new("nobody"), "/").await.is_err());

    ground.node(2).kill9().await.unwrap();
    ground.node(2).start().await.unwrap();
    until("the name works again", RECOVERY, async || {
        asks(&ground, STAGING, SHOP, "/").await.is_ok_and(|answer| answer == "200 one\n")
    })
    .await
    .unwrap();
}
