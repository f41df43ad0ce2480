//! An engine of the test's own, which it may stop.

use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Dockerd {
    folder: tempfile::TempDir,
    child: Child,
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Dockerd {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = spawn(folder.path());
        let engine = Self { folder, child };
        engine.wait();
        engine
    }

    pub fn socket(&self) -> String {
        self.folder.path().join("docker.sock").to_string_lossy().into_owned()
    }

    /// As the machine's service manager would.
    pub fn stop(&mut self) {
        let id = self.child.id().to_string();
        let _ = Process::new("kill").arg(id).status();
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            assert!(began.elapsed() < PATIENCE, "the engine does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn start_again(&mut self) {
        self.child = spawn(self.folder.path());
        self.wait();
    }

    fn wait(&self) {
        let began = Instant::now();
        let host = format!("unix://{}", self.socket());
        let answers = || {
            let asked = Process::new("docker").args(["-H", &host, "version"]).output();
            asked.is_ok_and(|output| output.status.success())
        };
        while !answers() {
            assert!(began.elapsed() < PATIENCE, "the engine does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Apart from the machine's engine in everything: files, network, and names in containerd.
fn spawn(folder: &Path) -> Child {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let name = folder.file_name().expect("a folder has a name").to_string_lossy();
    let name = name.trim_start_matches('.');
    Process::new("dockerd")
        .args(["-H", &format!("unix://{}", path("docker.sock"))])
        .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
        .args(["--pidfile", &path("pid"), "--bridge=none", "--iptables=false"])
        .args(["--containerd-namespace", &format!("test-{name}")])
        .args(["--containerd-plugins-namespace", &format!("test-plugins-{name}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("dockerd is installed")
}
