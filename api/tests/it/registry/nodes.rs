//! What was pushed to one node is had from any.

use reqwest::Method;
use serde_json::{Value, json};
use temps_builder::BlobDigest;
use temps_state::{Command, TagName};

use super::{ask, get, header, propose, push_parts, put, refusal, status};
use crate::common::{TestNode, Wires};

/// A node makes the copy that the state asks of it.
async fn copy(node: &TestNode, name: &TagName) {
    let (state, id) = (node.cluster.read_latest().await.unwrap(), node.cluster.node_id());
    let tag = &state.image_tags[name];
    assert!(node.builder.hold_pushed(&state, id, tag).await.unwrap());
    let (name, manifest) = (name.clone(), tag.manifest.clone());
    propose(node, Command::HoldImage { name, manifest, node: id }).await;
}

/// Two nodes; the first one leads.
async fn two() -> (Wires, TestNode, TestNode) {
    let wires = Wires::default();
    let one = TestNode::that_meets(&wires).await;
    let two = one.joined_by(&wires).await;
    (wires, one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_to_one_node_is_had_from_any() {
    let (wires, one, two) = two().await;
    let (layer, manifest) = push_parts(&one, "shop/web", "hello").await;
    status(&put(&one, "shop/web", "1", &manifest).await, 201);
    let blob = format!("/v2/shop/web/blobs/{layer}");

    // At once, before there is a copy; blobs first, as a client may ask several nodes.
    assert_eq!(get(&two, &blob).await.text().await.unwrap(), "hello");
    let got = get(&two, "/v2/shop/web/manifests/1").await;
    let digest = header(&got, "docker-content-digest").to_owned();
    assert_eq!(got.text().await.unwrap(), manifest);
    let head = ask(&two, Method::HEAD, "/v2/shop/web/manifests/1", &two.key).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "docker-content-digest")), (200, &*digest));
    let tags = get(&two, "/v2/shop/web/tags/list").await.json::<Value>().await.unwrap();
    assert_eq!(tags["tags"], json!(["1"]));
    let other = BlobDigest::of(b"other");
    one.builder.blobs().put_octets(b"other").unwrap();
    let unknown = get(&two, &format!("/v2/shop/web/blobs/{other}")).await;
    assert_eq!(refusal(unknown, 404).await, "BLOB_UNKNOWN", "no tag leads to it");

    // The other one has a copy, and the first one's is lost.
    let name: TagName = "shop/web:1".parse().unwrap();
    copy(&two, &name).await;
    let holders = two.cluster.state().image_tags[&name].holders.clone();
    assert_eq!(holders, [&one, &two].map(|node| node.cluster.node_id()).into());
    std::fs::remove_dir_all(one.folder.path().join("blobs")).unwrap();
    assert_eq!(get(&one, "/v2/shop/web/manifests/1").await.text().await.unwrap(), manifest);
    assert_eq!(get(&one, &blob).await.text().await.unwrap(), "hello");

    // A push through a node that lacks what the repository has already.
    std::fs::remove_dir_all(one.folder.path().join("blobs")).unwrap();
    let head = ask(&one, Method::HEAD, &blob, &one.key).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "5"));
    status(&put(&one, "shop/web", "2", &manifest).await, 201);

    // Nobody who has it can be asked.
    std::fs::remove_dir_all(one.folder.path().join("blobs")).unwrap();
    wires.cut(two.cluster.node_id());
    let away = get(&one, "/v2/shop/web/manifests/1").await;
    assert_eq!(header(&away, "retry-after"), "1");
    assert_eq!(refusal(away, 503).await, "UNAVAILABLE");

    // Tags go through any node: one by its name, others by what they mean.
    let delete = async |node: &TestNode, reference: &str| {
        let path = format!("/v2/shop/web/manifests/{reference}");
        ask(node, Method::DELETE, &path, &node.key).send().await.unwrap()
    };
    status(&put(&two, "shop/web", "3", &manifest).await, 201);
    status(&delete(&two, "1").await, 202);
    assert_eq!(refusal(delete(&one, "1").await, 404).await, "MANIFEST_UNKNOWN");
    assert_eq!(refusal(get(&one, "/v2/shop/web/manifests/1").await, 404).await, "MANIFEST_UNKNOWN");
    status(&delete(&one, &digest).await, 202);
    assert_eq!(refusal(get(&two, "/v2/shop/web/tags/list").await, 404).await, "NAME_UNKNOWN");
    let log = one.get("/api/audit/logs").await.ok();
    assert!(log.to_string().contains("image.push") && log.to_string().contains("image.delete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_pushed_and_everything_here_is_pulled() {
    let (_wires, one, two) = two().await;
    let (layer, manifest) = push_parts(&two, "web", "hello").await;
    status(&put(&two, "web", "1", &manifest).await, 201);
    one.cluster.clone().stop().await.unwrap();
    let refused = put(&two, "web", "2", &manifest).await;
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(refusal(refused, 503).await, "UNAVAILABLE");
    let delete = ask(&two, Method::DELETE, "/v2/web/manifests/1", &two.key).send().await.unwrap();
    assert_eq!(refusal(delete, 503).await, "UNAVAILABLE");
    assert_eq!(get(&two, "/v2/web/manifests/1").await.text().await.unwrap(), manifest);
    let blob = get(&two, &format!("/v2/web/blobs/{layer}")).await;
    assert_eq!(blob.text().await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_images_goes_with_all_that_it_names() {
    let (_wires, one, two) = two().await;
    let mut listed = Vec::new();
    for layer in ["amd64", "arm64"] {
        let (_, manifest) = push_parts(&one, "web", layer).await;
        let digest = BlobDigest::of(manifest.as_bytes());
        status(&put(&one, "web", &digest.to_string(), &manifest).await, 201);
        listed.push(json!({"digest": digest.to_string(), "size": manifest.len()}));
    }
    let list = json!({"schemaVersion": 2, "manifests": listed}).to_string();
    status(&put(&one, "web", "1", &list).await, 201);
    copy(&two, &"web:1".parse().unwrap()).await;
    for layer in ["amd64", "arm64"] {
        assert!(two.builder.blobs().has(&BlobDigest::of(layer.as_bytes())));
    }
    let inner = listed[0]["digest"].as_str().unwrap();
    status(&get(&two, &format!("/v2/web/manifests/{inner}")).await, 200);
}
