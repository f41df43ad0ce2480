//! How the command line finds a node that answers, and what it asks more than one for.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::support::canned::{Canned, problem};
use crate::support::{Ended, User};

/// The address of a server that takes one request after another and hangs up.
fn deaf() -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::new(Mutex::new(0));
    let count = taken.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut line = String::new();
            BufReader::new(stream.unwrap()).read_line(&mut line).unwrap();
            *count.lock().unwrap() += 1;
        }
    });
    (url, taken)
}

/// An address where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn a_refused_connection_names_the_address_and_how_to_start_a_node() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let user = User::new();
    let mut command = user.command(&["status"]);
    command.env("TEMPS_API_URL", &url).env("TEMPS_API_TOKEN", "tk_x");
    let ended = Ended::from(command.output().unwrap()).expect_error(1, &url);
    assert!(ended.stderr.contains("temps serve"), "{ended:?}");
}

#[test]
fn another_node_is_asked_where_one_does_not_answer() {
    let empty = json!({"items": [], "next_cursor": null}).to_string();
    let server = Canned::serve(vec![
        ("GET /api/projects?", 200, empty),
        ("DELETE /api/projects/shop ", 204, String::new()),
    ]);
    let user = User::new();
    let run = |line: &[&str], first: &str| -> Ended {
        let mut command = user.command(line);
        command.env("TEMPS_API_URL", format!("{first},{}", server.url));
        command.env("TEMPS_API_TOKEN", "tk_test").output().unwrap().into()
    };
    let ended = run(&["projects", "list"], NOWHERE).expect(0);
    let told = format!("{NOWHERE} does not answer (Connection refused");
    assert!(ended.stderr.contains(&told) && ended.stderr.contains(&server.url), "{ended:?}");
    run(&["projects", "delete", "shop", "--yes"], NOWHERE).expect(0);
    let ended = run(&["projects", "list", "--json"], NOWHERE).expect(0);
    assert_eq!(ended.stderr, "", "programs are told nothing");

    let ended = user.run(&["projects", "--url", "127.0.0.1:1,127.0.0.1:2"]);
    ended.expect_error(1, "not logged in to http://127.0.0.1:1, http://127.0.0.1:2");
}

#[test]
fn what_a_node_may_have_taken_is_repeated_elsewhere() {
    let empty = json!({"items": [], "next_cursor": null}).to_string();
    let made = json!({"id": "prj_1", "name": "shop"}).to_string();
    let server = Canned::serve(vec![
        ("GET /api/projects?", 200, empty),
        ("POST /api/projects ", 201, made),
        ("DELETE /api/projects/shop ", 204, String::new()),
        ("PATCH /api/nodes/1 ", 200, json!({"id": 1, "name": "one"}).to_string()),
    ]);
    let (url, taken) = deaf();
    let user = User::new();
    let run = |line: &[&str]| -> Ended {
        let mut command = user.command(line);
        command.env("TEMPS_API_URL", format!("{url},{}", server.url));
        command.env("TEMPS_API_TOKEN", "tk_test").output().unwrap().into()
    };
    run(&["projects", "list"]).expect(0);
    run(&["projects", "create", "shop"]).expect(0);
    run(&["projects", "delete", "shop", "--yes"]).expect(0);
    run(&["nodes", "label", "1", "disk=ssd"]).expect(0);
    assert_eq!(*taken.lock().unwrap(), 4);
}

#[test]
fn a_login_keeps_the_addresses_of_several_nodes_and_leaving_asks_the_first_only() {
    let server = |key: &str| {
        let made = json!({"id": "key_1", "key": key}).to_string();
        let status = json!({"node": 1, "nodes": []}).to_string();
        let empty = json!({"items": [], "next_cursor": null}).to_string();
        let session = json!({"csrf_token": "c"}).to_string();
        Canned::serve_with(
            "Set-Cookie: session=abc; HttpOnly\r\n",
            vec![
                ("POST /api/auth/login ", 200, session),
                ("POST /api/api-keys ", 201, made),
                ("GET /api/status ", 200, status),
                ("GET /api/projects?", 200, empty),
            ],
        )
    };
    let (one, user) = (server("tk_1"), User::new());
    let line = ["login", NOWHERE, &one.url, "--email", "a@b", "--password-stdin"];
    let ended = user.run_with_input(&line, "password").expect(0);
    assert!(ended.stderr.contains(&format!("Logged in to {NOWHERE}, {}.", one.url)), "{ended:?}");
    user.run(&["projects", "list"]).expect(0);
    user.run(&["projects", "list", "--url", &one.url]).expect(0);
    user.run(&["leave", "--yes"]).expect_error(1, NOWHERE);
}

#[test]
fn no_quorum_ends_with_4() {
    let text = problem(503, "no_quorum", "more than half of the nodes are gone");
    let server = Canned::serve(vec![("POST /api/projects ", 503, text)]);
    let user = User::new();
    let create = |more: &[&str], seconds: &str| {
        let mut command = user.command(&[&["projects", "create", "shop"], more].concat());
        command.env("TEMPS_API_URL", &server.url).env("TEMPS_API_TOKEN", "tk_test");
        Ended::from(command.env("TEMPS_QUORUM_WAIT", seconds).output().unwrap())
    };
    let ended = create(&[], "2").expect_error(4, "more than half");
    assert_eq!(ended.stderr.matches("trying again").count(), 1, "{ended:?}");
    let tried = server.seen.lock().unwrap().len();
    assert!((2..=3).contains(&tried), "{tried}");
    let ended = create(&["--json"], "0").expect(4);
    let problem: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(problem["code"], "no_quorum");
}
