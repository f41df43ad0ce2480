//! Replicas as real containers in the machine's engine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::common::home::{Home, SOCKET, container, docker, eventually};
use crate::common::{config, healthy};
use futures::StreamExt;
use temps_scheduler::{ExecOutput, ExecRequest, LogQuery};
use temps_state::*;

fn run(command: &[&str]) -> RunConfig {
    let command = command.iter().map(|word| word.to_string()).collect();
    let health = HealthCheck { deadline_seconds: 10, interval_ms: 500, ..HealthCheck::default() };
    let resources = Resources { memory_mib: 64, ..Resources::default() };
    RunConfig { command: Some(command), health, resources, drain_seconds: 1, ..config() }
}

fn serve() -> RunConfig {
    run(&["/app", "serve"])
}

/// A container that looks much like one of Temps, and is not.
struct Stranger(String);

impl Stranger {
    fn start(image: &str) -> Self {
        Self(docker(&["run", "-d", "--label", "sh.temps.managed=true", image, "serve", "1"]))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

fn get(endpoint: SocketAddr, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(endpoint) else { return String::new() };
    let mut answer = String::new();
    let asked = stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    let _ = asked.and_then(|()| stream.read_to_string(&mut answer));
    answer
}

fn endpoint(replica: &Replica) -> SocketAddr {
    replica.serving_endpoint().expect("it serves")
}

async fn exec(
    home: &Home,
    replica: ReplicaId,
    command: &[&str],
    input: &str,
) -> (String, Option<i64>) {
    let command = command.iter().map(|word| word.to_string()).collect();
    let request = ExecRequest { command, tty: false };
    let mut session = home.scheduler.exec(replica, request).await.expect("it runs");
    session.input.send(input.to_owned().into()).await.expect("it reads");
    session.input = tokio::sync::mpsc::channel(1).0;
    let mut text = String::new();
    while let Some(ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes)) =
        session.output.next().await
    {
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    (text, session.exit_code().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_locked_down_and_gets_its_variables() {
    let home = Home::new(SOCKET).await;
    let replica = home.until_live(home.deploy(serve()).await).await;
    assert!(get(endpoint(&replica), "/").ends_with("hello\n"));
    let (status, code) = exec(&home, replica.id, &["/app", "cat", "/proc/1/status"], "").await;
    assert_eq!(code, Some(0));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    let (environment, _) =
        exec(&home, replica.id, &["/app", "cat", "/proc/self/environ"], "").await;
    for variable in
        ["PORT=3000", "HOST=0.0.0.0", "TEMPS_API_URL=http://api.test", "TEMPS_DEPLOYMENT_ID=dep_"]
    {
        assert!(environment.contains(variable), "{environment}");
    }
    let (pids, _) =
        exec(&home, replica.id, &["/app", "cat", "/sys/fs/cgroup/pids/pids.max"], "").await;
    assert!(pids.is_empty() || pids.trim() == "512", "{pids}");
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}";
    assert_eq!(home.inspect(replica.id, limits), "67108864 67108864 512 1000000000");
    assert_eq!(docker(&["port", &container(replica.id)]), "");
    let stats = home.scheduler.stats(replica.id).await.expect("it is known");
    assert!(
        stats.memory_bytes > 0 && stats.memory_limit_bytes == 64 << 20 && stats.pids > 0,
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_gives_input_output_and_code() {
    let home = Home::new(SOCKET).await;
    let replica = home.until_live(home.deploy(serve()).await).await;
    assert_eq!(
        exec(&home, replica.id, &["/app", "echo"], "to and fro").await,
        ("to and fro".into(), Some(0))
    );
    assert_eq!(
        exec(&home, replica.id, &["/app", "exit", "3"], "").await,
        ("boom\n".into(), Some(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_version_serves_until_the_new_one_does_and_is_frozen_for_a_rollback() {
    let home = Home::new(SOCKET).await;
    let first = home.deploy(serve()).await;
    let old = home.until_live(first).await;
    let second = home.deploy(serve()).await;
    let new = home.until_live(second).await;
    assert_ne!(endpoint(&old), endpoint(&new));
    eventually("the old one is frozen", || home.inspect(old.id, "{{.State.Status}}") == "paused")
        .await;
    home.propose(Command::RollBack { environment: home.environment, to: first }).await;
    let back = home.until_live(first).await;
    assert_eq!(endpoint(&back), endpoint(&old));
    assert!(get(endpoint(&back), "/").contains("200 OK"));
    let third = home.deploy(serve()).await;
    home.until_live(third).await;
    eventually("the retired one is removed", || home.inspect(new.id, "{{.Id}}").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_exits_at_once_fails_with_its_log_and_the_live_one_serves() {
    let home = Home::new(SOCKET).await;
    let live = home.until_live(home.deploy(serve()).await).await;
    let failure = home.until_failed(home.deploy(run(&["/app", "exit", "3"])).await).await;
    assert_eq!(failure.code, FailureCode::Exited);
    assert_eq!(failure.message, "the app ended by itself with code 3");
    assert!(failure.log_tail.contains(&"boom".to_owned()), "{failure:?}");
    assert!(get(endpoint(&live), "/").contains("200 OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_nobody_listens_on_is_named_with_the_one_somebody_does() {
    let home = Home::new(SOCKET).await;
    let id = home.deploy(run(&["/app", "serve", "8080"])).await;
    let failure = home.until_failed(id).await;
    assert_eq!(failure.code, FailureCode::PortClosed);
    assert_eq!(failure.message, "nothing listens on port 3000; the app listens on 0.0.0.0:8080");
    eventually("its container is removed", || {
        docker(&["ps", "-aq", "--filter", &format!("label=sh.temps.deployment={id}")]).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_listens_on_its_own_loopback_only_is_reached() {
    let home = Home::new(SOCKET).await;
    let live = home.until_live(home.deploy(run(&["/app", "hide"])).await).await;
    assert_eq!(endpoint(&live).port(), 3000);
    assert!(get(endpoint(&live), "/").contains("200 OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_named_a_port_the_only_one_is_taken() {
    let home = Home::new(SOCKET).await;
    for command in ["serve", "hide"] {
        let config = RunConfig { port_assumed: true, ..run(&["/app", command, "8080"]) };
        let live = home.until_live(home.deploy(config).await).await;
        assert_eq!(endpoint(&live).port(), 8080);
        assert!(get(endpoint(&live), "/").contains("200 OK"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    let mut home = Home::new(SOCKET).await;
    let failure = home.until_failed(home.deploy(run(&["/no-such-program"])).await).await;
    assert_eq!(failure.code, FailureCode::Exited, "{failure:?}");
    assert!(failure.message.contains("its command is not there"), "{failure:?}");
    assert!(failure.log_tail.iter().any(|line| line.contains("/no-such-program")), "{failure:?}");
    home.image = format!("sha256:{}", "0".repeat(64));
    let failure = home.until_failed(home.deploy(serve()).await).await;
    assert_eq!(failure.code, FailureCode::ImageNotFound, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_a_deployment_fails_and_says_so() {
    let home = Home::new("/nowhere/docker.sock").await;
    let failure = home.until_failed(home.deploy(serve()).await).await;
    assert_eq!(failure.code, FailureCode::EngineUnavailable, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_dies_comes_back_and_foreign_ones_are_left_alone() {
    let home = Home::new(SOCKET).await;
    let stranger = Stranger::start(&home.image);
    let replica = home.until_live(home.deploy(serve()).await).await;
    let started = || home.inspect(replica.id, "{{.State.StartedAt}}");
    let first = started();
    docker(&["kill", &container(replica.id)]);
    eventually("it is started again", || !["", &first].contains(&&*started())).await;
    home.until_observed(replica.id, |seen| matches!(seen, Observed::Healthy { .. })).await;
    let now = home.cluster.state().replicas[&replica.id].clone();
    get(endpoint(&now), "/exit");
    home.until_observed(
        replica.id,
        |seen| matches!(seen, Observed::Down { failure } if failure.message.contains("code 7")),
    )
    .await;
    home.until_observed(replica.id, |seen| matches!(seen, Observed::Healthy { .. })).await;
    let second = started();
    docker(&["rm", "-f", &container(replica.id)]);
    eventually("it is made again", || !["", &second].contains(&&*started())).await;
    home.until_observed(replica.id, |seen| matches!(seen, Observed::Healthy { .. })).await;
    let status =
        docker(&["inspect", "--format", "{{.State.Status}} {{.RestartCount}}", &stranger.0]);
    assert_eq!(status, "running 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_node_interrupts_nothing_and_starts_nothing_twice() {
    let mut home = Home::new(SOCKET).await;
    let replica = home.until_live(home.deploy(serve()).await).await;
    let before = home.inspect(replica.id, "{{.Id}} {{.State.StartedAt}}");
    let index = home.cluster.state().index;
    home.restart().await;
    assert!(get(endpoint(&replica), "/").contains("200 OK"));
    let next = home.until_live(home.deploy(serve()).await).await;
    assert_ne!(next.id, replica.id);
    let told = home.cluster.state().replicas[&replica.id].observed.clone();
    assert!(matches!(told, Observed::Healthy { .. }) && index > 0, "{told:?}, not {:?}", healthy());
    eventually("frozen, not restarted", || {
        let now = home.inspect(replica.id, "{{.Id}} {{.State.StartedAt}} {{.State.Status}}");
        now == format!("{before} paused")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_merged_and_followed_through_a_restart_of_the_container() {
    let home = Home::new(SOCKET).await;
    let replica = home.until_live(home.deploy(serve()).await).await;
    let query = |follow, tail| LogQuery { follow, tail, since: None };
    let past = home.scheduler.logs(vec![replica.id], query(false, 100)).await.expect("it is here");
    let past: Vec<_> = past.collect().await;
    assert_eq!((past[0].text.as_str(), past[0].stream), ("listening on 3000", "stdout"));
    let none = home.scheduler.logs(vec![replica.id], query(false, 0)).await.expect("it is here");
    assert_eq!(none.count().await, 0);
    let lines = home.scheduler.logs(vec![replica.id], query(true, 1)).await.expect("it is here");
    let mut lines = std::pin::pin!(lines.map(|line| line.text));
    get(endpoint(&replica), "/one");
    get(endpoint(&replica), "/exit");
    for expected in ["GET /one HTTP/1.0", "GET /exit HTTP/1.0", "listening on 3000"] {
        let found = lines.by_ref().any(async |line| line == expected);
        let found = tokio::time::timeout(std::time::Duration::from_secs(30), found).await;
        assert_eq!(found, Ok(true), "{expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_followed_from_version_to_version() {
    let home = Home::new(SOCKET).await;
    let query = |follow| LogQuery { follow, tail: 100, since: None };
    let lines = home.scheduler.environment_logs(home.environment, query(true)).await;
    let mut lines = std::pin::pin!(lines.expect("the engine is there"));
    let mut seen = Vec::new();
    for _ in 0..2 {
        let replica = home.until_live(home.deploy(serve()).await).await;
        let line = lines.by_ref().filter(|line| std::future::ready(line.replica == replica.id));
        let first = async { std::pin::pin!(line).next().await };
        let first = tokio::time::timeout(std::time::Duration::from_secs(30), first).await;
        let first = first.expect("it is followed").expect("it goes on");
        assert_eq!(first.text, "listening on 3000");
        seen.push(replica.id);
    }
    let past = home.scheduler.environment_logs(home.environment, query(false)).await;
    let past: Vec<_> = past.expect("the engine is there").collect().await;
    assert!(!past.is_empty() && past.iter().all(|line| line.replica == seen[1]), "{past:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_takes_its_containers_away_also_frozen_ones() {
    let home = Home::new(SOCKET).await;
    let kept = home.until_live(home.deploy(serve()).await).await;
    let live = home.until_live(home.deploy(serve()).await).await;
    eventually("frozen", || home.inspect(kept.id, "{{.State.Status}}") == "paused").await;
    assert_eq!(home.scheduler.clear().await.expect("the engine is there"), 2);
    assert_eq!([kept.id, live.id].map(|id| home.inspect(id, "{{.Id}}")), ["", ""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_before_a_deploy_run_once_and_hold_it_back_when_they_fail() {
    let mut home = Home::new(SOCKET).await;
    home.image = docker(&["image", "inspect", "--format", "{{.Id}}", "debian:bookworm-slim"]);
    // A source that never answers keeps the build under way until the test ends it.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/app.git", silent.local_addr().expect("it has an address"));
    for (command, code) in [("echo migrated $GREETING", None), ("exit 4", Some(4))] {
        let directory = String::new();
        let source = Source::Git { url: url.clone(), branch: None, commit: None, directory };
        let id = home.queue(source).await;
        home.propose(Command::StartBuild { id, on: home.cluster.node_id() }).await;
        // Without capabilities a change of owner does nothing, and must not fail either.
        let before_deploy = vec!["chown www-data /tmp".to_owned(), command.to_owned()];
        let config = RunConfig { before_deploy, ..run(&["/bin/sleep", "1000"]) };
        home.finish_build(id, config).await;
        match code {
            None => {
                let passed =
                    |state: &State| (state.deployments[&id].phase == Phase::Starting).then_some(());
                home.until("prepared", passed).await;
            }
            Some(code) => {
                let failure = home.until_failed(id).await;
                assert_eq!(failure.code, FailureCode::BeforeDeployFailed);
                assert_eq!(
                    failure.message,
                    format!("beforeDeploy: `{command}` failed with code {code}")
                );
            }
        }
        eventually("its container is removed", || {
            docker(&["ps", "-aq", "--filter", &format!("label=sh.temps.prepare={id}")]).is_empty()
        })
        .await;
    }
}
