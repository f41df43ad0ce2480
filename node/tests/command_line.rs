//! The command line as users meet it: help, exit codes, errors; against a server that answers what it is told to.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;
use support::canned::{Canned, problem};
use support::{Ended, User};

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

const VERBS: [&str; 26] = [
    "serve",
    "join",
    "login",
    "logout",
    "deploy",
    "projects",
    "environments",
    "deployments",
    "logs",
    "env",
    "domains",
    "certificates",
    "headers",
    "scale",
    "exec",
    "open",
    "status",
    "nodes",
    "upgrade",
    "leave",
    "apikeys",
    "users",
    "audit",
    "settings",
    "completion",
    "version",
];

#[test]
fn every_verb_has_help_and_the_help_names_every_verb() {
    let user = User::new();
    let all = user.run(&["--help"]).expect(0).stdout;
    for verb in VERBS {
        assert!(all.contains(&format!("\n  {verb} ")), "{verb} is missing:\n{all}");
        let help = user.run(&[verb, "--help"]).expect(0).stdout;
        assert!(help.contains("Usage: temps"), "{help}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let user = User::new();
    for line in [
        &["nonsense"][..],
        &["scale"],
        &["scale", "many"],
        &["deploy", "--git", "u", "--image", "i"],
        &["login", "http://x", "--password-stdin"],
        &["users", "create", "a@b", "--role", "king"],
        &["exec", "-p", "shop"],
    ] {
        user.run(line).expect(2);
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(user.run(&["completion", shell]).expect(0).stdout.contains("deployments"));
    }
}

#[test]
fn the_version_is_told() {
    let user = User::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(user.run(&["version"]).expect(0).stdout, format!("temps {version}\n"));
    let told = user.run(&["version", "--json"]).expect(0).json();
    assert_eq!(told, json!({"version": version, "format": temps_state::FORMAT}));
}

#[test]
fn nobody_is_logged_in_at_first() {
    let user = User::new();
    let ended = user.run(&["projects"]).expect_error(1, "not logged in");
    assert!(ended.stderr.contains("temps login http://127.0.0.1:3000"));
}

#[test]
fn a_project_must_be_known() {
    let server = Canned::serve(vec![]);
    server.run(&User::new(), &["logs"]).expect_error(2, "which project");
}

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
fn what_a_node_may_have_taken_is_repeated_elsewhere_only_where_that_is_safe() {
    let empty = json!({"items": [], "next_cursor": null}).to_string();
    let made = json!({"id": "prj_1", "name": "shop"}).to_string();
    let server = Canned::serve(vec![
        ("GET /api/projects?", 200, empty),
        ("POST /api/projects ", 201, made),
        ("DELETE /api/projects/shop ", 204, String::new()),
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
    assert_eq!(*taken.lock().unwrap(), 3);
    run(&["nodes", "label", "1", "disk=ssd"]).expect_error(1, &url);
    assert_eq!(*taken.lock().unwrap(), 4, "it is sent once");
    assert!(!server.seen.lock().unwrap().iter().any(|request| request.starts_with("PATCH")));
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

#[test]
fn a_refusal_ends_with_1_and_tells_the_servers_hint() {
    let text = json!({"title": "Conflict", "code": "taken", "detail": "the project shop exists already",
        "hint": "choose another name"});
    let server = Canned::serve(vec![("POST /api/projects ", 409, text.to_string())]);
    let ended = server.run(&User::new(), &["projects", "create", "shop"]);
    let ended = ended.expect_error(1, "the project shop exists already");
    assert!(ended.stderr.contains("choose another name"));
}

#[test]
fn a_failed_deployment_ends_with_3_and_says_what_is_kept() {
    let deployment = |phase: &str| {
        json!({"id": "dep_7", "number": 7, "project_name": "shop", "environment_name": "production",
            "phase": phase, "url": "http://shop", "failure": {"code": "build_failed",
            "message": "npm ended with 1", "hint": "run npm run build here", "log_tail": ["boom"]}})
        .to_string()
    };
    let line =
        json!({"at": "2026-01-01T00:00:00Z", "step": "build", "text": "npm ERR!"}).to_string();
    let events = format!("{}\n{}\n", deployment("building"), deployment("failed"));
    let environment = json!({"name": "production", "current": {"number": 6, "phase": "live"}});
    let server = Canned::serve(vec![
        ("GET /api/projects/shop/deployments/dep_7/events", 200, events),
        ("GET /api/projects/shop/deployments/dep_7/logs", 200, format!("{line}\n")),
        ("GET /api/projects/shop/environments/production", 200, environment.to_string()),
        ("GET /api/projects/shop ", 200, json!({"name": "shop"}).to_string()),
        ("POST /api/projects/shop/deployments", 201, deployment("queued")),
    ]);
    let ended = server.run(&User::new(), &["deploy", "--image", "team/shop:2"]);
    let ended = ended.expect_error(3, "deployment 7 of shop failed");
    for part in
        ["npm ERR!", "build_failed", "run npm run build here", "boom", "deployment 6 is live"]
    {
        assert!(ended.stderr.contains(part), "{part} is missing: {ended:?}");
    }
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_live_deployment_ends_with_its_address_alone_on_standard_output() {
    let deployment = |phase: &str| {
        json!({"id": "dep_7", "number": 7, "project_name": "shop", "environment_name": "production",
            "phase": phase, "url": "http://shop-production.localho.st"})
        .to_string()
    };
    let events = format!("{}\n{}\n", deployment("starting"), deployment("live"));
    let server = Canned::serve(vec![
        ("GET /api/projects/shop/deployments/dep_7/events", 200, events),
        ("GET /api/projects/shop/deployments/dep_7/logs", 200, String::new()),
        ("GET /api/projects/shop/deployments/dep_7 ", 200, deployment("live")),
        ("GET /api/status", 200, json!({"edge": {"applied_index": 9}}).to_string()),
        ("POST /api/projects/shop/deployments", 201, deployment("queued")),
        ("POST /api/projects ", 201, json!({"name": "shop"}).to_string()),
        ("POST /api/uploads", 201, json!({"digest": "abc", "bytes": 1}).to_string()),
    ]);
    let user = User::new();
    let folder = user.home().join("shop");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "hi").unwrap();
    let ended = server.run(&user, &["deploy", "shop"]).expect(0);
    assert_eq!(ended.stdout, "http://shop-production.localho.st\n");
    for part in ["Created project shop.", "Uploaded 1 file,", "ok start", "ok switch"] {
        assert!(ended.stderr.contains(part), "{part} is missing: {ended:?}");
    }
    assert!(folder.join(".temps/project.json").exists());
    let ended = server.run(&user, &["deploy", "shop", "--json"]).expect(0);
    assert_eq!(ended.json()["phase"], "live");
}

#[test]
fn lists_are_read_page_after_page() {
    let page = |name: &str, cursor: serde_json::Value| {
        json!({"items": [{"name": name}], "next_cursor": cursor}).to_string()
    };
    let server = Canned::serve(vec![
        ("GET /api/projects?limit=100 ", 200, page("one", json!("c1"))),
        ("GET /api/projects?limit=100&cursor=c1 ", 200, page("two", json!(null))),
    ]);
    let ended = server.run(&User::new(), &["projects", "list"]).expect(0);
    assert!(ended.stdout.contains("one") && ended.stdout.contains("two"), "{ended:?}");
    assert_eq!(server.seen.lock().unwrap().len(), 2);
}

#[test]
fn deleting_needs_a_confirmation() {
    let users = json!({"items": [{"id": "usr_1", "email": "a@b.c"}]}).to_string();
    let server = Canned::serve(vec![
        ("DELETE /api/projects/shop ", 204, String::new()),
        ("DELETE /api/projects/shop/environments/x ", 204, String::new()),
        ("DELETE /api/users/usr_1 ", 204, String::new()),
        ("GET /api/users", 200, users),
    ]);
    let user = User::new();
    for (line, what) in [
        (&["projects", "delete", "shop"][..], "deleting project shop needs a confirmation"),
        (&["environments", "-p", "shop", "delete", "x"], "deleting environment x needs"),
        (&["users", "delete", "a@b.c"], "deleting user a@b.c needs a confirmation"),
    ] {
        let refused = server.run(&user, line).expect_error(2, what);
        assert!(refused.stderr.contains("would be lost") && refused.stderr.contains("--yes"));
        assert!(!server.seen.lock().unwrap().iter().any(|seen| seen.starts_with("DELETE")));
    }
    for line in [&["projects", "delete", "shop"][..], &["users", "delete", "a@b.c"]] {
        server.run(&user, &[line, &["--yes"]].concat()).expect(0);
    }
}

#[test]
fn a_project_is_changed_where_it_is_told_to_and_stays_otherwise() {
    let repository = json!({"url": "https://host/a.git", "branch": "main", "directory": "web"});
    let project = json!({"name": "shop", "repository": repository, "previews": true}).to_string();
    let server = Canned::serve(vec![
        ("GET /api/projects/shop ", 200, project.clone()),
        ("PATCH /api/projects/shop ", 200, project),
    ]);
    let user = User::new();
    let shown = server.run(&user, &["projects", "set", "shop", "--branch", "release"]).expect(0);
    assert!(shown.stdout.contains("https://host/a.git (branch main, folder web)"), "{shown:?}");
    let sent = server.sent("PATCH");
    assert_eq!(sent["repository"]["branch"], "release");
    assert_eq!(sent["repository"]["directory"], "web");
    assert_eq!(sent["previews"], json!(null));
    let mut keyed = user.command(&["projects", "set", "shop", "--deploy-key", "-"]);
    keyed.env("TEMPS_API_URL", &server.url).env("TEMPS_API_TOKEN", "tk_x");
    let mut child = keyed.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"KEY\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(server.sent("PATCH")["repository"]["deploy_key"], "KEY\n");
    server.run(&user, &["projects", "set", "shop"]).expect(2);
}

#[test]
fn a_queued_deployment_says_what_it_waits_for() {
    let event = |phase: &str, ahead: Option<u64>| {
        let queue = ahead.map(|ahead| json!({"ahead": ahead}));
        json!({"id": "dep_7", "number": 7, "project_name": "shop", "phase": phase, "queue": queue})
            .to_string()
    };
    let events = [("queued", Some(2)), ("queued", Some(1)), ("building", None), ("live", None)];
    let events = events.map(|(phase, ahead)| event(phase, ahead)).join("\n");
    let server = Canned::serve(vec![
        ("GET /api/projects/shop/deployments/dep_7/events", 200, events),
        ("GET /api/projects/shop/deployments/dep_7 ", 200, event("live", None)),
        ("GET /api/projects/shop ", 200, json!({"name": "shop"}).to_string()),
        ("POST /api/projects/shop/deployments", 201, event("queued", Some(2))),
    ]);
    let ended = server.run(&User::new(), &["deploy", "--image", "i", "-p", "shop"]).expect(0);
    let lines = "  waiting for a build slot (2 builds are ahead)\n  waiting for a build slot (1 build is ahead)\nok queue";
    assert!(ended.stderr.contains(lines), "{ended:?}");
}

#[test]
fn git_without_a_url_deploys_the_projects_repository() {
    let server = Canned::serve(vec![
        ("GET /api/projects/shop ", 200, json!({"name": "shop"}).to_string()),
        ("POST /api/projects/shop/deployments", 201, json!({"number": 1}).to_string()),
    ]);
    let user = User::new();
    let line = ["deploy", "--no-wait", "-p", "shop", "--git", "--branch", "next"];
    server.run(&user, &line).expect(0);
    let source = &server.sent("POST")["source"];
    assert_eq!((&source["url"], &source["branch"]), (&json!(null), &json!("next")));
    server.run(&user, &["deploy", "-p", "nowhere", "--git"]).expect(1);
    assert_eq!(server.seen.lock().unwrap().last().unwrap(), "GET /api/projects/nowhere HTTP/1.1\n");
    server.run(&user, &["deploy", "--git"]).expect_error(2, "which project");
}

#[test]
fn a_folder_in_a_work_tree_is_deployed_with_its_commit() {
    let server = Canned::serve(vec![
        ("GET /api/projects/shop ", 200, json!({"name": "shop"}).to_string()),
        ("POST /api/uploads", 201, json!({"digest": "abc", "bytes": 1}).to_string()),
        ("POST /api/projects/shop/deployments", 201, json!({"number": 1}).to_string()),
    ]);
    let user = User::new();
    let folder = user.home().join("shop");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "hi").unwrap();
    let deploy = || server.run(&user, &["deploy", "shop", "-p", "shop", "--no-wait"]).expect(0);
    deploy();
    assert_eq!(server.sent("POST /api/projects")["revision"], json!(null));
    for line in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &["-c", "user.name=Ann", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "One page"],
    ] {
        let git = Command::new("git").args(line).current_dir(&folder).status().unwrap();
        assert!(git.success(), "{line:?}");
    }
    deploy();
    let revision = &server.sent("POST /api/projects")["revision"];
    assert_eq!((&revision["branch"], &revision["message"]), (&json!("main"), &json!("One page")));
    assert_eq!(revision["commit"].as_str().unwrap().len(), 40);
}

#[test]
fn a_secret_comes_from_standard_input_and_is_not_repeated() {
    let server = Canned::serve(vec![(
        "PUT /api/projects/shop/environments/production/env-vars",
        200,
        json!({"items": []}).to_string(),
    )]);
    let user = User::new();
    let mut command = user.command(&["env", "set", "--secret", "KEY=-", "-p", "shop"]);
    command.env("TEMPS_API_URL", &server.url).env("TEMPS_API_TOKEN", "tk_x");
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hunter2\n").unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap()).expect(0);
    assert!(!format!("{ended:?}").contains("hunter2"));
    let wrong = server.run(&user, &["env", "set", "A=-", "B=-", "-p", "shop"]);
    wrong.expect_error(2, "standard input");
}

#[test]
fn log_lines_are_printed_as_they_come_and_as_json_lines() {
    let line = |text: &str| {
        json!({"at": "2026-01-01T00:00:00Z", "replica": "rep_0abcdefgh", "stream": "stdout", "text": text}).to_string()
    };
    let lines = format!("{}\n{}\n", line("one"), line("two"));
    let server = Canned::serve(vec![(
        "GET /api/projects/shop/environments/production/logs?follow=false",
        200,
        lines,
    )]);
    let user = User::new();
    let ended = server.run(&user, &["logs", "-p", "shop"]).expect(0);
    assert_eq!(ended.stdout, "abcdefgh | one\nabcdefgh | two\n");
    let ended = server.run(&user, &["logs", "-p", "shop", "--json", "--since", "10m"]).expect(0);
    assert_eq!(ended.stdout.lines().count(), 2);
    server.run(&user, &["logs", "-p", "shop", "--since", "soon"]).expect_error(2, "--since soon");
}

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
