//! The real binary as a node: starts, is talked to, restarts with what it knew, ends when asked to.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::User;

/// How long a start or a stop may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct horse battery";

/// A node in a folder of its own, on ports that were free.
struct Node {
    child: Child,
    url: String,
    banner: Vec<String>,
}

impl Node {
    fn start(user: &User) -> Self {
        Self::start_with(user, user.command(&serve_line()))
    }

    fn start_with(user: &User, mut command: Command) -> Self {
        let log = std::fs::File::create(user.home().join("serve.log")).unwrap();
        command.env("TEMPS_DATA_DIR", user.home().join("data"));
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = Vec::new();
        for line in lines.map(Result::unwrap) {
            let last = line.trim().starts_with("log in");
            banner.push(line);
            if last {
                break;
            }
        }
        let url = value_of(&banner, "api");
        if url.is_none() {
            let _ = child.kill();
        }
        let log = std::fs::read_to_string(user.home().join("serve.log"));
        Self { child, url: url.unwrap_or_else(|| panic!("{banner:?} {log:?}")), banner }
    }

    fn password(&self) -> Option<String> {
        value_of(&self.banner, "password")
    }

    /// Sends SIGTERM and tells the exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the node did not end within {PATIENCE:?}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn value_of(banner: &[String], name: &str) -> Option<String> {
    let mut pairs = banner.iter().filter_map(|line| line.trim().split_once(char::is_whitespace));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_string())
}

fn serve_line() -> [&'static str; 9] {
    [
        "serve",
        "--http",
        "127.0.0.1:0",
        "--https",
        "off",
        "--api",
        "127.0.0.1:0",
        "--peer",
        "127.0.0.1:0",
    ]
}

fn with_admin(user: &User) -> Command {
    let mut command = user.command(&serve_line());
    command.env("TEMPS_ADMIN_EMAIL", "me@example.org").env("TEMPS_ADMIN_PASSWORD", PASSWORD);
    command
}

fn log_in(user: &User, url: &str, email: &str, password: &str) {
    let line = ["login", url, "--email", email, "--password-stdin"];
    user.run_with_input(&line, password).expect(0);
}

