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
    /// The whole lines about requests. A request's line follows its answer, so that two may come in either order.
    fn entries(&self) -> Vec<serde_json::Value> {
        let octets = self.0.lock().expect("not poisoned").clone();
        let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1);
        let lines = octets[..whole].split(|&octet| octet == b'\n').filter(|line| !line.is_empty());
        let entries = lines.map(|line| serde_json::from_slice(line).expect("JSON"));
        entries.filter(|e: &serde_json::Value| e["target"] == "temps::access").collect()
    }

    /// Waits for the lines about two requests: what `of` finds in the answered one's, and in the refused one's.
    async fn two(
        &self,
        of: fn(&serde_json::Value) -> &serde_json::Value,
    ) -> [serde_json::Value; 2] {
        let with =
            |status: u16| self.entries().iter().map(of).find(|e| e["status"] == status).cloned();
        let logged = async {
            loop {
                if let (Some(answered), Some(refused)) = (with(200), with(503)) {
                    return [answered, refused];
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, logged).await.expect("both are logged")
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
    let [answered, _refused] = kept.two(|entry| entry).await;
    assert_eq!((&answered["request_id"], &answered["path"]), (&id.into(), &"/path".into()));
    assert_eq!(
        (&answered["project"], &answered["environment"]),
        (&"shop".into(), &"production".into())
    );
    assert_eq!(answered["endpoint"], app.addr.to_string());
    assert!(!kept.entries().iter().any(|entry| entry.to_string().contains("secret")));
}

#[tokio::test]
async fn a_request_is_logged_without_its_query() {
    let kept = Kept::default();
    let writer = kept.clone();
    tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
    let (_edge, app, id) = ask(TestEdge::start().await).await;
    let [answered, _refused] = kept.two(|entry| &entry["fields"]).await;
    assert_eq!(answered["request_id"], id);
    assert_eq!(answered["path"], "/path");
    assert_eq!(answered["project"], "shop");
    assert_eq!(answered["environment"], "production");
    assert_eq!(answered["endpoint"], app.addr.to_string());
    assert_eq!(answered["sent_bytes"], 3);
    assert!(!kept.entries().iter().any(|entry| entry.to_string().contains("secret")));
}
