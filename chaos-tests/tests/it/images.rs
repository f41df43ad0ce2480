//! Images that people push to a node outlive it, and are had from any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use temps_chaos_tests::{Ground, Node, RECOVERY, Start, until};

use crate::common::machines;

/// How long a command of the engine may take, in seconds.
const DOCKER_SECONDS: &str = "60";
/// A node takes this long at most to note what it has; what it never noted goes with the hourly round only.
const NOTICED: Duration = Duration::from_secs(15);
/// How long a node that was lost is awaited before another one takes its copies.
const AWAITED: Duration = Duration::from_secs(60);
/// The first admin of every ground.
const ADMIN: &str = "admin@localho.st";

/// The engine's own client on one machine, logged in to the node there.
struct Docker<'a> {
    node: Node<'a>,
    config: PathBuf,
}

impl<'a> Docker<'a> {
    fn of(ground: &'a Ground, number: usize) -> Self {
        let docker = Self { node: ground.node(number), config: ground.folder().join("docker") };
        docker.ok(&["login", "-u", ADMIN, "-p", &password(ground), &docker.node.api().to_string()]);
        docker
    }

    /// What it printed; `None` when it failed.
    fn run(&self, arguments: &[&str]) -> Option<String> {
        let socket = format!("unix://{}/run/docker.sock", self.node.folder().display());
        let mut command = Command::new("timeout");
        command.args([DOCKER_SECONDS, "docker", "-H", &socket, "--config"]).arg(&self.config);
        let output = command.args(arguments).output().expect("docker can be run");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments)
            .unwrap_or_else(|| panic!("docker {arguments:?} on {}", self.node.name()))
    }

    /// What its own node calls an image.
    fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.node.api())
    }

    /// Makes an image of one file, and pushes it.
    fn push(&self, image: &str) {
        let tar = self.node.folder().join("image.tar");
        let mut pack = Command::new("tar");
        pack.arg("cf").arg(&tar).args(["-C", "/etc", "passwd"]);
        assert!(pack.status().expect("tar can be run").success());
        let name = self.name(image);
        // The message makes it another image.
        self.ok(&["import", "-m", image, &tar.to_string_lossy(), &name]);
        self.ok(&["push", &name]);
    }

    /// Whether it gets an image from its own node, which it does not have any more.
    fn pulls(&self, image: &str) -> bool {
        let name = self.name(image);
        self.run(&["rmi", "-f", &name]);
        self.run(&["pull", &name]).is_some()
    }
}

fn password(ground: &Ground) -> String {
    let text = fs::read_to_string(ground.node(1).folder().join("password"));
    text.expect("the ground keeps the password").trim().to_owned()
}

/// Asks a node's registry; gives the status and what it sent.
async fn ask(ground: &Ground, node: usize, method: reqwest::Method, path: &str) -> (u16, Value) {
    // Somebody else in this process may have installed it first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let url = format!("http://{}/v2/{path}", ground.node(node).api());
    let asked = http.request(method, url).basic_auth(ADMIN, Some(password(ground)));
    let Ok(response) = asked.send().await else { return (0, Value::Null) };
    let status = response.status().as_u16();
    let octets = response.bytes().await.unwrap_or_default();
    (status, serde_json::from_slice(&octets).unwrap_or_default())
}

/// Where nodes keep the configuration of an image, which no other has.
async fn blob_of(ground: &Ground, repository: &str) -> String {
    let path = format!("{repository}/manifests/1");
    let (status, manifest) = ask(ground, 1, reqwest::Method::GET, &path).await;
    assert_eq!(status, 200, "{manifest}");
    let digest = manifest["config"]["digest"].as_str().expect("a manifest has a configuration");
    let hex = digest.trim_start_matches("sha256:");
    format!("data/blobs/sha256/{}/{hex}", &hex[..2])
}

fn have(ground: &Ground, nodes: &[usize], blob: &str) -> usize {
    let has = |node: &&usize| Path::new(&ground.node(**node).folder()).join(blob).exists();
    nodes.iter().filter(has).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_was_pushed_to_one_node_outlives_it() {
    let ground = machines(3, Start::Joined).await;
    let [one, two, three] = [1, 2, 3].map(|number| Docker::of(&ground, number));
    // One that everybody pulls at once, and one that nobody asks for.
    one.push("shop/web:1");
    assert!(two.pulls("shop/web:1") && three.pulls("shop/web:1"));
    one.push("shop/quiet:1");
    let pushed = Instant::now();
    let quiet = blob_of(&ground, "shop/quiet").await;
    until("a second node has a copy", RECOVERY, async || have(&ground, &[2, 3], &quiet) == 1)
        .await
        .unwrap();

    ground.node(1).power_off().await.unwrap();
    until("the copy of the lost node is replaced", AWAITED + RECOVERY, async || {
        have(&ground, &[2, 3], &quiet) == 2
    })
    .await
    .unwrap();
    for image in ["shop/web:1", "shop/quiet:1"] {
        until(&format!("the others have {image}"), RECOVERY, async || {
            two.pulls(image) && three.pulls(image)
        })
        .await
        .unwrap();
    }

    // A lost disk.
    ground.node(2).power_off().await.unwrap();
    ground.node(1).power_on().await.unwrap();
    ground.node(2).wipe_blobs().unwrap();
    ground.node(2).power_on().await.unwrap();
    until("node 2 has it again", RECOVERY, async || two.pulls("shop/quiet:1")).await.unwrap();

    // What no tag leads to goes from everywhere.
    until("all nodes know what is there", RECOVERY, async || pushed.elapsed() > NOTICED)
        .await
        .unwrap();
    let path = "shop/quiet/manifests/1";
    until("the tag is gone", RECOVERY, async || {
        ask(&ground, 3, reqwest::Method::DELETE, path).await.0 == 202
    })
    .await
    .unwrap();
    assert!(!one.pulls("shop/quiet:1") && !two.pulls("shop/quiet:1"));
    assert!(two.pulls("shop/web:1"), "another tag stays");
    until("nobody keeps it", 3 * RECOVERY, async || have(&ground, &[2, 3], &quiet) == 0)
        .await
        .unwrap();
}
