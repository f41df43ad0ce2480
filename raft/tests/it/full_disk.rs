//! A node whose disk is full refuses changes and still answers, and goes on once there is space, whether or not what it
//! wrote before found room. Needs root, for small file systems.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use temps_raft::{Cluster, ProposeError, ROOM_FOR_CHANGES_BYTES, ROOM_FOR_REPORTS_BYTES};
use temps_state::NodeId;

use crate::common::ground::{Place, admit, found, founded, grown};
use crate::common::{PATIENCE, churn, numbers, put, start, stop, until};

/// The time in which a snapshot is sent more than once.
const SEVERAL_TRIES: Duration = Duration::from_secs(5);

/// A file system in memory, of a few megabytes.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    fn new(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        mount_small(dir.path(), size);
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn grow(&self) {
        grow(self.dir.path());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

fn mount_small(dir: &Path, size: &str) {
    let made = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], dir);
    assert!(made, "this test mounts a tmpfs and needs root for it");
}

fn grow(dir: &Path) {
    assert!(mount(&["-o", "remount,size=256m"], dir));
}

fn mount(arguments: &[&str], dir: &Path) -> bool {
    Command::new("mount").args(arguments).arg(dir).status().is_ok_and(|ended| ended.success())
}

/// Writes until the disk is full; the number of the write that was refused.
async fn fill(cluster: &Cluster) -> u64 {
    for number in 0.. {
        match put(cluster, number).await {
            Ok(_) => crate::common::churn_quietly(cluster, 200).await,
            Err(ProposeError::DiskFull { .. }) => return number,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the disk is finite")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_and_space_brings_them_back() {
    let disk = SmallDisk::new("8m");
    let cluster = start(&disk.path()).await;
    let filled = tokio::time::timeout(Duration::from_secs(60), fill(&cluster)).await;
    let filled = filled.expect("the disk is full in time");
    assert_eq!(numbers(&cluster.read_latest().await.unwrap()).len() as u64, filled);
    let again = put(&cluster, filled).await;
    assert!(matches!(again, Err(ProposeError::DiskFull { .. })), "{again:?}");
    drop(cluster);
    disk.grow();
    let cluster = start(&disk.path()).await;
    let there = numbers(&cluster.state());
    assert!((0..filled).all(|number| there.contains(&number)), "lost something acknowledged");
    put(&cluster, filled + 1).await.unwrap();
    stop(cluster).await;
}

/// The first node has a disk of its own here.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_without_room_gives_the_lead_to_one_that_has_some() {
    let first = Place::new(NodeId(1));
    let dir = first.dir();
    mount_small(&dir, "256m");
    let small = Unmounted(dir.clone());
    let mut places = grown(founded(first).await, 3).await;
    until("it leads", || places[0].leads()).await;
    put(places[1].node(), 1).await.unwrap();
    let mut filler = File::create(dir.join("filler")).unwrap();
    // Too little for changes, enough for its log.
    while free(&dir) > ROOM_FOR_CHANGES_BYTES / 2 + ROOM_FOR_REPORTS_BYTES {
        filler.write_all(&[1; 1 << 20]).unwrap();
    }
    until("another leads", || places[1..].iter().any(Place::leads)).await;
    put(places[1].node(), 2).await.expect("there is room where the lead is");
    for place in &mut places {
        place.stop().await;
    }
    drop((places, small));
}

fn free(dir: &Path) -> u64 {
    let disk = rustix::fs::statvfs(dir).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// The snapshots have a disk of their own here. It takes less than nothing for the log to be left its room.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_without_room_is_sent_again_until_there_is_some() {
    let founder = found().await;
    // So many entries that the joiner cannot be fed from the log.
    churn(founder.node(), 10_500).await;
    founder.report().await;
    until("there is a snapshot", || founder.status().snapshot.is_some()).await;
    let mut joiner = admit(&founder, Place::new(NodeId(0))).await;
    let snapshots = joiner.dir().join("raft/snapshots");
    fs::create_dir_all(&snapshots).unwrap();
    mount_small(&snapshots, "2m");
    let small = Unmounted(snapshots.clone());
    joiner.start().await;
    until("the leader reaches it", || joiner.status().leader == Some(founder.id)).await;
    // Long enough for more than one try.
    let stopped = tokio::time::timeout(SEVERAL_TRIES, joiner.node().failed()).await;
    assert!(stopped.is_err(), "the node stopped: {stopped:?}");
    assert!(joiner.node().state().nodes.is_empty(), "it found room");
    grow(&snapshots);
    until("it is fed", || joiner.node().state().nodes.contains_key(&joiner.id)).await;
    joiner.stop().await;
    drop(small);
}

/// Set to a data folder in the process that is going to be killed.
const CHILD: &str = "TEMPS_TEST_FULL_CHILD";

/// The state has a disk of its own here, so that it runs out of room while the log goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_without_room_stays_behind_and_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("raft/state");
    fs::create_dir_all(&state).unwrap();
    mount_small(&state, "4m");
    let small = Unmounted(state.clone());
    let cluster = start(dir.path()).await;
    let first = database(&state);
    put(&cluster, 1).await.unwrap();
    fill_disk(&state.join("filler"));
    churn(&cluster, 9000).await;
    until("a snapshot", || cluster.status().snapshot.is_some_and(|index| index > 4000)).await;
    put(&cluster, 2).await.unwrap();
    assert_eq!(database(&state), first, "the state found room");
    assert!(applied(&state_copy(&state)) + 4000 < cluster.state().index, "it is not behind");
    grow(&state);
    catches_up(&cluster, &state, first).await;
    put(&cluster, 3).await.unwrap();
    let before = cluster.state();
    stop(cluster).await;
    assert_eq!(applied(&state_copy(&state)), before.index);
    let cluster = start(dir.path()).await;
    assert_eq!(cluster.state().state, before.state);
    stop(cluster).await;
    drop(small);
}

