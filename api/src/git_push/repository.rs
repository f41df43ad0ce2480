//! The bare repositories that this node is pushed to, one for each project, and the git processes that use them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use temps_state::{ProjectId, Revision};
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ApiError;
use crate::deployments::revision;

/// How many git processes serve clients at once.
pub const GIT_AT_ONCE: usize = 8;
/// The most octets one push sends.
pub const PUSH_BYTES_MAX: u64 = 2 << 30;
/// What a client's configuration or files may not change about an archive: it holds all files as they are.
const ATTRIBUTES: &str = "* -export-ignore -export-subst\n";

/// What a client wants of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// To send commits.
    ReceivePack,
    /// To get commits.
    UploadPack,
}

impl Service {
    /// The service of that name in the protocol.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::ReceivePack, Self::UploadPack].into_iter().find(|service| service.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ReceivePack => "git-receive-pack",
            Self::UploadPack => "git-upload-pack",
        }
    }
}

/// The repositories of a node.
pub(crate) struct Repositories {
    folder: PathBuf,
    slots: Arc<Semaphore>,
}

/// One bare repository.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    folder: PathBuf,
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> ApiError {
    move |source| ApiError::Git { doing, source }
}

impl Repositories {
    /// Those in the data folder's `git` folder.
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("git"), slots: Arc::new(Semaphore::new(GIT_AT_ONCE)) }
    }

    /// A place among the git processes that serve clients.
    pub(super) fn slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        slot.map_err(|_| ApiError::Busy { what: "Git clients" })
    }

    /// The project's repository, made when it is missing.
    pub(super) async fn open(&self, project: ProjectId) -> Result<Repository, ApiError> {
        let repository = Repository { folder: self.folder.join(format!("{project}.git")) };
        let attributes = repository.folder.join("info/attributes");
        if tokio::fs::try_exists(&attributes).await.unwrap_or(false) {
            return Ok(repository);
        }
        let making = failed("make a Git repository");
        tokio::fs::create_dir_all(&repository.folder).await.map_err(&making)?;
        let init = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "."];
        repository.output(&init).await.map_err(&making)?;
        tokio::fs::create_dir_all(repository.folder.join("info")).await.map_err(&making)?;
        tokio::fs::write(&attributes, ATTRIBUTES).await.map_err(&making)?;
        Ok(repository)
    }

    /// Removes a deleted project's repository. What stays after an error does no harm: no id is used twice.
    pub async fn remove(&self, project: ProjectId) {
        let folder = self.folder.join(format!("{project}.git"));
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%project, %error, "a deleted project's Git repository stays");
            }
            _ => {}
        }
    }
}

impl Repository {
    /// A git process in this repository that no configuration but the repository's own and these options changes.
    fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        let max = format!("receive.maxInputSize={PUSH_BYTES_MAX}");
        for option in [
            "safe.directory=*",
            "core.hooksPath=/dev/null",
            "gc.autoDetach=false",
            "receive.denyDeleteCurrent=ignore",
            "receive.advertisePushOptions=false",
            &max,
        ] {
            command.args(["-c", option]);
        }
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str]) -> io::Result<Vec<u8>> {
        let mut command = self.git(arguments);
        let output = command.stderr(Stdio::piped()).output().await?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }

    /// A process that serves one request of the smart HTTP protocol (gitprotocol-http(5)).
    pub(super) fn serve(
        &self,
        service: Service,
        advertise: bool,
        protocol: Option<&str>,
    ) -> Result<Child, ApiError> {
        let program = service.name().trim_start_matches("git-");
        let mut arguments = vec![program, "--stateless-rpc"];
        if advertise {
            arguments.push("--http-backend-info-refs");
        }
        arguments.push(".");
        let mut command = self.git(&arguments);
        if !advertise {
            command.stdin(Stdio::piped());
        }
        if let Some(protocol) = protocol {
            command.env("GIT_PROTOCOL", protocol);
        }
        command.spawn().map_err(failed("run git"))
    }

    /// The commit that a branch is at.
    pub(super) async fn tip(&self, reference: &str) -> Option<String> {
        let commit = format!("{reference}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let text = String::from_utf8(self.output(&arguments).await.ok()?).ok()?;
        Some(text.trim().into())
    }

    /// Who made a commit and what for.
    pub(super) async fn revision(&self, branch: &str, commit: &str) -> Result<Revision, ApiError> {
        let format = "--format=%an%x00%s";
        let output = self.output(&["log", "-1", "--no-show-signature", format, commit, "--"]).await;
        let output = output.map_err(failed("read a commit"))?;
        let text = String::from_utf8_lossy(&output);
        let (author, message) = text.trim_end().split_once('\0').unwrap_or_default();
        Ok(revision(Some(branch.into()), commit.into(), message, author))
    }

    /// A process that writes a folder of a commit as tar.gz.
    pub(super) fn archive(&self, commit: &str, directory: &str) -> Result<Child, ApiError> {
        let tree = format!("{commit}:{directory}");
        let mut command = self.git(&["archive", "--format=tar.gz", &tree]);
        command.spawn().map_err(failed("run git"))
    }
}
