//! An engine of the test's own, which it may stop.

use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The addresses of its containers.
const CONTAINERS: &str = "10.215.0.0/16";

pub struct Dockerd {
    folder: tempfile::TempDir,
    child: Child,
    network: Network,
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // What holds its network would outlive it.
        let containers = self.docker(&["ps", "-aq"]);
        let containers: Vec<&str> = containers.split_whitespace().collect();
        self.docker(&[&["rm", "-f"], containers.as_slice()].concat());
        self.docker(&["network", "prune", "-f"]);
        self.stop();
    }
}

/// A network of its own, which this process reaches: an engine that starts beside the machine's takes its `docker0` away.
struct Network(String);

/// What the names of these networks begin with; the id of the test's process follows.
const PREFIX: &str = "temps-t";

impl Network {
    fn make() -> Self {
        remove_leftovers();
        let network = Self(format!("{PREFIX}{}", std::process::id()));
        let name = &*network.0;
        ip(&["netns", "add", name]);
        ip(&["link", "add", name, "type", "veth", "peer", "name", "up0", "netns", name]);
        ip(&["addr", "add", "10.214.0.1/30", "dev", name]);
        ip(&["link", "set", name, "up"]);
        ip(&["-n", name, "addr", "add", "10.214.0.2/30", "dev", "up0"]);
        ip(&["-n", name, "link", "set", "up0", "up"]);
        ip(&["-n", name, "link", "set", "lo", "up"]);
        ip(&["route", "add", CONTAINERS, "via", "10.214.0.2"]);
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&["link", "del", &self.0]);
        ip(&["netns", "del", &self.0]);
    }
}

/// What tests left behind that were killed: their processes are gone.
fn remove_leftovers() {
    let links = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let names = links.filter_map(|link| link.file_name().into_string().ok());
    for name in names {
        let owner = name.strip_prefix(PREFIX).map(|process| Path::new("/proc").join(process));
        if owner.is_some_and(|owner| !owner.exists()) {
            let _ = Process::new("ip").args(["link", "del", &name]).status();
            let _ = Process::new("ip").args(["netns", "del", &name]).status();
        }
    }
}

fn ip(args: &[&str]) {
    let done = Process::new("ip").args(args).status();
    assert!(done.is_ok_and(|status| status.success()), "ip {args:?} failed");
}

impl Dockerd {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let network = Network::make();
        let child = spawn(folder.path(), &network);
        let engine = Self { folder, child, network };
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
        self.child = spawn(self.folder.path(), &self.network);
        self.wait();
    }

    fn wait(&self) {
        let began = Instant::now();
        while self.docker(&["version"]).is_empty() {
            assert!(began.elapsed() < PATIENCE, "the engine does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the client says of it; nothing when it fails.
    fn docker(&self, args: &[&str]) -> String {
        let host = format!("unix://{}", self.socket());
        let asked = Process::new("docker").args(["-H", &host]).args(args).output();
        let output = asked.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).into()).unwrap_or_default()
    }
}

/// Apart from the machine's engine in everything: files, networks, and names in containerd.
fn spawn(folder: &Path, network: &Network) -> Child {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let name = folder.file_name().expect("a folder has a name").to_string_lossy();
    let name = name.trim_start_matches('.');
    Process::new("nsenter")
        .arg(format!("--net=/run/netns/{}", network.0))
        .arg("dockerd")
        .args(["-H", &format!("unix://{}", path("docker.sock"))])
        .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
        .args(["--pidfile", &path("pid"), "--iptables=false"])
        .args(["--default-address-pool", &format!("base={CONTAINERS},size=24")])
        .args(["--containerd-namespace", &format!("test-{name}")])
        .args(["--containerd-plugins-namespace", &format!("test-plugins-{name}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("dockerd is installed")
}