struct Unmounted(PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Writes until the state has been written anew.
async fn catches_up(cluster: &Cluster, state: &Path, first: Option<u64>) {
    let writing = async {
        while !is_new(state, first) {
            churn(cluster, 1).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, writing).await.expect("the state catches up in time");
}

/// Whether the state was written anew since it was in the file `first`.
fn is_new(state: &Path, first: Option<u64>) -> bool {
    database(state).is_some_and(|now| Some(now) != first)
}

/// Which file the state is in; another one after it was written anew.
fn database(state: &Path) -> Option<u64> {
    fs::metadata(state.join("db")).ok().map(|file| file.ino())
}

fn state_copy(state: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-aT").arg(state).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    copy
}

/// The last entry that a state on disk has applied; 0 if it has none.
fn applied(state: &TempDir) -> u64 {
    let db = sled::open(state.path()).unwrap();
    let Some(summary) = db.get(b"\0summary").unwrap() else { return 0 };
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    summary["position"]["applied"]["index"].as_u64().unwrap()
}

#[test]
fn killed_while_its_state_is_behind() {
    kill_at("full_disk::killed_while_its_state_is_behind", "behind");
}

#[test]
fn killed_after_its_state_caught_up() {
    kill_at("full_disk::killed_after_its_state_caught_up", "caught-up");
}

/// Kills a node that another program left without room, and sees that it has all it acknowledged.
fn kill_at(test: &str, moment: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Ok(dir) = std::env::var(CHILD) {
        return runtime.block_on(live(Path::new(&dir)));
    }
    let disk = SmallDisk::new("64m");
    let state = disk.path().join("raft/state");
    fs::create_dir_all(&state).unwrap();
    mount_small(&state, "4m");
    let _small = Unmounted(state.clone());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, disk.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut told: Vec<String> = Vec::new();
    for line in lines {
        told.push(line);
        if told.last().is_some_and(|line| line == moment) {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(told.iter().any(|line| line == moment), "{told:?}");
    let numbers_of = |line: &String| line.strip_prefix("acknowledged ")?.parse().ok();
    let acknowledged: BTreeSet<u64> = told.iter().filter_map(numbers_of).collect();
    disk.grow();
    grow(&state);
    runtime.block_on(async {
        let cluster = start(&disk.path()).await;
        let there = numbers(&cluster.state());
        assert!(acknowledged.is_subset(&there), "lost something acknowledged of {told:?}");
        put(&cluster, 1_000_000).await.unwrap();
        stop(cluster).await;
    });
}

/// The node: its state runs out of room while the log goes on; then there is none for the log either, and then for
/// both. It tells what happens.
async fn live(dir: &Path) {
    let (state, filler) = (dir.join("raft/state"), dir.join("filler"));
    let cluster = start(dir).await;
    let first = database(&state);
    println!();
    acknowledged(&cluster, 1).await;
    fill_disk(&state.join("filler"));
    // Everything is written to the log first, and to the state in the background.
    let writing = async {
        while !is_closed(&state) {
            churn(&cluster, 100).await;
        }
    };
    tokio::time::timeout(PATIENCE, writing).await.expect("the state runs out of room");
    acknowledged(&cluster, 2).await;
    fill_disk(&filler);
    let refused = put(&cluster, 3).await;
    assert!(matches!(refused, Err(ProposeError::DiskFull { .. })), "{refused:?}");
    println!("behind");
    fs::remove_file(&filler).unwrap();
    grow(&state);
    catches_up(&cluster, &state, first).await;
    acknowledged(&cluster, 4).await;
    println!("caught-up");
    std::future::pending().await
}

/// Whether nobody has the state open: it is behind.
fn is_closed(state: &Path) -> bool {
    File::open(state.join("db")).is_ok_and(|file| file.try_lock().is_ok())
}

async fn acknowledged(cluster: &Cluster, number: u64) {
    put(cluster, number).await.unwrap();
    println!("acknowledged {number}");
}

fn fill_disk(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}
