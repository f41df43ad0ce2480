//! The registry, as clients and engines use it.

mod engines;
mod nodes;
mod protocol;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use temps_builder::BlobDigest;
use temps_raft::Proposal;
use temps_state::{Actor, Command};

use crate::common::TestNode;

fn ask(node: &TestNode, method: Method, path: &str, key: &str) -> reqwest::RequestBuilder {
    node.anonymous(method, path).basic_auth("any", Some(key))
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[track_caller]
fn status(response: &Response, status: u16) {
    assert_eq!(response.status().as_u16(), status, "{}", response.url());
}

async fn refusal(response: Response, code: u16) -> String {
    status(&response, code);
    let errors: Value = response.json().await.unwrap();
    errors["errors"][0]["code"].as_str().unwrap().into()
}

/// Sends octets as a blob of a repository.
async fn push_blob(node: &TestNode, repository: &str, octets: &str) -> BlobDigest {
    let digest = BlobDigest::of(octets.as_bytes());
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let sent = ask(node, Method::POST, &path, &node.key).body(octets.to_owned());
    status(&sent.send().await.unwrap(), 201);
    digest
}

/// An image with one layer; gives what would be put under its tag.
async fn push_parts(node: &TestNode, repository: &str, layer: &str) -> (BlobDigest, String) {
    let config = push_blob(node, repository, "{}").await;
    let digest = push_blob(node, repository, layer).await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "x", "digest": config.to_string(), "size": 2},
        "layers": [{"mediaType": "x", "digest": digest.to_string(), "size": layer.len()}],
    });
    (digest, manifest.to_string())
}

async fn put(node: &TestNode, repository: &str, reference: &str, manifest: &str) -> Response {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let sent = ask(node, Method::PUT, &path, &node.key).body(manifest.to_owned());
    sent.send().await.unwrap()
}

async fn get(node: &TestNode, path: &str) -> Response {
    ask(node, Method::GET, path, &node.key).send().await.unwrap()
}

async fn propose(node: &TestNode, command: Command) {
    let actor = Actor::Node { id: node.cluster.node_id() };
    node.cluster.propose(Proposal::new(actor, command)).await.unwrap();
}
