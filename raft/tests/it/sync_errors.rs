//! A node whose disk refuses to sync stops, says why, and has acknowledged nothing that is not on disk. The errors are
//! injected by `strace` into a process of its own: this test's program, started again with [`CHILD`] set.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::common::{numbers, put, start, stop};

/// Set to a data folder in the process whose disk fails.
const CHILD: &str = "TEMPS_TEST_SYNC_CHILD";
/// Set where that process ends once it has done its writes.
const END: &str = "TEMPS_TEST_SYNC_END";
/// Set where that process ends once the node has started.
const STARTS: &str = "TEMPS_TEST_SYNC_STARTS";
/// Set where that process goes on writing, so long that the state is written in the background.
const LONG: &str = "TEMPS_TEST_SYNC_LONG";
/// How the node ends when it must stop.
const FAILED: i32 = 7;
/// How many writes the node would do if its disk did not fail.
const WRITES: u64 = 60;
/// How long it goes on where it is told to.
const LONG_TIME: Duration = Duration::from_secs(3);

#[test]
fn a_log_that_cannot_be_synced_stops_the_node() {
    if let Ok(dir) = std::env::var(CHILD) {
        live(Path::new(&dir));
    }
    for when in [1, 2, 3, 5, 8, 13, 40] {
        fails("sync_errors::a_log_that_cannot_be_synced_stops_the_node", "fdatasync", when, &[]);
    }
}

#[test]
fn a_file_that_cannot_be_synced_stops_the_node() {
    if let Ok(dir) = std::env::var(CHILD) {
        live(Path::new(&dir));
    }
    for when in [1, 2, 3, 5, 8] {
        fails("sync_errors::a_file_that_cannot_be_synced_stops_the_node", "fsync", when, &[]);
    }
}

/// Only sled writes with `pwrite`.
#[test]
fn a_state_that_cannot_be_written_stops_the_node() {
    if let Ok(dir) = std::env::var(CHILD) {
        live(Path::new(&dir));
    }
    for when in [4, 6] {
        fails(
            "sync_errors::a_state_that_cannot_be_written_stops_the_node",
            "pwrite64",
            when,
            &[(LONG, "1")],
        );
    }
}

