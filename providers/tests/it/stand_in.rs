//! A web API on loopback that a test plays.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    /// The method and the path.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A form that was sent.
    pub fn form(&self) -> BTreeMap<String, String> {
        pairs(&self.body)
    }

    pub fn number(&self, name: &str, default: usize) -> usize {
        self.query.get(name).map_or(default, |text| text.parse().unwrap())
    }
}

/// What is answered: a status, headers and a body.
pub struct Told(pub u16, pub Vec<(&'static str, String)>, pub String);

impl Told {
    pub fn json(status: u16, body: Value) -> Self {
        Self(status, vec![("content-type", "application/json".into())], body.to_string())
    }
}

type Play<S> = fn(&mut S, &Asked) -> Told;

/// A stand-in with a state of its own.
pub struct StandIn<S> {
    pub url: String,
    stage: Arc<Mutex<Stage<S>>>,
}

struct Stage<S> {
    state: S,
    /// What the next request is told instead, and what all are.
    fails: Option<Told>,
    fail: Option<fn() -> Told>,
    asked: Vec<String>,
    /// How many changes are asked for together before any is answered.
    together: Option<Arc<Barrier>>,
    /// How many changes are being asked for, and the most that were.
    changes: usize,
    most: usize,
}

impl<S: Send + 'static> StandIn<S> {
    pub async fn start(state: S, play: Play<S>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stage = Arc::new(Mutex::new(Stage {
            state,
            fails: None,
            fail: None,
            asked: vec![],
            together: None,
            changes: 0,
            most: 0,
        }));
        let shared = stage.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let service = service_fn(move |request| answer(shared.clone(), play, request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, stage }
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        look(&mut self.stage.lock().unwrap().state)
    }

    /// Has the next request fail.
    pub fn fail(&self, told: Told) {
        self.stage.lock().unwrap().fails = Some(told);
    }

    /// Has all requests fail.
    pub fn fail_all(&self, told: fn() -> Told) {
        self.stage.lock().unwrap().fail = Some(told);
    }

    /// Answers changes only when so many are asked for together.
    pub fn gather(&self, together: usize) {
        self.stage.lock().unwrap().together = Some(Arc::new(Barrier::new(together)));
    }

    /// The most changes that were asked for at a time.
    pub fn most(&self) -> usize {
        self.stage.lock().unwrap().most
    }

    /// How many requests there were of a method.
    pub fn asked(&self, method: &str) -> usize {
        let stage = self.stage.lock().unwrap();
        stage.asked.iter().filter(|line| line.starts_with(method)).count()
    }
}

async fn answer<S>(
    stage: Arc<Mutex<Stage<S>>>,
    play: Play<S>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().into(),
        query: pairs(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let is_change = asked.method != "GET";
    let together = stage.lock().unwrap().enter(is_change);
    if let Some(together) = together {
        together.wait().await;
    }
    let Told(status, headers, body) = stage.lock().unwrap().tell(play, &asked, is_change);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}

impl<S> Stage<S> {
    /// Counts a request; gives where it waits for others.
    fn enter(&mut self, is_change: bool) -> Option<Arc<Barrier>> {
        self.changes += usize::from(is_change);
        self.most = self.most.max(self.changes);
        self.together.clone().filter(|_| is_change)
    }

    fn tell(&mut self, play: Play<S>, asked: &Asked, is_change: bool) -> Told {
        self.changes -= usize::from(is_change);
        self.asked.push(asked.line());
        let fails = self.fails.take().or_else(|| self.fail.map(|told| told()));
        fails.unwrap_or_else(|| play(&mut self.state, asked))
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}
