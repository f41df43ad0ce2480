//! What the specification asks, from clients and from deployments that name the registry.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use temps_builder::BlobDigest;

use super::{ask, header, push_parts, put, refusal, status};
use crate::common::TestNode;

#[tokio::test]
async fn blobs_and_manifests_are_taken_as_the_specification_says() {
    let node = TestNode::start().await;
    let send = async |method: Method, path: &str, body: &'static str| {
        ask(&node, method, path, &node.key).body(body).send().await.unwrap()
    };
    let get = async |path: &str| send(Method::GET, path, "").await;
    let nobody = node.anonymous(Method::GET, "/v2/").send().await.unwrap();
    assert!(header(&nobody, "www-authenticate").starts_with("Basic"));
    assert_eq!(refusal(nobody, 401).await, "UNAUTHORIZED");
    status(&get("/v2/").await, 200);

    // In pieces.
    let begun = send(Method::POST, "/v2/a/b/blobs/uploads/", "").await;
    status(&begun, 202);
    let upload = header(&begun, "location").to_owned();
    let piece = send(Method::PATCH, &upload, "hel").await;
    assert_eq!((piece.status(), header(&piece, "range")), (StatusCode::ACCEPTED, "0-2"));
    let misplaced =
        ask(&node, Method::PATCH, &upload, &node.key).header("content-range", "7-8").body("xx");
    assert_eq!(refusal(misplaced.send().await.unwrap(), 416).await, "BLOB_UPLOAD_INVALID");
    let (hello, config) = (BlobDigest::of(b"hello"), BlobDigest::of(b"{}"));
    let ended = send(Method::PUT, &format!("{upload}?digest={hello}"), "lo").await;
    assert_eq!(header(&ended, "docker-content-digest"), hello.to_string());
    status(&ended, 201);
    // At once, and wrong.
    let path = format!("/v2/a/b/blobs/uploads/?digest={config}");
    assert_eq!(refusal(send(Method::POST, &path, "{} ").await, 400).await, "DIGEST_INVALID");
    status(&send(Method::POST, &path, "{}").await, 201);

    // A blob shows once a tag leads to it.
    let blob = format!("/v2/a/b/blobs/{hello}");
    assert_eq!(refusal(get(&blob).await, 404).await, "BLOB_UNKNOWN");
    let manifest = |layer: &BlobDigest| {
        let text = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "x", "digest": config.to_string(), "size": 2},
            "layers": [{"mediaType": "x", "digest": layer.to_string(), "size": 5}],
        });
        &*Box::leak(text.to_string().into_boxed_str())
    };
    let lacking = manifest(&BlobDigest::of(b"other"));
    let put = send(Method::PUT, "/v2/a/b/manifests/1.0", lacking).await;
    assert_eq!(refusal(put, 400).await, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(
        refusal(send(Method::PUT, "/v2/a/b/manifests/1.0", "text").await, 400).await,
        "MANIFEST_INVALID"
    );
    let whole = manifest(&hello);
    let put = send(Method::PUT, "/v2/a/b/manifests/1.0", whole).await;
    let digest = header(&put, "docker-content-digest").to_owned();
    status(&put, 201);
    status(&send(Method::PUT, "/v2/a/b/manifests/0.9", whole).await, 201);
    for reference in ["1.0", &digest] {
        let got = get(&format!("/v2/a/b/manifests/{reference}")).await;
        assert_eq!(header(&got, "content-type"), "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(got.text().await.unwrap(), whole);
    }
    let range = ask(&node, Method::GET, &blob, &node.key).header("range", "bytes=1-3").send();
    let range = range.await.unwrap();
    assert_eq!(header(&range, "content-range"), "bytes 1-3/5");
    assert_eq!((range.status().as_u16(), range.text().await.unwrap().as_str()), (206, "ell"));
    let head = send(Method::HEAD, &blob, "").await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "5"));

    // From one repository into another, but only what may be seen there.
    let mount = format!("/v2/c/blobs/uploads/?mount={hello}&from=a/b");
    status(&send(Method::POST, &mount, "").await, 201);
    let mount = format!("/v2/c/blobs/uploads/?mount={hello}&from=z");
    status(&send(Method::POST, &mount, "").await, 202);
    let page = get("/v2/a/b/tags/list?n=1").await;
    assert_eq!(header(&page, "link"), "</v2/a/b/tags/list?n=1&last=0.9>; rel=\"next\"");
    assert_eq!(page.json::<Value>().await.unwrap()["tags"], json!(["0.9"]));
    for tag in ["1.0", "0.9"] {
        status(&send(Method::DELETE, &format!("/v2/a/b/manifests/{tag}"), "").await, 202);
    }
    assert_eq!(refusal(get("/v2/a/b/tags/list").await, 404).await, "NAME_UNKNOWN");
    assert_eq!(refusal(get("/v2/a/b/manifests/1.0").await, 404).await, "MANIFEST_UNKNOWN");
    assert_eq!(refusal(get("/v2/A/tags/list").await, 404).await, "NAME_INVALID");
    assert_eq!(refusal(send(Method::POST, "/v2/", "").await, 405).await, "UNSUPPORTED");
}

#[tokio::test]
async fn deployments_name_the_registry_of_the_cluster_by_whichever_node_they_ask() {
    let node = TestNode::start().await;
    node.create_project("web").await;
    let (_, manifest) = push_parts(&node, "shop/web", "hello").await;
    status(&put(&node, "shop/web", "1", &manifest).await, 201);
    let host = node.url.trim_start_matches("http://");
    let deploy = async |reference: String| {
        let source = json!({"type": "image", "reference": reference});
        node.post("/api/projects/web/deployments", json!({"source": source})).await
    };
    let made = deploy(format!("{host}/shop/web:1")).await.ok();
    assert_eq!(made["source"]["reference"], "registry.temps.internal/shop/web:1");
    let other = deploy("localhost:1/shop/web:1".into()).await.ok();
    assert_eq!(other["source"]["reference"], "localhost:1/shop/web:1");
    let missing = deploy(format!("{host}/shop/web:2")).await.problem(422, "invalid");
    assert_eq!(missing["field"], "source.reference");
}
