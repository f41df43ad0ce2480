//! Stands before a real authority and does what that one does not: it asks to wait (RFC 8555 §6.6), advises on renewals
//! (RFC 9773), and refuses nonces by a rule and not by chance.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use temps_state::AcmeSettings;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::PATIENCE;
use crate::support::pebble::Pebble;

/// For how long it asks to wait, in seconds.
pub const WAIT_SECONDS: i64 = 300;

/// A running front.
pub struct Front {
    root: String,
    desk: Arc<Desk>,
    serving: AbortHandle,
}

struct Desk {
    /// Its own host and port, under which it is asked.
    host: String,
    behind: String,
    client: reqwest::Client,
    refusals: AtomicUsize,
    reflects: AtomicBool,
    orders: Mutex<Vec<Value>>,
    contacts: Mutex<Vec<Value>>,
    advised: Mutex<Vec<String>>,
    halt: Mutex<Option<Halt>>,
    halted: Notify,
    strict: AtomicBool,
    /// The nonces that came with a refusal, and will do.
    granted: Mutex<BTreeSet<String>>,
    refused: AtomicUsize,
}

/// Where an answer stays away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The next request of such a path does not arrive.
    Before(&'static str),
    /// It does, and is not answered.
    After(&'static str),
}

impl Front {
    /// One that refuses so many orders at first.
    pub async fn start(pebble: &Pebble, refusals: usize) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let socket = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let desk = Arc::new(Desk {
            host: format!("localhost:{port}"),
            behind: pebble.directory().trim_end_matches("/dir").into(),
            client: pebble.client(),
            refusals: refusals.into(),
            reflects: true.into(),
            orders: Mutex::default(),
            contacts: Mutex::default(),
            advised: Mutex::default(),
            halt: Mutex::default(),
            halted: Notify::new(),
            strict: false.into(),
            granted: Mutex::default(),
            refused: 0.into(),
        });
        let serving =
            tokio::spawn(serve(socket, TlsAcceptor::from(Arc::new(config)), desk.clone()));
        Self { root: cert.pem(), desk, serving: serving.abort_handle() }
    }

    /// The settings of a cluster that asks it.
    pub fn settings(&self) -> AcmeSettings {
        let directory = format!("https://{}/dir", self.desk.host);
        AcmeSettings { directory, root: self.root.clone(), ..AcmeSettings::default() }
    }

    /// Leaves one request without an answer, for ever.
    pub fn halt(&self, at: Halt) {
        *self.desk.halt.lock().unwrap() = Some(at);
    }

    /// Waits until that has come.
    pub async fn halted(&self) {
        let halted = tokio::time::timeout(PATIENCE, self.desk.halted.notified());
        halted.await.expect("it comes so far");
    }

    /// Takes no nonce but those that it gives with a refusal: every request has to be sent twice.
    pub fn refuse_nonces(&self) {
        self.desk.strict.store(true, Ordering::SeqCst);
    }

    /// How many requests were refused for their nonce.
    pub fn refused(&self) -> usize {
        self.desk.refused.load(Ordering::SeqCst)
    }

    /// Forgets to say in its answers what an order replaces.
    pub fn forget_what_is_replaced(&self) {
        self.desk.reflects.store(false, Ordering::SeqCst);
    }

    /// The orders that it made.
    pub fn orders(&self) -> Vec<Value> {
        self.desk.orders.lock().unwrap().clone()
    }

    /// Where it was told to reach somebody, each time that it was.
    pub fn contacts(&self) -> Vec<Value> {
        self.desk.contacts.lock().unwrap().clone()
    }

    /// The certificates that it was asked about, as the authority knows them, each once.
    pub fn advised(&self) -> Vec<String> {
        self.desk.advised.lock().unwrap().clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(socket: TcpListener, tls: TlsAcceptor, desk: Arc<Desk>) {
    while let Ok((stream, _)) = socket.accept().await {
        let (tls, desk) = (tls.clone(), desk.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let answer = |request| {
                let desk = desk.clone();
                async move { Ok::<_, Infallible>(desk.answer(request).await) }
            };
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path();
        if let Some(id) = path.strip_prefix("/renewal-info/") {
            return self.advise(id);
        }
        if parts.method == Method::POST
            && let Some(refusal) = self.refuse_nonce(&body).await
        {
            return refusal;
        }
        if path == "/order-plz" {
            let left = |refusals: usize| refusals.checked_sub(1);
            if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
                return wait();
            }
        }
        self.halt(|halt| matches!(halt, Halt::Before(at) if path.starts_with(at))).await;
        let order = (path == "/order-plz").then(|| payload(&body));
        let account = path.starts_with("/my-account/").then(|| payload(&body));
        let replaces = order.as_ref().and_then(|order| order.get("replaces").cloned());
        let asked = self.client.request(parts.method, format!("{}{path}", self.behind));
        let kind = parts.headers.get(CONTENT_TYPE).cloned();
        let asked = kind.into_iter().fold(asked, |asked, kind| asked.header(CONTENT_TYPE, kind));
        let answer = asked.header(HOST, &self.host).body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut octets = answer.bytes().await.unwrap();
        // What is refused for its nonce is sent again.
        let taken = status.is_success();
        self.halt(|halt| matches!(halt, Halt::After(at) if taken && path.starts_with(at))).await;
        // A refused nonce (one in twenty) has the same order asked for again.
        if let (Some(order), StatusCode::CREATED) = (order, status) {
            self.orders.lock().unwrap().push(order);
        }
        if let (Some(account), true) = (account, taken) {
            self.contacts.lock().unwrap().push(account["contact"].clone());
        }
        if path == "/dir" {
            let mut directory: Value = serde_json::from_slice(&octets).unwrap();
            directory["renewalInfo"] = format!("https://{}/renewal-info", self.host).into();
            octets = directory.to_string().into();
        }
        if let (Some(replaces), true) = (replaces, self.reflects.load(Ordering::SeqCst)) {
            let mut order: Value = serde_json::from_slice(&octets).unwrap();
            order["replaces"] = replaces;
            octets = order.to_string().into();
        }
        let mut response = Response::new(Full::new(octets));
        *response.status_mut() = status;
        let kept = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
        response.headers_mut().extend(
            kept.filter(|(name, _)| *name != "content-length" && *name != "transfer-encoding"),
        );
        response
    }

    /// The answer to a request whose nonce will not do, with one that will.
    async fn refuse_nonce(&self, body: &[u8]) -> Option<Response<Full<Bytes>>> {
        let nonce = part(body, "protected")["nonce"].as_str().unwrap_or_default().to_owned();
        if !self.strict.load(Ordering::SeqCst) || self.granted.lock().unwrap().remove(&nonce) {
            return None;
        }
        let fresh = self.client.head(format!("{}/nonce-plz", self.behind)).send().await.unwrap();
        let fresh = fresh.headers()["replay-nonce"].to_str().unwrap().to_owned();
        self.granted.lock().unwrap().insert(fresh.clone());
        self.refused.fetch_add(1, Ordering::SeqCst);
        let problem = json!({"type": "urn:ietf:params:acme:error:badNonce", "status": 400,
            "detail": "another one, please"});
        let answer = Response::builder().status(400).header("replay-nonce", fresh);
        let answer = answer.header(CONTENT_TYPE, "application/problem+json");
        Some(answer.body(Full::new(problem.to_string().into())).unwrap())
    }

    /// Goes no further where it is to halt, but only once.
    async fn halt(&self, here: impl Fn(&Halt) -> bool) {
        if self.halt.lock().unwrap().take_if(|halt| here(halt)).is_some() {
            self.halted.notify_one();
            std::future::pending().await
        }
    }

    /// The first certificate is to be renewed at once, others in a month.
    fn advise(&self, id: &str) -> Response<Full<Bytes>> {
        let mut advised = self.advised.lock().unwrap();
        if !advised.iter().any(|one| one == id) {
            advised.push(id.into());
        }
        let hours = if advised[0] == id { -9 } else { 30 * 24 };
        let [start, end] = [hours, hours + 2].map(|hours| {
            Timestamp::now().checked_add(SignedDuration::from_hours(hours)).unwrap().to_string()
        });
        let window = json!({"suggestedWindow": {"start": start, "end": end},
            "explanationURL": "https://ca.example/why"});
        let answer = Response::builder().header(RETRY_AFTER, "3600");
        answer.body(Full::new(window.to_string().into())).unwrap()
    }
}

fn wait() -> Response<Full<Bytes>> {
    let problem = json!({"type": "urn:ietf:params:acme:error:rateLimited", "status": 429,
        "detail": "too many new orders recently"});
    let answer = Response::builder().status(429).header(RETRY_AFTER, WAIT_SECONDS);
    let answer = answer.header(CONTENT_TYPE, "application/problem+json");
    answer.body(Full::new(problem.to_string().into())).unwrap()
}

/// What a signed request says (RFC 7515 §7.2.2).
fn payload(body: &[u8]) -> Value {
    part(body, "payload")
}

fn part(body: &[u8], name: &str) -> Value {
    let signed: Value = serde_json::from_slice(body).unwrap();
    let part = URL_SAFE_NO_PAD.decode(signed[name].as_str().unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}
