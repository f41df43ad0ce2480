//! Streams end for whoever may not go on with them.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::common::{ADMIN, PASSWORD, TestNode, read};

/// Longer than a stream takes to end.
const SOON: Duration = Duration::from_secs(20);

/// A stream of changes that has begun.
async fn follow(request: RequestBuilder) -> Response {
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some(), "it says where the state is");
    stream
}

async fn end(mut stream: Response) {
    let rest = async { while let Ok(Some(_)) = stream.chunk().await {} };
    timeout(SOON, rest).await.expect("it ends");
}

/// Whether it goes on to say what changes.
async fn goes_on(node: &TestNode, stream: &mut Response) -> bool {
    node.create_project("more").await;
    timeout(SOON, stream.chunk()).await.expect("it says more").unwrap().is_some()
}

fn changes(node: &TestNode) -> RequestBuilder {
    node.anonymous(Method::GET, "/api/changes")
}

async fn made_key(node: &TestNode) -> Value {
    node.post("/api/api-keys", json!({"name": "short"})).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_session_does() {
    let node = TestNode::start().await;
    let (cookie, csrf) = node.log_in(ADMIN, PASSWORD).await;
    let (other, _) = node.log_in(ADMIN, PASSWORD).await;
    let stream = follow(changes(&node).header("cookie", &cookie)).await;
    let mut others = follow(changes(&node).header("cookie", other)).await;
    let logout = node.anonymous(Method::POST, "/api/logout");
    let logout = read(logout.header("cookie", &cookie).header("x-csrf-token", csrf)).await;
    assert!(logout.status.is_success(), "{}", logout.text);
    end(stream).await;
    assert!(goes_on(&node, &mut others).await, "of another browser");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_key_is_deleted() {
    let node = TestNode::start().await;
    let key = made_key(&node).await;
    let stream = follow(changes(&node).bearer_auth(key["key"].as_str().unwrap())).await;
    let path = format!("/api/api-keys/{}", key["id"].as_str().unwrap());
    assert_eq!(node.delete(&path).await.status, 204);
    end(stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_whose_it_is_gets_another_role() {
    let node = TestNode::start().await;
    let key = node.user_key("user").await;
    let stream = follow(changes(&node).bearer_auth(key)).await;
    let users = node.get("/api/users").await.ok();
    let mut users = users["items"].as_array().unwrap().iter();
    let user = users.find(|user| user["role"] == "user").unwrap();
    let path = format!("/api/users/{}", user["id"].as_str().unwrap());
    node.patch(&path, json!({"role": "reader"})).await.ok();
    end(stream).await;
}
