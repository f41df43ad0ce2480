//! A real browser for tests: Debian's `chromium`, told what to do by its DevTools protocol.

use std::process::Stdio;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// How long it may take to start, and a page to become what it is to be: it may have much to calculate.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a page is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running browser with one page. It ends with this.
pub struct Chromium {
    _process: Child,
    _profile: TempDir,
    page: WebSocketStream<TcpStream>,
    asked: u64,
}

impl Chromium {
    /// Starts one that finds every name on loopback and takes every certificate; none where it is not installed.
    pub async fn start() -> Option<Self> {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("chromium");
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-dev-shm-usage", "--disable-background-networking"]);
        command.args(["--ignore-certificate-errors", "--host-resolver-rules=MAP * 127.0.0.1"]);
        command.args(["--remote-debugging-port=0", "about:blank"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().ok()?;
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let told = async {
            while let Ok(Some(line)) = lines.next_line().await {
                let rest = line.strip_prefix("DevTools listening on ws://").map(str::to_owned);
                if let Some(rest) = rest.and_then(|rest| Some(rest.split('/').next()?.to_owned())) {
                    return rest;
                }
            }
            panic!("chromium ended");
        };
        let at = timeout(PATIENCE, told).await.expect("it starts");
        // It goes on to talk, and must not wait for somebody to listen.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let page = page(&at).await;
        Some(Self { _process: process, _profile: profile, page, asked: 0 })
    }

    /// Goes to an address.
    pub async fn open(&mut self, url: &str) {
        self.ask("Page.navigate", json!({ "url": url })).await;
    }

    /// What an expression is on the page; nothing while that changes.
    pub async fn evaluate(&mut self, expression: &str) -> Option<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let said = self.ask("Runtime.evaluate", asked).await;
        said.pointer("/result/result/value").cloned()
    }

    /// Waits until the page is as it should be.
    pub async fn until(&mut self, what: &str, expression: &str) {
        let looks = async {
            while self.evaluate(expression).await != Some(Value::Bool(true)) {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(PATIENCE, looks).await.is_err() {
            let page = self.evaluate("document.documentElement.outerHTML").await;
            panic!("{what}: {page:?}");
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let text = json!({ "id": id, "method": method, "params": params }).to_string();
        self.page.send(Message::text(text)).await.expect("it listens");
        loop {
            let said = timeout(PATIENCE, self.page.next()).await.expect("it answers");
            let said = said.expect("it is there").expect("a message");
            let said: Value = serde_json::from_str(said.to_text().unwrap_or("null")).expect("JSON");
            if said["id"] == id {
                return said;
            }
        }
    }
}

/// The page that it starts with.
async fn page(at: &str) -> WebSocketStream<TcpStream> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let list = reqwest::Client::builder().no_proxy().build().expect("a client");
    let found = async {
        loop {
            let pages =
                list.get(format!("http://{at}/json/list")).send().await.expect("it answers");
            let pages: Vec<Value> =
                serde_json::from_slice(&pages.bytes().await.expect("all of it")).expect("a list");
            let page = pages.iter().find(|page| page["type"] == "page");
            if let Some(url) = page.and_then(|page| page["webSocketDebuggerUrl"].as_str()) {
                return url.to_owned();
            }
            sleep(LOOK_EVERY).await;
        }
    };
    let url = timeout(PATIENCE, found).await.expect("it has a page");
    let stream = TcpStream::connect(at).await.expect("it listens");
    tokio_tungstenite::client_async(url, stream).await.expect("a WebSocket").0
}
