//! The ground itself: machines come up, links are cut and work again, processes die and come back, nothing is left.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use temps_chaos_tests::{Ground, Options, Start, Traffic, Writes, until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::common::{LARGE_APP, machines};

/// How soon what nothing stands in the way of has happened.
const SOON: Duration = Duration::from_secs(10);

/// Whether one machine opens a connection to the API of another.
fn reaches(ground: &Ground, from: usize, to: usize) -> bool {
    let namespace = format!("--net=/run/netns/temps-{}-n{from}", ground.run());
    let url = format!("http://{}/healthz", ground.node(to).api());
    let curl = ["curl", "-fsS", "-o", "/dev/null", "--noproxy", "*", "--max-time", "0.5", &url];
    let asked = Command::new("nsenter").arg(namespace).args(curl).output();
    asked.expect("nsenter is on every Debian").status.success()
}

/// Everything on this host that carries the ground's number or folder.
fn traces(run: u8, folder: &str) -> Vec<String> {
    let word = format!("temps-{run}-");
    let link = format!("temps-{run}");
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().expect("the program is there");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut traces = Vec::new();
    let mut look = |what: &str, text: String, hit: &dyn Fn(&str) -> bool| {
        traces.extend(text.lines().filter(|line| hit(line)).map(|line| format!("{what}: {line}")));
    };
    look("namespace", output("ip", &["netns"]), &|line| line.starts_with(&word));
    look("link", output("ip", &["-br", "link"]), &|line| {
        line.split(['@', ' ']).next() == Some(&link)
    });
    look("route", output("ip", &["route"]), &|line| line.contains(&format!("10.77.{run}.")));
    look("rule", output("iptables-save", &[]), &|line| {
        line.contains(&format!("10.77.{run}.")) || line.split(' ').any(|part| part == link)
    });
    look("mount", fs::read_to_string("/proc/self/mounts").unwrap_or_default(), &|line| {
        line.contains(&word) || line.contains(folder)
    });
    look("cgroup", output("find", &["/sys/fs/cgroup", "-type", "d"]), &|line| line.contains(&word));
    look("process", output("ps", &["-eo", "pid,args"]), &|line| line.contains(folder));
    look("folder", output("ls", &["-d", folder]), &|line| !line.is_empty());
    traces
}

