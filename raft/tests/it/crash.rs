//! A node that is killed at any moment has lost nothing it acknowledged, done nothing twice, and its term never goes
//! back. The node is this test's own program, started again with [`CHILD`] set.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rand::RngExt;
use temps_raft::{Cluster, Proposal};
use temps_state::Actor;

use crate::common::{PATIENCE, email, numbers, put, start, stop};

/// Set to a data folder in the process that is going to be killed.
const CHILD: &str = "TEMPS_TEST_CRASH_CHILD";
/// How many times each test kills; together a few hundred.
const KILLS: usize = 60;
/// When a node is killed at the latest: every other one after its start, the rest after it has begun to write.
const LIFE_MS_MAX: u64 = 100;

#[test]
fn killed_while_it_writes_1() {
    kill_again_and_again("crash::killed_while_it_writes_1");
}

#[test]
fn killed_while_it_writes_2() {
    kill_again_and_again("crash::killed_while_it_writes_2");
}

#[test]
fn killed_while_it_writes_3() {
    kill_again_and_again("crash::killed_while_it_writes_3");
}

#[test]
fn killed_while_it_writes_4() {
    kill_again_and_again("crash::killed_while_it_writes_4");
}

#[test]
fn killed_while_it_is_founded() {
    if let Ok(dir) = std::env::var(CHILD) {
        return runtime().block_on(live(Path::new(&dir)));
    }
    for _ in 0..KILLS / 2 {
        let dir = tempfile::tempdir().unwrap();
        let mut all = Told::default();
        for from in [From::Start, From::Start, From::Writing] {
            all.add(run_and_kill("crash::killed_while_it_is_founded", dir.path(), from));
        }
        runtime().block_on(check(dir.path(), &all));
    }
}

/// What a killed node had told.
#[derive(Default)]
struct Told {
    proposed: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    deleting: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
    term: u64,
}

impl Told {
    fn add(&mut self, other: Self) {
        assert!(other.term == 0 || other.term >= self.term, "the term went back");
        self.term = self.term.max(other.term);
        self.proposed.extend(other.proposed);
        self.acknowledged.extend(other.acknowledged);
        self.deleting.extend(other.deleting);
        self.deleted.extend(other.deleted);
    }
}

fn kill_again_and_again(test: &str) {
    if let Ok(dir) = std::env::var(CHILD) {
        return runtime().block_on(live(Path::new(&dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut all = Told::default();
    for round in 0..KILLS {
        let from = if round % 2 == 0 { From::Writing } else { From::Start };
        all.add(run_and_kill(test, dir.path(), from));
    }
    println!("{} acknowledged of {} proposed", all.acknowledged.len(), all.proposed.len());
    assert!(all.acknowledged.len() > KILLS, "the node hardly wrote anything");
    runtime().block_on(check(dir.path(), &all));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Every acknowledged write is there unless it was deleted, and nothing else: an entry that was applied again after a
/// later one would bring back what was deleted. Snapshot and log without the state on disk give the same.
async fn check(dir: &Path, all: &Told) {
    let cluster = start(dir).await;
    let there = numbers(&cluster.state());
    let kept: BTreeSet<u64> = all.acknowledged.difference(&all.deleting).copied().collect();
    let lost: Vec<_> = kept.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let phantoms: Vec<_> = there.difference(&all.proposed).collect();
    assert!(phantoms.is_empty(), "never proposed: {phantoms:?}");
    let back: Vec<_> = there.intersection(&all.deleted).collect();
    assert!(back.is_empty(), "deleted and back: {back:?}");
    assert!(cluster.status().term >= all.term, "the term went back");
    let state = cluster.state().state.clone();
    stop(cluster).await;
    std::fs::remove_dir_all(dir.join("raft/state")).unwrap();
    assert!(start(dir).await.state().state == state, "the log gives another state");
}

/// What a node's life is counted from.
enum From {
    Start,
    Writing,
}

/// Starts the node, lets it live a while, kills it, and reads what it told.
fn run_and_kill(test: &str, dir: &Path, from: From) -> Told {
    let mut child = spawn(test, dir);
    let output = BufReader::new(child.stdout.take().unwrap());
    let (begun, begins) = mpsc::channel();
    let reader = std::thread::spawn(move || read_told(output, &begun));
    if matches!(from, From::Writing) {
        begins.recv_timeout(PATIENCE).expect("the node begins to write");
    }
    std::thread::sleep(Duration::from_millis(rand::rng().random_range(1..LIFE_MS_MAX)));
    assert!(child.try_wait().unwrap().is_none(), "the node ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

fn spawn(test: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn read_told(output: impl BufRead, begun: &mpsc::Sender<()>) -> Told {
    let mut told = Told::default();
    for line in output.lines().map_while(Result::ok) {
        let Some((word, number)) = line.rsplit_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        match word {
            "proposing" => drop(told.proposed.insert(number)),
            "acknowledged" => drop(told.acknowledged.insert(number)),
            "deleting" => drop(told.deleting.insert(number)),
            "deleted" => drop(told.deleted.insert(number)),
            "term" => {
                told.term = number;
                // Nobody waits where the life is counted from the start.
                let _ = begun.send(());
            }
            _ => {}
        }
    }
    told
}

/// The node: goes on after the highest number it finds, a few writes at a time, each deleting an older one, until it
/// is killed.
async fn live(dir: &Path) {
    let cluster = start(dir).await;
    println!("\nterm {}", cluster.status().term);
    let mut next = numbers(&cluster.state()).last().map_or(100, |last| last + 100);
    loop {
        futures::future::join_all((next..next + 4).map(|number| turn(&cluster, number))).await;
        next += 4;
    }
}

async fn turn(cluster: &Cluster, number: u64) {
    println!("proposing {number}");
    put(cluster, number).await.expect("the write is applied");
    println!("acknowledged {number}");
    let old = number - 20;
    let state = cluster.state();
    let Some(id) = state.user_by_email(&email(old)).map(|user| user.id) else { return };
    println!("deleting {old}");
    let delete = temps_state::Command::DeleteUser { id };
    let proposal = Proposal::new(Actor::Node { id: cluster.node_id() }, delete);
    cluster.propose(proposal).await.expect("the deletion is applied");
    println!("deleted {old}");
}
