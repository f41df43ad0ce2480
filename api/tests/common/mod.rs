//! A real node's API on a free port: a cluster of one in a temporary folder, a builder, a scheduler without an engine.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use temps_api::{Api, ApiConfig, ensure_admin};
use temps_builder::{Builder, Engine};
use temps_raft::{Cluster, Config, Proposal};
use temps_scheduler::{Scheduler, SchedulerConfig};
use temps_state::{Actor, Capacity, Node};
use tokio::sync::watch;

pub const ADMIN: &str = "admin@example.com";
pub const PASSWORD: &str = "a-long-password";

pub struct TestNode {
    pub url: String,
    pub cluster: Cluster,
    pub builder: Builder,
    pub scheduler: Scheduler,
    pub edge: watch::Sender<u64>,
    pub folder: tempfile::TempDir,
    /// An API key of the admin's.
    pub key: String,
    http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts that this is a problem document of that status and code, whole.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem
    }
}

impl TestNode {
    pub async fn start() -> Self {
        Self::with_engine("/nonexistent/docker.sock").await
    }

    pub async fn with_engine(socket: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_path_buf();
        let cluster = Cluster::start(Config { data_dir: data_dir.clone() }).await.unwrap();
        let engine = Engine::on_socket(socket);
        let builder = Builder::open(&data_dir, engine.clone()).unwrap();
        record_node(&cluster).await;
        let config = SchedulerConfig { data_dir: data_dir.clone(), api_url: "http://n".into() };
        let scheduler = Scheduler::start(cluster.clone(), builder.clone(), engine, config);
        ensure_admin(&cluster, ADMIN, Some(PASSWORD.into())).await.unwrap();
        let (edge, edge_applied) = watch::channel(0);
        let api = Api {
            cluster: cluster.clone(),
            scheduler: scheduler.clone(),
            builder: builder.clone(),
            edge_applied,
            metrics: Arc::default(),
            config: ApiConfig { http_port: 8080, https_port: None, data_dir },
        };
        let url = serve(api).await;
        let http = reqwest::Client::builder().build().unwrap();
        let mut node =
            Self { url, cluster, builder, scheduler, edge, folder, key: String::new(), http };
        let (cookie, csrf) = node.log_in(ADMIN, PASSWORD).await;
        let made = node.anonymous(Method::POST, "/api/api-keys").json(&json!({"name": "tests"}));
        let made = read(made.header("cookie", cookie).header("x-csrf-token", csrf)).await.ok();
        node.key = made["key"].as_str().unwrap().into();
        node
    }

    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).timeout(Duration::from_secs(60))
    }

    pub fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.key)
    }

    pub async fn get(&self, path: &str) -> Answer {
        read(self.admin(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        read(self.admin(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        read(self.admin(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        read(self.admin(Method::PATCH, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        read(self.admin(Method::DELETE, path)).await
    }

    /// Logs in; gives the cookie and the CSRF token.
    pub async fn log_in(&self, email: &str, password: &str) -> (String, String) {
        let body = json!({"email": email, "password": password});
        let answer = read(self.anonymous(Method::POST, "/api/auth/login").json(&body)).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_string();
        let csrf = answer.ok()["csrf_token"].as_str().unwrap().to_string();
        (cookie, csrf)
    }

    /// A new user's API key with all that the role permits.
    pub async fn user_key(&self, role: &str) -> String {
        let email = format!("{role}@example.com");
        let user = json!({"email": email, "role": role, "password": PASSWORD});
        self.post("/api/users", user).await.ok();
        let (cookie, csrf) = self.log_in(&email, PASSWORD).await;
        let made = self.anonymous(Method::POST, "/api/api-keys").json(&json!({"name": role}));
        let made = read(made.header("cookie", cookie).header("x-csrf-token", csrf)).await.ok();
        made["key"].as_str().unwrap().into()
    }

    pub async fn create_project(&self, name: &str) -> Value {
        self.post("/api/projects", json!({"name": name})).await.ok()
    }

    /// Polls until `found` gives something.
    pub async fn eventually<T>(
        &self,
        what: &str,
        mut found: impl FnMut(&Cluster) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut states = self.cluster.watch();
        loop {
            if let Some(value) = found(&self.cluster) {
                return value;
            }
            assert!(Instant::now() < deadline, "{what} did not happen");
            let _ = tokio::time::timeout(Duration::from_secs(1), states.changed()).await;
        }
    }
}

pub async fn read(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    for name in ["x-request-id", "x-temps-node", "x-temps-applied-index"] {
        assert!(headers.contains_key(name), "{name} is missing");
    }
    Answer { status, headers, text: response.text().await.unwrap() }
}

async fn record_node(cluster: &Cluster) {
    let id = cluster.node_id();
    let capacity = Capacity { cpu_millis: 2_000, memory_mib: 2_048 };
    let node = Node {
        id,
        name: "n1".into(),
        joined_at: jiff::Timestamp::now(),
        architecture: "amd64".into(),
        capacity,
        builds: true,
    };
    cluster.propose(Proposal::new(Actor::Node { id }, node.into())).await.unwrap();
}

async fn serve(api: Api) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = api.router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}
