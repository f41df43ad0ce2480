//! `temps upgrade` as users meet it, against a server that answers what it is told to.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::User;
use crate::support::canned::{Canned, problem};

/// What the file says that is no binary, and its SHA-256.
const TEXT: &str = "new";
const DIGEST: &str = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437";
const LINE: [&str; 3] = ["upgrade", "--binary", "next"];

/// Somebody with a binary in the home folder.
fn user() -> User {
    let user = User::new();
    std::fs::write(user.home().join("next"), TEXT).unwrap();
    user
}

/// A cluster of one node.
fn whole() -> Value {
    json!({"quorum": true, "leader": 1, "nodes": [{"id": 1, "name": "n1", "lag": 0, "leader": true}]})
}

fn runs(binary: &str, target: Option<&str>, last: Value) -> String {
    let stage = if target.is_some() { "preparing" } else { "idle" };
    let version = "1.0.0";
    json!({"binary": binary, "version": version, "format": 2, "stage": stage, "target": target, "last": last})
        .to_string()
}

fn last(binary: &str, warning: Value) -> Value {
    json!({"binary": binary, "at": "2026-01-01T00:00:00Z", "failure": null, "warning": warning})
}

#[test]
fn what_is_left_to_do_by_hand_is_said() {
    let warning = json!({"code": "not_installed", "why": "no room", "hint": "install it"});
    let server = Canned::serve(vec![
        ("GET /api/status ", 200, whole().to_string()),
        ("POST /api/binaries/", 201, json!({"digest": DIGEST, "bytes": 3}).to_string()),
        ("GET /api/nodes/1/upgrade?", 200, runs(DIGEST, None, last(DIGEST, warning))),
    ]);
    let ended = server.run(&user(), &LINE).expect(0);
    assert!(ended.stderr.contains("warning: node 1 (n1): no room. install it"), "{ended:?}");
    assert_eq!(ended.stdout, "The node runs temps 1.0.0.\n");
    assert_eq!(server.count("POST /api/nodes/1/upgrade "), 0, "it runs the binary already");
}

#[test]
fn another_upgrade_is_left_alone() {
    let under_way = |upgrade: String| {
        let refused = problem(409, "upgrade_under_way", "the node is just taking another binary");
        Canned::serve(vec![
            ("GET /api/status ", 200, whole().to_string()),
            ("POST /api/binaries/", 201, json!({"digest": DIGEST, "bytes": 3}).to_string()),
            ("POST /api/nodes/1/upgrade ", 409, refused),
            ("GET /api/nodes/1/upgrade?", 200, upgrade),
        ])
    };
    for (target, asked) in [(Some("other"), 0), (None, 1)] {
        let server = under_way(runs("old", target, Value::Null));
        let ended = server.run(&user(), &LINE).expect_error(1, "another upgrade is under way");
        assert!(ended.stderr.contains("nothing is put back"), "{ended:?}");
        assert_eq!(server.count("POST /api/nodes/1/upgrade "), asked, "{target:?}");
    }
}

#[test]
fn a_node_that_takes_the_same_binary_already_is_waited_for() {
    let server = Canned::serve(vec![
        ("GET /api/status ", 200, whole().to_string()),
        ("POST /api/binaries/", 201, json!({"digest": DIGEST, "bytes": 3}).to_string()),
        ("POST /api/nodes/1/upgrade ", 202, runs("old", Some(DIGEST), Value::Null)),
        ("GET /api/nodes/1/upgrade?", 200, runs("old", Some(DIGEST), Value::Null)),
    ]);
    let user = user();
    let mut child = server.command(&user, &LINE).spawn().unwrap();
    while server.count("GET /api/nodes/1/upgrade?") < 5 {
        assert!(child.try_wait().unwrap().is_none(), "it waits");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(server.count("POST /api/nodes/1/upgrade "), 1);
}

#[test]
fn what_is_waited_for_is_said() {
    let mut status = whole();
    let lost = json!({"id": 2, "name": "n2", "lost_since": "2026-01-01T00:00:00Z"});
    status["nodes"].as_array_mut().unwrap().push(lost);
    let server = Canned::serve(vec![("GET /api/status ", 200, status.to_string())]);
    let user = user();
    let mut command = server.command(&user, &LINE);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said.trim(), "waiting: node 2 (n2) is lost");
}

#[test]
fn a_node_whose_process_just_ends_is_asked_again() {
    let server = Canned::serve(vec![
        ("GET /api/status ", 200, whole().to_string()),
        ("GET /api/nodes/1/upgrade?", 200, runs("old", None, Value::Null)),
        ("POST /api/binaries/", 503, problem(503, "stopped", "the node stops")),
    ]);
    let user = user();
    let mut command = server.command(&user, &LINE);
    let ended =
        crate::support::Ended::from(command.env("TEMPS_QUORUM_WAIT", "2").output().unwrap());
    let ended = ended.expect_error(1, "the node stops");
    assert!(ended.stderr.contains("the node's process just ends"), "{ended:?}");
    assert!(server.count("POST /api/binaries/") > 1, "{ended:?}");
}
