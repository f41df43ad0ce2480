//! A node loses what its disk held, and starts everything from what the others have.

use serde_json::json;
use temps_chaos_tests::disk::{Order, tell};
use temps_chaos_tests::{App, Client, Ground, Options, RECOVERY, Start, until};

use crate::common::{APP, LARGE_APP, cluster, cluster_with_images, token};

/// A static site beside the app.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples/static-site");
const SITE_HOST: &str = "site-production.localho.st";

/// Has the cluster serve an app with a replica on every node, and a static site.
async fn serve(ground: &Ground, app: App) -> Client {
    app.deploy(ground, 3).await.expect("the app is served");
    ground.temps(&["deploy", SITE, "--project", "site"]).await.expect("the site is deployed");
    ground.client().expect("the ground is logged in to")
}

/// Returns when node 3 runs the app again, and its edge serves the app and the site.
async fn node3_carries_all(ground: &Ground, client: &Client, app: App) {
    until("node 3 runs a replica again", RECOVERY, async || {
        app.healthy(client, 1).await.contains(&"n3".to_owned())
    })
    .await
    .expect("it gets the image");
    app.serves(ground, 3).await.expect("its edge reaches the app");
    let url = format!("http://{}/", ground.node(3).edge());
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    until("node 3 serves the site", RECOVERY, async || {
        let asked = http.get(&url).header("host", SITE_HOST).send().await;
        asked.is_ok_and(|response| response.status().is_success())
    })
    .await
    .expect("it gets the files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_its_images_gets_them_from_the_others() {
    let ground = cluster_with_images().await;
    let client = serve(&ground, LARGE_APP).await;
    let node3 = ground.node(3);
    node3.power_off().await.unwrap();
    node3.wipe_engine().unwrap();
    node3.wipe_blobs().unwrap();
    node3.power_on().await.unwrap();
    until("all are members", RECOVERY, async || client.is_whole(1, 3).await).await.unwrap();
    // More replicas than two nodes would share evenly: the one that has none gets some.
    LARGE_APP.scale(&ground, 5).await.unwrap();
    node3_carries_all(&ground, &client, LARGE_APP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_lost_everything_rejoins_and_takes_over() {
    let ground = cluster(3).await;
    let client = serve(&ground, APP).await;
    let node3 = ground.node(3);
    node3.power_off().await.unwrap();
    ground.temps(&["nodes", "remove", "n3"]).await.unwrap();
    node3.wipe_engine().unwrap();
    node3.wipe().unwrap();
    node3.power_on().await.unwrap();
    node3.join(ground.node(1).peer(), &token(&ground).await).await.unwrap();
    until("all are members", RECOVERY, async || client.is_whole(1, 3).await).await.unwrap();
    // The others may go: what they ran moves to the node that came with nothing.
    for other in ["n1", "n2"] {
        ground.temps(&["nodes", "drain", other]).await.unwrap();
    }
    until("node 3 runs them all", RECOVERY, async || {
        APP.healthy(&client, 3).await == ["n3", "n3", "n3"]
    })
    .await
    .unwrap();
    node3_carries_all(&ground, &client, APP).await;
}

/// A disk tells once that it could not write something, and then takes it for written.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_sync_left_in_memory_is_not_shown_and_lost_then() {
    let disks = Some(env!("CARGO_BIN_EXE_temps-chaos").into());
    let options = Options { disks, ..Options::without_images(Start::Joined) };
    let ground = Ground::up(1, options).await.expect("a node comes up");
    let (client, node) = (ground.client().expect("it is logged in to"), ground.node(1));
    let told = |order| tell(&node.disk(), order).expect("the disk does what it is told");
    for attempt in 0..5 {
        let name = format!("doubtful-{attempt}");
        let project = json!({ "name": name });
        told(Order::FailSyncs);
        let created = client.post(1, "/projects", &project, None).await;
        assert!(!created.is_ok_and(|answer| answer.is_success()), "it is on no disk");
        until("the node ends", RECOVERY, async || !node.runs().await).await.unwrap();
        told(Order::Heal);
        node.start().await.unwrap();
        let path = format!("/projects/{name}");
        let shown = client.get(1, &path).await.unwrap().status;
        node.kill9().await.unwrap();
        told(Order::Lose);
        node.start().await.unwrap();
        assert_eq!(client.get(1, &path).await.unwrap().status, shown, "what it showed, it keeps");
        // Something else of the node's may have failed before it wrote this.
        if shown == 200 {
            return;
        }
    }
    panic!("the node never wrote what it could not sync");
}
