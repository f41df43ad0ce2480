//! Every request leaves one entry, without what its query carried.

use std::io;
use std::sync::{Arc, Mutex};

use temps_proxy::{AccessLines, Edge};
use tokio::time::timeout;

use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn entries(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text");
        let entries = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        entries.filter(|e: &serde_json::Value| e["target"] == "temps::access").collect()
    }
}

/// Sends a request to an app and one to nobody; the first one's id.
async fn ask(mut edge: TestEdge) -> (TestEdge, Upstream, String) {
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let client = edge.client(&["shop", "gone"]);
    let answer =
        client.get(edge.url("shop", "/path?token=secret")).send().await.expect("an answer");
    let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
    client.post(edge.url("gone", "/")).body("x").send().await.expect("an answer");
    (edge, app, id)
}

#[tokio::test]
async fn lines_are_written_as_events_are() {
    let kept = Kept::default();
    let out = Box::new(kept.clone());
    let lines = |edge: Edge| edge.with_access_lines(AccessLines::Json, out).expect("a thread");
    let (_edge, app, id) = ask(TestEdge::start_as(|_| {}, lines).await).await;
    let logged = async {
        while kept.entries().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, logged).await.expect("both are logged");
    let entries = kept.entries();
    assert_eq!((&entries[0]["request_id"], &entries[0]["path"]), (&id.into(), &"/path".into()));
    assert_eq!(
        (&entries[0]["project"], &entries[0]["environment"]),
        (&"shop".into(), &"production".into())
    );
    assert_eq!(entries[0]["endpoint"], app.addr.to_string());
    assert_eq!((&entries[0]["status"], &entries[1]["status"]), (&200.into(), &503.into()));
    assert!(!kept.entries().iter().any(|entry| entry.to_string().contains("secret")));
}

#[tokio::test]
async fn a_request_is_logged_without_its_query() {
    let kept = Kept::default();
    let writer = kept.clone();
    tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
    let (_edge, app, id) = ask(TestEdge::start().await).await;
    let logged = async {
        while kept.entries().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, logged).await.expect("both are logged");
    let entries = kept.entries();
    let fields = &entries[0]["fields"];
    assert_eq!(fields["request_id"], id);
    assert_eq!(fields["path"], "/path");
    assert_eq!(fields["status"], 200);
    assert_eq!(fields["project"], "shop");
    assert_eq!(fields["environment"], "production");
    assert_eq!(fields["endpoint"], app.addr.to_string());
    assert_eq!(fields["sent_bytes"], 3);
    assert_eq!(entries[1]["fields"]["status"], 503);
    assert!(!kept.entries().iter().any(|entry| entry.to_string().contains("secret")));
}
