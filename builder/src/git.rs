//! Runs git as a child process: without prompts, hooks or foreign protocols, and gone when it is no longer wanted.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long one git command may take, in seconds.
pub const GIT_SECONDS_MAX: u64 = 600;
/// How long ssh tries to connect, in seconds.
const SSH_CONNECT_SECONDS_MAX: u64 = 15;
/// A transfer slower than 1000 octets a second for this long is given up, in seconds.
const STALLED_SECONDS_MAX: u64 = 30;
/// The most octets kept of what git prints.
const OUTPUT_BYTES_MAX: u64 = 256 << 10;

/// The protocols that git may use when nothing narrower is asked for.
pub(crate) const PROTOCOLS: &str = "https:http:ssh:git:file";

/// How to run git in one work folder.
pub(crate) struct Git {
    folder: PathBuf,
    config: PathBuf,
    known_hosts: PathBuf,
    key: Option<PathBuf>,
}

/// What a git command left.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why a git command has no output.
#[derive(Debug)]
pub(crate) enum GitError {
    Start(io::Error),
    TimedOut,
}

impl Git {
    /// Git in `folder`, with its configuration and the deploy key in `private`, a folder of this build alone.
    pub(crate) fn new(
        folder: &Path,
        private: &Path,
        known_hosts: &Path,
        deploy_key: Option<&str>,
    ) -> io::Result<Self> {
        let config = private.join("gitconfig");
        // Repositories of other users are fine: this clone runs nothing of theirs.
        std::fs::write(&config, "[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n")?;
        let key = deploy_key.map(|key| write_key(private, key)).transpose()?;
        Ok(Self { folder: folder.into(), config, known_hosts: known_hosts.into(), key })
    }

    /// Runs one command. Dropping the future kills git and all it started.
    pub(crate) async fn run(&self, protocols: &str, args: &[&str]) -> Result<Output, GitError> {
        let child = self.command(protocols, args).spawn().map_err(GitError::Start)?;
        let mut group = Group(child);
        let limit = Duration::from_secs(GIT_SECONDS_MAX);
        match timeout(limit, group.output()).await {
            Ok(output) => output.map_err(GitError::Start),
            Err(_) => Err(GitError::TimedOut),
        }
    }

    fn command(&self, protocols: &str, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(args)
            .current_dir(&self.folder)
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_GLOBAL", &self.config)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_ALLOW_PROTOCOL", protocols)
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
            .env("GIT_HTTP_LOW_SPEED_TIME", STALLED_SECONDS_MAX.to_string())
            .env("GIT_SSH_COMMAND", self.ssh_command())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    fn ssh_command(&self) -> String {
        let mut command = format!(
            "ssh -F /dev/null -o LogLevel=ERROR -o BatchMode=yes -o ConnectTimeout={SSH_CONNECT_SECONDS_MAX} \
             -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={}",
            quoted(&self.known_hosts)
        );
        if let Some(key) = &self.key {
            command.push_str(&format!(" -o IdentitiesOnly=yes -i {}", quoted(key)));
        }
        command
    }
}

/// Writes the key where only this user reads it; ssh takes it from there, so it is in no argument.
fn write_key(private: &Path, key: &str) -> io::Result<PathBuf> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = private.join("deploy-key");
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "{}", key.replace("\r\n", "\n").trim_end())?;
    Ok(path)
}

/// A path as one word of a shell's command line.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// A child with its process group; both are gone when this is dropped.
struct Group(Child);

impl Group {
    async fn output(&mut self) -> io::Result<Output> {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let (stdout, stderr, status) =
            tokio::try_join!(bounded(stdout), bounded(stderr), self.0.wait())?;
        Ok(Output { status, stdout, stderr })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The id is `None` once the child was waited for: its number may belong to somebody else by then.
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(id as i32)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads a pipe to its end and keeps the beginning.
async fn bounded(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    let mut kept = Vec::new();
    (&mut pipe).take(OUTPUT_BYTES_MAX).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_key_is_private_and_in_no_argument() {
        let folder = tempfile::tempdir().unwrap();
        let git =
            Git::new(folder.path(), folder.path(), Path::new("/k h"), Some("SECRET\r\n")).unwrap();
        let key = folder.path().join("deploy-key");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "SECRET\n");
        let command = git.command(PROTOCOLS, &["version"]);
        assert!(!format!("{command:?}").contains("SECRET"));
        assert!(git.ssh_command().contains("UserKnownHostsFile='/k h'"));
        let output = git.run(PROTOCOLS, &["version"]).await.unwrap();
        assert!(output.status.success() && output.stdout.starts_with("git version"));
    }

    #[tokio::test]
    async fn dropping_a_command_kills_it() {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::new(folder.path(), folder.path(), Path::new("/dev/null"), None).unwrap();
        let marker = folder.path().join("pid");
        let alias = format!("alias.hang=!echo $$ > {} && sleep 1000", marker.display());
        let args = ["-c", &alias, "hang"];
        let started = async {
            while std::fs::read_to_string(&marker).is_ok_and(|pid| pid.is_empty())
                || !marker.exists()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = git.run(PROTOCOLS, &args) => panic!("it sleeps"),
            () = started => {}
        }
        let pid = std::fs::read_to_string(&marker).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let gone = || match std::fs::read_to_string(&stat) {
            Ok(stat) => stat.contains(") Z"),
            Err(_) => true,
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while !gone() {
            assert!(std::time::Instant::now() < deadline, "the child lives on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
