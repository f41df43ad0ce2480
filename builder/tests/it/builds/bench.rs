//! A builder on a data folder of its own, and sources for it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use temps_builder::{BuildError, BuildRequest, Builder, Engine, UPLOAD_BYTES_MAX};
use temps_state::{BuildSettings, Built, DeploymentId, FailureCode, Id, Source};
use tokio_util::sync::CancellationToken;

pub const SOCKET: &str = "/var/run/docker.sock";
pub const BASE: &str = "debian:bookworm-slim";
/// How long a mistake may take to be told, on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub builder: Builder,
}

impl Bench {
    pub fn new() -> Self {
        Self::on(Engine::on_socket(SOCKET))
    }

    pub fn on(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = Builder::open(&folder.path().join("data"), engine).unwrap();
        Self { folder, builder }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub async fn upload(&self, files: &[(&str, &str)]) -> Source {
        let upload = self.builder.uploads().receive(chunks(archive(files)), UPLOAD_BYTES_MAX).await;
        Source::Upload { digest: upload.unwrap().digest }
    }

    /// Builds files of a folder.
    pub async fn build(&self, files: &[(&str, &str)]) -> Result<Built, BuildError> {
        let source = self.upload(files).await;
        self.run(request(source)).await
    }

    pub async fn run(&self, request: BuildRequest) -> Result<Built, BuildError> {
        self.builder.build(request, CancellationToken::new()).await
    }

    pub fn log(&self, deployment: DeploymentId) -> String {
        let lines = self.builder.logs().last(deployment, usize::MAX);
        lines.iter().map(|line| format!("{}: {}\n", line.step, line.text)).collect()
    }

    /// Fails as expected, soon, with a hint.
    pub async fn fails(&self, source: Source, code: FailureCode, words: &[&str]) -> String {
        let begun = Instant::now();
        let request = request(source);
        let deployment = request.deployment;
        let error = self.run(request).await.expect_err("a mistake");
        let failure = error.failure(Vec::new());
        assert_eq!(failure.code, code, "{}", failure.message);
        for word in words {
            assert!(failure.message.contains(word), "`{word}` in `{}`", failure.message);
        }
        assert!(!failure.hint.is_empty());
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        let log = self.log(deployment);
        assert!(log.contains("failed"), "the log tells it too:\n{log}");
        failure.message
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let filter = format!("label=sh.temps.data-dir={}", self.data().display());
        let images = docker(&["image", "ls", "-q", "--filter", &filter]);
        for image in images.lines() {
            docker(&["image", "rm", "-f", image]);
        }
    }
}

pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker program");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn deployment() -> DeploymentId {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    DeploymentId::from_parts(now, u128::from(number) << 32 | u128::from(std::process::id()))
}

pub fn request(source: Source) -> BuildRequest {
    BuildRequest {
        deployment: deployment(),
        project: "builder-test".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source,
        revision: None,
        deploy_key: None,
        variables: BTreeMap::new(),
        nodes: vec![],
        limits: BuildSettings { timeout_seconds: 300, ..BuildSettings::default() },
    }
}

/// A tar.gz of files; those whose text begins with `#!` are executable.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(if text.starts_with("#!") { 0o755 } else { 0o644 });
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

pub fn chunks(data: Vec<u8>) -> impl futures::Stream<Item = io::Result<Bytes>> + Unpin {
    let chunks: Vec<_> = data.chunks(1 << 16).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    futures::stream::iter(chunks)
}

/// Polls until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process with that text in its command line runs.
pub fn runs(text: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let path: PathBuf = process.path().join("cmdline");
        let own = path == Path::new(&format!("/proc/{}/cmdline", std::process::id()));
        !own && std::fs::read(path)
            .is_ok_and(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(text))
    })
}