fn host_bridge() -> String {
    let output = Command::new("ip").args(["-o", "address", "show", "docker0"]).output();
    String::from_utf8_lossy(&output.expect("ip is there").stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_answer_and_nothing_is_left_of_them() {
    let bridge = host_bridge();
    let ground =
        Ground::up(3, Options { start: Start::Alone, ..Options::default() }).await.unwrap();
    let (run, folder) = (ground.run(), ground.folder().to_string_lossy().into_owned());
    let client = ground.client().unwrap();
    for node in ground.nodes() {
        let status = client.get(node.number, "/status").await.unwrap();
        assert_eq!((status.status, &status.body["nodes"][0]["name"]), (200, &json!(node.name())));
        println!("{} uses {:?}", node.name(), node.memory().await.unwrap());
    }
    LARGE_APP.deploy_once(&ground).await.unwrap();
    LARGE_APP.serves(&ground, 1).await.unwrap();
    let traffic = Traffic::start(&ground.edges(&[1]), &LARGE_APP.host(), 100);
    until("requests are answered", SOON, async || traffic.done() > 50).await.unwrap();
    let report = traffic.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.edges[&1].bodies.keys().collect::<Vec<_>>(), ["one"]);
    assert!(!traces(run, &folder).is_empty());

    ground.down().await.unwrap();
    assert_eq!(traces(run, &folder), Vec::<String>::new());
    assert_eq!(host_bridge(), bridge);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_cut_and_work_again() {
    let ground = machines(3, Start::Alone).await;
    let all = [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)];
    let reached = || all.map(|(from, to)| reaches(&ground, from, to));
    assert_eq!(reached(), [true; 6]);

    ground.partition(&[&[1], &[2, 3]]).await.unwrap();
    assert_eq!(reached(), [false, false, false, true, false, true]);
    let client = ground.client().unwrap();
    for node in ground.nodes() {
        assert_eq!(client.get(node.number, "/status").await.unwrap().status, 200);
    }
    ground.heal().await.unwrap();
    assert_eq!(reached(), [true; 6]);

    // What 1 sends to 2 is lost: neither can talk to the other, for answers are lost too.
    ground.cut(1, 2).await.unwrap();
    assert_eq!(reached(), [false, true, false, true, true, true]);
    ground.heal().await.unwrap();
    assert_eq!(reached(), [true; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_is_cut_too() {
    let ground = machines(1, Start::Alone).await;
    let mut connection = TcpStream::connect(ground.node(1).api()).await.unwrap();
    ground.node(1).power_off().await.unwrap();
    // No peer is told: the connection looks open, and new ones get no answer.
    connection.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
    let again =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(ground.node(1).api()));
    assert!(!matches!(again.await, Ok(Ok(_))));

    ground.node(1).power_on().await.unwrap();
    assert_eq!(ground.client().unwrap().get(1, "/status").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_die_stall_and_come_back() {
    let ground = machines(2, Start::Alone).await;
    let client = ground.client().unwrap();
    let writes = Writes::start(client.clone(), &[1], "w");
    until("changes are acknowledged", SOON, async || writes.acknowledged() > 20).await.unwrap();

    ground.node(1).kill9().await.unwrap();
    assert!(client.get(1, "/status").await.is_err());
    assert_eq!(client.get(2, "/status").await.unwrap().status, 200);
    assert!(ground.node(1).log_tail(5).lines().count() > 0);
    ground.node(1).start().await.unwrap();
    let before = writes.acknowledged();
    until("changes go on", SOON, async || writes.acknowledged() > before).await.unwrap();
    let written = writes.stop().await;
    println!("{} writes, gap {:?}", written.acknowledged.len(), written.longest_gap);
    client.know_all(&[1], &written.acknowledged).await.unwrap();

    ground.node(2).pause().await.unwrap();
    let stalled = tokio::time::timeout(Duration::from_millis(300), client.get(2, "/status"));
    assert!(stalled.await.is_err());
    ground.node(2).resume().await.unwrap();
    assert_eq!(client.get(2, "/status").await.unwrap().status, 200);
    ground.node(2).stop().await.unwrap();
    assert!(client.get(2, "/status").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_counts_what_a_dead_edge_fails() {
    let ground = machines(2, Start::Alone).await;
    // Nobody has this name: both edges answer, and not with a success.
    let traffic = Traffic::start(&ground.edges(&[1, 2]), "nobody.localho.st", 50);
    until("requests are answered", SOON, async || traffic.done() > 20).await.unwrap();
    ground.node(2).kill9().await.unwrap();
    let before = traffic.done();
    until("requests go on", SOON, async || traffic.done() > before + 20).await.unwrap();
    let report = traffic.stop().await;
    assert_eq!(report.ok(), 0);
    let said = |node: usize, text: &str| {
        report.edges[&node].failures.iter().any(|failure| failure.what.contains(text))
    };
    assert!(said(1, "503") && said(2, "503"), "{report}");
    assert!(report.edges[&2].failed > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ground_goes_when_its_owner_panics() {
    let (send, mut receive) = tokio::sync::mpsc::channel(1);
    let owner = tokio::spawn(async move {
        let ground = machines(1, Start::Bare).await;
        let found = (ground.run(), ground.folder().to_string_lossy().into_owned());
        send.send(found).await.unwrap();
        panic!("as a failed assertion does");
    });
    let (run, folder) = receive.recv().await.unwrap();
    assert!(owner.await.unwrap_err().is_panic());
    assert_eq!(traces(run, &folder), Vec::<String>::new());
}
