//! Builds an image with the BuildKit inside the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bollard::models::{BuildInfo, BuildInfoAux};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{Method, Request};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use temps_state::DeploymentId;

use crate::caps::{Caps, Warden, mark};
use crate::context::BuildContext;
use crate::dockerignore::Dockerignore;
use crate::masked_log::MaskedLog;
use crate::progress::Progress;
use crate::raw_engine::{RawEngine, percent_encoded};
use crate::session::{BuildSecrets, Session};
use crate::verdict::Ending;
use crate::{BuildError, Engine, step};

/// The longest message of the engine about a build, in octets.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// An image to build.
pub(crate) struct ImageBuild<'a> {
    pub(crate) engine: &'a Engine,
    /// The engine's data folder, where its running steps show.
    pub(crate) engine_root: PathBuf,
    pub(crate) log: &'a MaskedLog,
    pub(crate) deployment: DeploymentId,
    /// The folder whose files the Dockerfile may copy.
    pub(crate) context: PathBuf,
    /// The rules of what stays out of it.
    pub(crate) ignore: String,
    /// The Dockerfile's path in the context, and its text.
    pub(crate) dockerfile: (String, String),
    /// Files that the Dockerfile needs besides, by their paths.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) target: Option<String>,
    pub(crate) args: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) tag: String,
    pub(crate) secrets: BuildSecrets,
    pub(crate) caps: Caps,
}

/// How one attempt ended.
enum Attempt {
    Built(String),
    Failed { message: String, progress: Progress, out_of_memory: bool },
}

impl ImageBuild<'_> {
    /// Builds and gives the image's id. Dropping the future closes the connection, on which the engine stops the build.
    pub(crate) async fn run(&self) -> Result<String, BuildError> {
        match self.attempt().await? {
            Attempt::Built(id) => Ok(id),
            failed => Err(self.verdict(&failed)),
        }
    }

    fn verdict(&self, attempt: &Attempt) -> BuildError {
        let Attempt::Failed { message, progress, out_of_memory } = attempt else {
            return BuildError::BuildFailed { detail: "it ended without a word".into() };
        };
        let ending = Ending {
            message,
            progress,
            dockerfile: &self.dockerfile.0,
            out_of_memory: *out_of_memory,
            memory_mib: self.caps.memory_mib,
        };
        ending.verdict()
    }

    async fn attempt(&self) -> Result<Attempt, BuildError> {
        let warden = self.warden();
        let killed = warden.as_ref().map(Warden::killed).unwrap_or_default();
        let watch = async {
            match warden {
                Some(warden) => warden.watch(|error| self.unbounded(&error)).await,
                None => std::future::pending().await,
            }
        };
        let (mut progress, mut ending) = (Progress::new(self.log.mask()), None);
        tokio::select! {
            () = watch => {}
            done = self.solve(&mut progress) => ending = done?,
        }
        let out_of_memory = killed.load(Ordering::Relaxed);
        Ok(match ending {
            Some(Ok(id)) => Attempt::Built(id),
            Some(Err(message)) => Attempt::Failed { message, progress, out_of_memory },
            None => {
                let message = "the engine ended the build without a result".into();
                Attempt::Failed { message, progress, out_of_memory }
            }
        })
    }

    fn warden(&self) -> Option<Warden> {
        let warden = Warden::new(&self.engine_root, mark(self.deployment), self.caps);
        warden.inspect_err(|error| self.unbounded(error)).ok()
    }

    fn unbounded(&self, error: &std::io::Error) {
        let text = format!("processor and memory of this build are not bounded: {error}");
        self.log.write(step::BUILD, &text);
    }

    /// Sends one build and follows it to its end: the image's id, or what the engine says went wrong.
    async fn solve(
        &self,
        progress: &mut Progress,
    ) -> Result<Option<Result<String, String>>, BuildError> {
        let session_id = session_id(self.deployment);
        let _session = Session::open(self.engine, &session_id, self.secrets.clone()).await?;
        let context = BuildContext {
            folder: self.context.clone(),
            ignore: Dockerignore::read(&self.ignore),
            files: std::iter::once(&self.dockerfile).chain(&self.files).cloned().collect(),
        };
        let body = StreamBody::new(context.stream().map(|piece| piece.map(Frame::data)).boxed());
        let mut raw = RawEngine::connect(self.engine).await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(raw.path(&format!("/build?{}", self.query(&session_id))))
            .header("Host", "engine")
            .header("Content-Type", "application/x-tar")
            .body(body)
            .map_err(RawEngine::refused)?;
        let response = raw.send(request).await?;
        let accepted = response.status().is_success();
        let mut messages = Messages::new(response.into_body());
        let mut ending = None;
        while let Some(line) = messages.next().await? {
            if !accepted {
                return Ok(Some(Err(refusal(&line))));
            }
            if let Ok(info) = serde_json::from_slice::<BuildInfo>(&line) {
                ending = self.follow(info, progress).or(ending);
            }
        }
        Ok(ending)
    }

    fn follow(&self, info: BuildInfo, progress: &mut Progress) -> Option<Result<String, String>> {
        match info.aux {
            Some(BuildInfoAux::BuildKit(status)) => {
                for line in progress.take(&status) {
                    self.log.write(step::BUILD, &line);
                }
                None
            }
            Some(BuildInfoAux::Default(image)) => image.id.map(Ok),
            None => info.error_detail.map(|error| Err(error.message.unwrap_or_default())),
        }
    }

    fn query(&self, session: &str) -> String {
        let json = |map: &BTreeMap<String, String>| serde_json::json!(map).to_string();
        let mut args = self.args.clone();
        let no_proxy = args.entry("NO_PROXY".into()).or_default();
        let gap = if no_proxy.is_empty() { "" } else { "," };
        no_proxy.push_str(&format!("{gap}{}", mark(self.deployment)));
        let mut query = vec![
            ("version", "2".to_owned()),
            ("session", session.to_owned()),
            ("t", self.tag.clone()),
            ("dockerfile", self.dockerfile.0.clone()),
            ("buildargs", json(&args)),
            ("labels", json(&self.labels)),
        ];
        query.extend(self.target.clone().map(|target| ("target", target)));
        let pairs = query.iter().map(|(key, value)| format!("{key}={}", percent_encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// An id that no other session of the engine has.
fn session_id(deployment: DeploymentId) -> String {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
    format!("{deployment}-{}-{number}", std::process::id())
}

/// What the engine says when it does not even begin.
fn refusal(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
    message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), String::from)
}

/// The lines of an answer.
struct Messages {
    body: Incoming,
    buffer: BytesMut,
}

impl Messages {
    fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next line; `None` at the end. A line that is too long breaks the build off.
    async fn next(&mut self) -> Result<Option<Bytes>, BuildError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.split_to(end + 1).freeze()));
            }
            if self.buffer.len() > MESSAGE_BYTES_MAX {
                let detail = "it sent a message that is too long".into();
                return Err(BuildError::EngineLost { detail });
            }
            match self.body.frame().await {
                Some(frame) => {
                    let frame = frame.map_err(RawEngine::lost)?;
                    self.buffer.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some(self.buffer.split().freeze())),
            }
        }
    }
}