#[test]
fn a_node_starts_on_nothing_is_used_and_remembers() {
    let user = User::new();
    let node = Node::start_with(&user, with_admin(&user));
    assert_eq!(node.password(), None, "a password that was given is not shown");
    log_in(&user, &node.url, "me@example.org", PASSWORD);
    let status = user.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["nodes"].as_array().unwrap().len(), 1);
    assert!(status["nodes"][0]["capacity"]["cpu_millis"].as_u64().unwrap() >= 1_000);
    assert!(user.run(&["status"]).expect(0).stdout.contains("This is the only node"));
    user.run(&["projects", "create", "shop"]).expect(0);
    user.run(&["env", "set", "A=1", "-p", "shop"]).expect(0);
    user.run_with_input(&["env", "set", "--secret", "S=-", "-p", "shop"], "hush\n").expect(0);
    let variables = user.run(&["env", "list", "-p", "shop"]).expect(0);
    assert!(variables.stdout.contains("(secret)") && !variables.stdout.contains("hush"));
    let again = user.run(&["projects", "create", "shop"]).expect_error(1, "shop");
    assert_eq!(again.stdout, "");
    assert!(user.run(&["audit"]).expect(0).stdout.contains("project.create"));
    assert_eq!(node.stop(), Some(0));

    let began = Instant::now();
    let node = Node::start(&user);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(node.password(), None, "there is an admin already");
    // The port changed, so that the login's address is another one.
    log_in(&user, &node.url, "me@example.org", PASSWORD);
    let projects = user.run(&["projects", "--json"]).expect(0).json();
    assert_eq!(projects["items"][0]["name"], "shop");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn users_keys_settings_and_environments_are_managed() {
    let user = User::new();
    let node = Node::start(&user);
    let password = node.password().expect("a made password is shown at the first start");
    log_in(&user, &node.url, "admin@localhost", &password);

    let made = user.run(&["users", "create", "b@example.org", "--role", "reader"]).expect(0);
    assert!(made.stdout.trim().len() >= 16, "{made:?}");
    user.run(&["users", "role", "b@example.org", "user"]).expect(0);
    let fresh = user.run(&["users", "password", "b@example.org"]).expect(0);
    log_in(&user, &node.url, "b@example.org", fresh.stdout.trim());
    user.run(&["users", "list"]).expect(1);
    user.run(&["logout"]).expect(0);
    log_in(&user, &node.url, "admin@localhost", &password);
    user.run(&["users", "delete", "b@example.org", "--yes"]).expect(0);
    assert!(!user.run(&["users"]).expect(0).stdout.contains("b@example.org"));

    let key = user.run(&["apikeys", "create", "ci", "--permission", "read"]).expect(0);
    assert!(key.stdout.starts_with("tk_"));
    let with_key = |line: &[&str]| {
        let mut command = user.command(line);
        command.env("TEMPS_API_URL", &node.url).env("TEMPS_API_TOKEN", key.stdout.trim());
        crate::support::Ended::from(command.output().unwrap())
    };
    with_key(&["projects"]).expect(0);
    with_key(&["projects", "create", "no"]).expect(1);
    let keys = user.run(&["apikeys", "--json"]).expect(0).json();
    let ci = keys["items"].as_array().unwrap().iter().find(|key| key["name"] == "ci").unwrap();
    user.run(&["apikeys", "delete", ci["id"].as_str().unwrap()]).expect(0);
    with_key(&["projects"]).expect(1);

    user.run(&["settings", "set", "build.timeout_seconds=60"]).expect(0);
    let seconds = user.run(&["settings", "get", "build.timeout_seconds"]).expect(0);
    assert_eq!(seconds.stdout, "60\n");
    user.run(&["settings", "set", "build.time=60"]).expect_error(2, "build.time");

    user.run(&["projects", "create", "shop"]).expect(0);
    user.run(&["environments", "create", "feature/x", "-p", "shop"]).expect(0);
    assert!(user.run(&["environments", "-p", "shop"]).expect(0).stdout.contains("feature-x"));
    user.run(&["environments", "delete", "feature-x", "--yes", "-p", "shop"]).expect(0);
    let url = user.run(&["open", "-p", "shop"]).expect(0).stdout;
    assert!(url.starts_with("http://shop-production.localho.st"), "{url}");
    user.run(&["scale", "2", "-p", "shop"]).expect(0);
    user.run(&["projects", "disable", "shop"]).expect(0);
    user.run(&["projects", "enable", "shop"]).expect(0);
    user.run(&["deployments", "-p", "shop"]).expect(0);
    user.run(&["deployments", "rollback", "-p", "shop"]).expect_error(1, "kept");
    user.run(&["projects", "delete", "shop", "--yes"]).expect(0);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_wrong_password_is_refused_and_nothing_is_stored() {
    let user = User::new();
    let node = Node::start_with(&user, with_admin(&user));
    let line = ["login", &node.url, "--email", "me@example.org", "--password-stdin"];
    user.run_with_input(&line, "wrong").expect_error(1, "password");
    assert!(!user.home().join(".config/temps/config.json").exists());
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn wrong_flags_are_refused_before_a_port_is_bound() {
    let user = User::new();
    let data = user.home().join("data");
    let data = data.to_str().unwrap();
    for (line, code, what) in [
        (&["--http", "nonsense"][..], 2, "--http nonsense"),
        (&["--http", "127.0.0.1:3000"], 2, "port 3000"),
        (&["--log-format", "xml"], 2, "--log-format xml"),
        (&["--log-level", "loud"], 2, "--log-level loud"),
        (&["--data-dir", "/proc/nowhere"], 1, "/proc/nowhere"),
    ] {
        let line = [&["serve", "--data-dir", data], line].concat();
        // A flag given twice is clap's to refuse.
        let line = if line.iter().filter(|word| **word == "--data-dir").count() > 1 {
            [&["serve"], &line[3..]].concat()
        } else {
            line
        };
        user.run(&line).expect_error(code, what);
    }
    assert!(!std::path::Path::new(data).exists());
}

#[test]
fn a_taken_port_is_refused_and_nothing_is_founded() {
    let user = User::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut line = serve_line();
    line[6] = &address;
    let mut command = user.command(&line);
    command.env("TEMPS_DATA_DIR", user.home().join("data"));
    let ended = crate::support::Ended::from(command.output().unwrap());
    let ended = ended.expect_error(1, &address);
    assert!(ended.stderr.contains("another program"), "{ended:?}");
    assert!(!user.home().join("data/cluster.key").exists());
}

#[test]
fn a_second_node_in_the_same_folder_is_refused() {
    let user = User::new();
    let node = Node::start(&user);
    let mut command = user.command(&serve_line());
    command.env("TEMPS_DATA_DIR", user.home().join("data"));
    let ended = crate::support::Ended::from(command.output().unwrap());
    ended.expect_error(1, "in use by another process");
    assert_eq!(node.stop(), Some(0));
}