#[test]
fn a_state_that_has_no_room_does_not_stop_the_node() {
    if let Ok(dir) = std::env::var(CHILD) {
        live(Path::new(&dir));
    }
    for error in ["ENOSPC", "EDQUOT"] {
        let dir = tempfile::tempdir().unwrap();
        let inject = format!("inject=pwrite64:error={error}:when=4+");
        let options = ["-e", "trace=pwrite64", "-e", &inject, "-o", "/dev/null"];
        let test = "sync_errors::a_state_that_has_no_room_does_not_stop_the_node";
        let output = run(test, dir.path(), &options, &[(END, "1"), (LONG, "1")]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
        keeps_all(dir.path(), &told);
    }
}

#[test]
fn every_acknowledgement_comes_after_a_sync() {
    if let Ok(dir) = std::env::var(CHILD) {
        live(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let test = "sync_errors::every_acknowledgement_comes_after_a_sync";
    let trace = dir.path().join("trace");
    let options = ["-e", "trace=fdatasync,write", "-o", trace.to_str().unwrap()];
    let output = run(test, &dir.path().join("data"), &options, &[(END, "1")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut synced, mut acknowledged) = (false, 0);
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        if line.contains("fdatasync") && line.ends_with("= 0") {
            synced = true;
        } else if line.contains("\"acknowledged ") {
            assert!(synced, "acknowledged without a sync: {line}");
            (synced, acknowledged) = (false, acknowledged + 1);
        }
    }
    assert_eq!(acknowledged, WRITES);
}

/// A sync that failed before leaves pages that the next sync takes for written.
#[test]
fn what_an_earlier_process_wrote_is_written_again_before_it_counts() {
    if let Ok(dir) = std::env::var(CHILD) {
        live(Path::new(&dir));
    }
    let (dir, test) = (
        tempfile::tempdir().unwrap(),
        "sync_errors::what_an_earlier_process_wrote_is_written_again_before_it_counts",
    );
    let (data, trace) = (dir.path().join("data"), dir.path().join("trace"));
    let first = run(test, &data, &["-e", "trace=none", "-o", "/dev/null"], &[(END, "1")]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let segments = std::fs::read_dir(data.join("raft/log")).unwrap().map(|file| file.unwrap());
    let newest = segments.filter(|file| file.path().extension().is_some_and(|kind| kind == "wal"));
    let newest = newest.max_by_key(|file| file.path()).unwrap();
    let length = newest.metadata().unwrap().len();
    assert!(length > 0);

    let calls = ["-y", "-e", "trace=write,fsync,fdatasync", "-o", trace.to_str().unwrap()];
    let second = run(test, &data, &calls, &[(STARTS, "1")]);
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    let trace = std::fs::read_to_string(trace).unwrap();
    let name = newest.file_name().into_string().unwrap();
    let mut calls = trace.lines().filter(|line| line.contains(&format!("{name}>")));
    let mut written = 0;
    for call in calls.by_ref().take_while(|call| call.contains(" write(")) {
        written += call.rsplit("= ").next().unwrap().parse::<u64>().unwrap();
        if written >= length {
            break;
        }
    }
    assert_eq!(written, length, "{trace}");
    let then = calls.next().unwrap();
    assert!(then.contains(" fsync(") && then.ends_with("= 0"), "{then}");
}

/// Lets every call from number `when` on fail, as a broken disk would.
fn fails(test: &str, call: &str, when: u32, environment: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let inject = format!("inject={call}:error=EIO:when={when}+");
    let options = ["-e", "trace=fsync,fdatasync,pwrite64", "-e", &inject, "-o", "/dev/null"];
    let output = run(test, dir.path(), &options, environment);
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let ended = output.status.code();
    assert_eq!(ended, Some(FAILED), "{call} {when}: told\n{told}\nerrors\n{errors}");
    assert!(told.contains("Input/output error"), "{call} {when}: {told}\n{errors}");
    assert!(!errors.contains("panicked at"), "{call} {when}: {errors}");
    keeps_all(dir.path(), &told);
}

/// Sees that everything the node acknowledged is there, and that it goes on.
fn keeps_all(dir: &Path, told: &str) {
    let lines = told.lines().filter_map(|line| line.strip_prefix("acknowledged "));
    let acknowledged: BTreeSet<u64> = lines.map(|number| number.parse().unwrap()).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = start(dir).await;
        let there = numbers(&cluster.state());
        assert!(acknowledged.is_subset(&there), "lost something acknowledged of\n{told}");
        put(&cluster, 1_000_000).await.unwrap();
        stop(cluster).await;
    });
}

fn run(test: &str, dir: &Path, options: &[&str], environment: &[(&str, &str)]) -> Output {
    let strace = Command::new("strace")
        .args(["-f", "-qq"])
        .args(options)
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .envs(environment.iter().copied())
        .output();
    strace.expect("this test needs strace: apt-get install strace")
}

/// The node: writes until its disk fails, or until it has done all its writes if it is told to end then.
fn live(dir: &Path) -> ! {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reason = runtime.block_on(async {
        let config = temps_raft::Config { data_dir: dir.into(), peer: None };
        let cluster = match temps_raft::Cluster::start(config).await {
            Ok(cluster) => cluster,
            Err(error) => return chain(&error),
        };
        println!();
        if std::env::var(STARTS).is_ok() {
            std::process::exit(0);
        }
        let (began, long) = (Instant::now(), std::env::var(LONG).is_ok());
        let more = |number: &u64| *number < WRITES || long && began.elapsed() < LONG_TIME;
        for number in (0..).take_while(more) {
            match put(&cluster, number).await {
                Ok(_) => println!("acknowledged {number}"),
                Err(_) => return chain(&cluster.failed().await),
            }
        }
        if std::env::var(END).is_ok() {
            std::process::exit(0);
        }
        chain(&cluster.failed().await)
    });
    println!("{reason}");
    std::process::exit(FAILED)
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(|cause| cause.to_string()).collect::<Vec<_>>().join(": ")
}
