//! What REST shows of running containers, on the machine's engine.

use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::common::{TestNode, read};

const SOCKET: &str = "/var/run/docker.sock";

/// An image with nothing but the test app, and everything this test started; removed with it.
struct Image {
    tag: String,
    data_dir: String,
}

impl Drop for Image {
    fn drop(&mut self) {
        let label = format!("label=sh.temps.data-dir={}", self.data_dir);
        for id in docker(&["ps", "-aq", "--filter", &label]).lines() {
            docker(&["rm", "-fv", id]);
        }
        let built = docker(&["images", "-q", "--filter", "label=sh.temps.project=replicas-test"]);
        for id in built.lines().chain([self.tag.as_str()]) {
            docker(&["rmi", "-f", id]);
        }
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn make_image(node: &TestNode) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/app/app.rs");
    let app = folder.path().join("app");
    let built = Command::new("rustc")
        .args(["--edition=2024", "-Ctarget-feature=+crt-static", source, "-o"])
        .arg(&app)
        .status();
    assert!(built.unwrap().success());
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(folder.path())
        .args(["-c", "app"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let tag = format!("temps-api-test:{}", std::process::id());
    let imported = Command::new("docker")
        .args(["import", "--change", "ENTRYPOINT [\"/app\"]", "-", &tag])
        .stdin(tar.stdout.take().unwrap())
        .output();
    assert!(imported.unwrap().status.success() && tar.wait().unwrap().success());
    Image { tag, data_dir: node.folder.path().to_string_lossy().into_owned() }
}

async fn open(
    node: &TestNode,
    key: &str,
    path: &str,
) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let url = format!("{}{path}", node.url.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

/// What came over a WebSocket until its end: stdout, stderr, the exit code.
async fn exec(node: &TestNode, path: &str, input: &[u8]) -> (String, String, Value) {
    let mut socket = open(node, &node.key, path).await;
    socket.send(Message::Binary([&[0], input].concat().into())).await.unwrap();
    socket.send(Message::Text(r#"{"type":"eof"}"#.into())).await.unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut code = Value::Null;
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Binary(octets)) if octets[0] == 1 => stdout.extend_from_slice(&octets[1..]),
            Ok(Message::Binary(octets)) => stderr.extend_from_slice(&octets[1..]),
            Ok(Message::Text(text)) => {
                code = serde_json::from_str::<Value>(&text).unwrap()["code"].clone();
            }
            Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => break,
            other => drop(other.unwrap()),
        }
    }
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), code)
}

/// A command that waits for input is not heard any more once the key is gone that began it.
async fn ends_with_its_key(node: &TestNode, path: &str) {
    let key = node.post("/api/api-keys", json!({"name": "short"})).await.ok();
    let mut socket = open(node, key["key"].as_str().unwrap(), path).await;
    let path = format!("/api/api-keys/{}", key["id"].as_str().unwrap());
    assert_eq!(node.delete(&path).await.status, 204);
    let mut said = socket.next().await.unwrap().unwrap();
    while said.is_ping() {
        said = socket.next().await.unwrap().unwrap();
    }
    let Message::Close(Some(frame)) = said else { panic!("it goes on: {said}") };
    assert_eq!(frame.code, CloseCode::Policy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_can_be_watched_and_entered() {
    let node = Arc::new(TestNode::with_engine(SOCKET).await);
    let image = make_image(&node);
    let outcome = tokio::spawn(watch_and_enter(Arc::clone(&node), image.tag.clone())).await;
    // First, or it would start again what the image's end removes.
    node.scheduler.stop().await;
    drop(image);
    outcome.unwrap();
}

async fn watch_and_enter(node: Arc<TestNode>, image: String) {
    node.create_project("replicas-test").await;
    let source = json!({"type": "image", "reference": image});
    let path = "/api/projects/replicas-test";
    node.post(&format!("{path}/deployments"), json!({"source": source})).await.ok();
    let events = node.get(&format!("{path}/deployments/1/events")).await.text;
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!(last["phase"], "live", "{last}");
    assert_eq!(last["replicas"][0]["observed"]["type"], "healthy");
    assert_eq!(last["config"]["port"], 3000);
    let production = format!("{path}/environments/production");
    let shown = node.get(&production).await.ok();
    assert_eq!((&shown["healthy_replicas"], &shown["current"]["number"]), (&json!(1), &json!(1)));
    let replicas = node.get(&format!("{production}/replicas")).await.ok();
    let container = replicas[0]["container"].as_str().unwrap();
    assert!(docker(&["ps", "--format", "{{.Names}}"]).lines().any(|name| name == container));
    let replica = format!("{production}/replicas/{}", replicas[0]["id"].as_str().unwrap());
    let log = node.get(&format!("{production}/logs?tail=10")).await.text;
    let line: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&line["text"], &line["stream"]), (&json!("listening on 3000"), &json!("stdout")));
    let stats = node.get(&format!("{replica}/stats")).await.ok();
    assert!(stats["memory_limit_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{stats}");
    let copied = exec(&node, &format!("{replica}/exec?command=/app&command=copy"), b"hello").await;
    assert_eq!(copied, ("hello".into(), "done".into(), json!(7)));
    ends_with_its_key(&node, &format!("{replica}/exec?command=/app&command=copy")).await;
    let (cookie, _) = node.log_in(crate::common::ADMIN, crate::common::PASSWORD).await;
    let foreign = node.anonymous(Method::GET, &format!("{replica}/exec?command=/app"));
    let foreign = foreign.header("cookie", cookie).header("origin", "http://elsewhere");
    read(foreign).await.problem(403, "foreign_origin");
    node.get(&format!("{replica}/exec?command=/app")).await.problem(422, "invalid");
    node.delete(path).await.ok();
    node.eventually("the container's end", |_| {
        let names = docker(&["ps", "-a", "--format", "{{.Names}}"]);
        (!names.lines().any(|name| name == container)).then_some(())
    })
    .await;
}
