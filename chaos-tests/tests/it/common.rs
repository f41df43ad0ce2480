//! What the tests share.

use temps_chaos_tests::{App, Client, Ground, Options, Start, Traffic, Writes, Written};

/// The app of stories that need only one.
pub const APP: App = App::new("app");
/// One of an image as large as apps' images are, in some layers, which speaks more than HTTP.
pub const LARGE_APP: App = APP.made_from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/e2e/app"));

/// So many machines, without images.
pub async fn machines(nodes: usize, start: Start) -> Ground {
    Ground::up(nodes, Options::without_images(start)).await.expect("the ground comes up")
}

/// A cluster of so many nodes.
pub async fn cluster(nodes: usize) -> Ground {
    machines(nodes, Start::Joined).await
}

/// A cluster of three nodes that have the images which large apps are made from.
pub async fn cluster_with_images() -> Ground {
    Ground::up(3, Options::default()).await.expect("the ground comes up")
}

/// The nodes of a cluster of three without this one.
pub fn without(node: usize) -> Vec<usize> {
    (1..=3).filter(|&other| other != node).collect()
}

/// A token that admits one node.
pub async fn token(ground: &Ground) -> String {
    ground.token().await.expect("a token is drawn")
}

/// Ends traffic and changes of a cluster of three: no request failed, and every node knows what was acknowledged.
pub async fn end_well(client: &Client, traffic: Traffic, writes: Writes) -> Written {
    let (report, written) = (traffic.stop().await, writes.stop().await);
    println!("{} writes, gap {:?}\n{report}", written.acknowledged.len(), written.longest_gap);
    assert_eq!(report.failed(), 0, "{report}");
    client.know_all(&[1, 2, 3], &written.acknowledged).await.expect("nothing is lost");
    written
}
