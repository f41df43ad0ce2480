//! Whole runs of `temps-chaos`, short ones: whatever was broken, every promise is kept. The seeds are fixed, so that the
//! same faults are made each time; other seeds are for `just chaos`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

/// For how long faults are made.
const MINUTES: &str = "1.5";

/// Makes a run. Its history and page are kept if a promise was not, and where they are is said.
async fn every_promise_is_kept(name: &str, arguments: &[&str]) {
    // Each try has a folder of its own, so that the next one does not take away what was found.
    let attempt = env::var("NEXTEST_ATTEMPT").unwrap_or_else(|_| "1".into());
    let runs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("runs");
    let folder = runs.join(format!("{name}-{attempt}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("what was kept of the run before can be removed");
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_temps-chaos"));
    program.args(["run", "--minutes", MINUTES, "--out"]).arg(&folder).args(arguments);
    let made = program.stdin(Stdio::null()).kill_on_drop(true).status().await;
    let made = made.expect("the program was built along with this one");
    assert!(made.success(), "{made}; the page is {}", folder.join("report.html").display());
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[tokio::test]
async fn three_nodes_keep_every_promise_whatever_breaks() {
    every_promise_is_kept("three", &["--nodes", "3", "--seed", "11"]).await;
}

#[tokio::test]
async fn five_nodes_keep_every_promise_whatever_breaks() {
    every_promise_is_kept("five", &["--nodes", "5", "--seed", "5"]).await;
}

#[tokio::test]
async fn three_nodes_keep_every_promise_when_their_leader_their_links_and_the_authority_fail() {
    let faults = "kill-leader,leader-alone,loss,authority-fails";
    every_promise_is_kept("leader", &["--nodes", "3", "--seed", "3", "--nemesis", faults]).await;
}
