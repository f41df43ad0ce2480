//! The REST API of every node, logged in.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::GroundError;

/// How long a node may take to answer. Deploys are not waited for in one request.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long a node may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// Items of a page; the most that a node gives.
const PAGE: usize = 200;

/// What a node answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The node that did the work, as it calls itself.
    pub node: Option<String>,
    /// The log entry that it had applied.
    pub applied: Option<u64>,
    /// The tag of what it shows, which `If-Match` takes.
    pub tag: Option<String>,
    /// What it sent; null when that is no JSON.
    pub body: Value,
}

/// What a node is asked for. The path begins after `/api`.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Which node.
    pub node: usize,
    /// How.
    pub method: Method,
    /// What about.
    pub path: &'a str,
    /// With what.
    pub body: Option<&'a Value>,
    /// With this key it takes effect once, however often and wherever it is asked for.
    pub idempotency_key: Option<&'a str>,
    /// Only while what is there has this tag.
    pub if_match: Option<&'a str>,
    /// How long the node may take.
    pub within: Duration,
}

impl<'a> Request<'a> {
    /// With nothing but that.
    #[must_use]
    pub const fn new(node: usize, method: Method, path: &'a str) -> Self {
        Self {
            node,
            method,
            path,
            body: None,
            idempotency_key: None,
            if_match: None,
            within: ANSWER_LIMIT,
        }
    }
}

impl Answer {
    /// Whether it did what was asked.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The problem's stable code; empty when it is no problem document.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// Asks nodes by their number. Paths begin after `/api`.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    nodes: BTreeMap<usize, (SocketAddr, String)>,
}

impl Client {
    /// With the keys that the logins of this ground have left; nodes without one share the first node's cluster.
    pub(crate) fn new(
        folder: &Path,
        nodes: impl Iterator<Item = (usize, SocketAddr)>,
    ) -> Result<Self, GroundError> {
        let first = key(&login(folder, 1))?;
        let with_key = |(number, api)| {
            let key = key(&login(folder, number)).unwrap_or_else(|_| first.clone());
            (number, (api, key))
        };
        Ok(Self { http: http_client(ANSWER_LIMIT)?, nodes: nodes.map(with_key).collect() })
    }

    /// Reads.
    ///
    /// # Errors
    /// When there is no answer; an answer of any status is one.
    pub async fn get(&self, node: usize, path: &str) -> Result<Answer, GroundError> {
        self.send(Request::new(node, Method::GET, path)).await
    }

    /// Changes something; with an idempotency key it takes effect once, however often and wherever it is asked for.
    ///
    /// # Errors
    /// When there is no answer; an answer of any status is one.
    pub async fn post(
        &self,
        node: usize,
        path: &str,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, GroundError> {
        let request = Request::new(node, Method::POST, path);
        self.send(Request { body: Some(body), idempotency_key, ..request }).await
    }

    /// Replaces something.
    ///
    /// # Errors
    /// When there is no answer; an answer of any status is one.
    pub async fn put(&self, node: usize, path: &str, body: &Value) -> Result<Answer, GroundError> {
        self.send(Request { body: Some(body), ..Request::new(node, Method::PUT, path) }).await
    }

    /// Every item of a list, page by page; empty when there is no answer.
    pub async fn list(&self, node: usize, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        while let Ok(answer) = self.get(node, &format!("{path}?limit={PAGE}{cursor}")).await {
            items.extend(answer.body["items"].as_array().cloned().unwrap_or_default());
            match answer.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        items
    }

    /// What a stream of lines has until now; what came until then when it does not end in time.
    pub async fn lines(&self, node: usize, path: &str, within: Duration) -> Vec<Value> {
        let (api, key) = &self.nodes[&node];
        let request = self.http.get(format!("http://{api}/api{path}")).bearer_auth(key);
        let mut text = Vec::new();
        if let Ok(mut response) = request.timeout(within).send().await
            && response.status().is_success()
        {
            while let Ok(Some(piece)) = response.chunk().await {
                text.extend_from_slice(&piece);
            }
        }
        text.split(|octet| *octet == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }

    /// Asks once. Nothing is sent again here, whatever becomes of it.
    ///
    /// # Errors
    /// When there is no answer; an answer of any status is one.
    pub async fn send(&self, asked: Request<'_>) -> Result<Answer, GroundError> {
        let Request { node, method, path, body, idempotency_key, if_match, within } = asked;
        let (api, key) = &self.nodes[&node];
        let url = format!("http://{api}/api{path}");
        let mut request = self.http.request(method.clone(), url).bearer_auth(key).timeout(within);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(idempotency_key) = idempotency_key {
            request = request.header("Idempotency-Key", idempotency_key);
        }
        if let Some(tag) = if_match {
            request = request.header("If-Match", tag);
        }
        answer(request).await.map_err(|source| GroundError::Request {
            node,
            method: method.to_string(),
            path: path.into(),
            source,
        })
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (node, applied) = (header("x-temps-node"), header("x-temps-applied-index"));
    let (tag, status) = (header("etag"), response.status().as_u16());
    let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
    let applied = applied.and_then(|index| index.parse().ok());
    Ok(Answer { status, node, applied, tag, body })
}

/// Where the CLI keeps the login of a node.
fn login(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("n{number}/client/temps/config.json"))
}

/// The API key that a login has left.
fn key(path: &Path) -> Result<String, GroundError> {
    let folder = |source| GroundError::Folder { path: path.into(), source };
    let config: Value =
        serde_json::from_slice(&fs::read(path).map_err(folder)?).unwrap_or_default();
    let mut contexts =
        config["contexts"].as_object().into_iter().flat_map(|contexts| contexts.values());
    contexts.find_map(|context| context["key"].as_str()).map(str::to_owned).ok_or_else(|| {
        GroundError::Malformed { path: path.into(), wanted: "a login", found: "no key".into() }
    })
}

/// An HTTP client that gives an answer so much time.
pub(crate) fn http_client(limit: Duration) -> Result<reqwest::Client, GroundError> {
    http_builder().timeout(limit).build().map_err(GroundError::HttpClient)
}

/// Builds HTTP clients that ask the address they are given, whatever proxy the environment names.
pub(crate) fn http_builder() -> reqwest::ClientBuilder {
    // Somebody else in this process may have installed it first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(ANSWER_LIMIT).connect_timeout(CONNECT_LIMIT)
}
