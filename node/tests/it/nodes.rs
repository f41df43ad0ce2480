//! Nodes on the command line: joining, draining, removing; against a server that answers what it is told to.

use serde_json::json;

use crate::support::canned::{Canned, problem};
use crate::support::{Ended, User};

fn shown_node(drained: bool, waits: &[&str]) -> String {
    json!({"id": 7, "name": "n3", "standing": "draining", "drained": drained, "blocked_by": waits,
        "voter": true, "labels": {"zone": "north"}})
    .to_string()
}

#[test]
fn a_token_is_printed_as_the_line_to_run() {
    let made = json!({"id": "jtk_1", "uses": 2, "token": "tj_x",
        "command": "temps join 10.0.0.1:3001 --token tj_x"});
    let server = Canned::serve(vec![("POST /api/nodes/tokens ", 201, made.to_string())]);
    let user = User::new();
    let ended = server.run(&user, &["nodes", "token", "--ttl", "2h", "--uses", "2"]).expect(0);
    assert_eq!(ended.stdout, "temps join 10.0.0.1:3001 --token tj_x\n");
    assert!(ended.stderr.contains("2 nodes join for 2h"), "{ended:?}");
    let sent = server.sent("POST /api/nodes/tokens ");
    assert_eq!(sent, json!({"ttl_seconds": 7_200, "uses": 2}));
    let ended = server.run(&user, &["nodes", "token", "--json"]).expect(0);
    assert_eq!(ended.json(), made);
    server.run(&user, &["nodes", "token", "--ttl", "soon"]).expect_error(2, "no span of time");
    server.run(&user, &["nodes", "token", "--ttl", "0s"]).expect_error(2, "from 10s to 30d");
}

#[test]
fn a_drain_says_what_it_waits_for_and_when_it_is_safe() {
    let server = Canned::serve(vec![
        ("POST /api/nodes/n3/drain ", 200, shown_node(false, &["3 replicas to move"])),
        ("GET /api/nodes/7 ", 200, shown_node(true, &[])),
        ("GET /api/status ", 200, json!({"may_lose": 1, "nodes": [{}, {}, {}]}).to_string()),
    ]);
    let user = User::new();
    let ended = server.run(&user, &["nodes", "drain", "n3"]).expect(0);
    assert!(ended.stderr.contains("node 7 (n3): 3 replicas to move"), "{ended:?}");
    assert!(ended.stdout.contains("safe to stop or remove"), "{ended:?}");
    let ended = server.run(&user, &["nodes", "drain", "n3", "--no-wait"]).expect(0);
    assert_eq!(ended.stdout, "node 7 (n3) drains: 3 replicas to move.\n");
}

#[test]
fn a_drained_node_that_the_quorum_needs_is_not_called_safe_to_stop() {
    let server = Canned::serve(vec![
        ("POST /api/nodes/n3/drain ", 200, shown_node(true, &[])),
        ("GET /api/status ", 200, json!({"may_lose": 0, "nodes": [{}, {}, {}]}).to_string()),
    ]);
    let ended = server.run(&User::new(), &["nodes", "drain", "n3"]).expect(0);
    assert!(ended.stdout.contains("nothing can be changed while it is stopped"), "{ended:?}");
    assert!(!ended.stdout.contains("safe"), "{ended:?}");
}

#[test]
fn nodes_are_listed_labelled_and_removed() {
    let list = format!("{{\"items\": [{}], \"next_cursor\": null}}", shown_node(true, &[]));
    let removed = json!({"id": 7, "name": "n3", "warning": "nothing can be changed"}).to_string();
    let refused = problem(409, "would_lose_quorum", "only 1 of 3 voting nodes would be left");
    let server = Canned::serve(vec![
        ("GET /api/nodes?", 200, list),
        ("PATCH /api/nodes/n3 ", 200, shown_node(true, &[])),
        ("DELETE /api/nodes/n3?force=true ", 200, removed),
        ("DELETE /api/nodes/n3 ", 409, refused),
    ]);
    let user = User::new();
    let ended = server.run(&user, &["nodes"]).expect(0);
    for cell in ["n3", "drained", "voter", "zone=north"] {
        assert!(ended.stdout.contains(cell), "{cell} is missing: {ended:?}");
    }
    server.run(&user, &["nodes", "label", "n3", "zone=north", "disk-"]).expect(0);
    let sent = server.sent("PATCH /api/nodes/n3 ");
    assert_eq!(sent, json!({"labels": {"set": {"zone": "north"}, "unset": ["disk"]}}));
    server.run(&user, &["nodes", "remove", "n3"]).expect_error(1, "only 1 of 3");
    let ended = server.run(&user, &["nodes", "remove", "n3", "--force"]).expect(0);
    assert!(ended.stderr.contains("nothing can be changed"), "{ended:?}");
}

#[test]
fn leaving_drains_and_then_removes_the_node_that_is_talked_to() {
    let nodes = json!([{"id": 7, "name": "n3"}, {"id": 1, "name": "n1"}]);
    let status = |nodes| json!({"node": 7, "nodes": nodes}).to_string();
    let server = Canned::serve(vec![
        ("GET /api/status ", 200, status(nodes)),
        ("POST /api/nodes/7/drain ", 200, shown_node(true, &[])),
        ("DELETE /api/nodes/7 ", 200, json!({"id": 7, "name": "n3"}).to_string()),
    ]);
    let user = User::new();
    let ended = server.run(&user, &["leave", "--yes"]).expect(0);
    assert!(ended.stdout.contains("node 7 (n3) has left"), "{ended:?}");
    let refused = problem(409, "would_lose_quorum", "only 1 of 3 voting nodes would be left");
    let needed = Canned::serve(vec![
        ("GET /api/status ", 200, status(json!([{"id": 7}, {"id": 1}]))),
        ("POST /api/nodes/7/drain ", 200, shown_node(true, &[])),
        ("DELETE /api/nodes/7 ", 409, refused),
        ("POST /api/nodes/7/undrain ", 200, shown_node(false, &[])),
    ]);
    let ended = needed.run(&user, &["leave", "--yes"]);
    let ended = ended.expect_error(1, "only 1 of 3 voting nodes would be left");
    assert!(ended.stderr.contains("takes replicas again"), "{ended:?}");
    let alone = Canned::serve(vec![("GET /api/status ", 200, status(json!([{"id": 7}])))]);
    alone.run(&user, &["leave", "--yes"]).expect_error(1, "the only node");
}

#[test]
fn a_join_that_cannot_be_says_why_and_what_next() {
    let user = User::new();
    let join = |token: &str| {
        let mut command = user.command(&["join", "127.0.0.1:1", "--token", token]);
        command.args(["--http", "127.0.0.1:0", "--https", "off", "--api", "127.0.0.1:0"]);
        command.args(["--peer", "127.0.0.1:0", "--data-dir", "data"]);
        Ended::from(command.output().unwrap())
    };
    join("tj_nonsense").expect_error(2, "temps nodes token");
    let zeros = format!("tj_{}", "A".repeat(86));
    let ended = join(&zeros).expect_error(1, "127.0.0.1:1 cannot be reached");
    assert!(ended.stderr.contains("firewall"), "{ended:?}");
    user.run(&["join", "127.0.0.1:1", "--token", &zeros, "--label", "x"]).expect(2);
}
