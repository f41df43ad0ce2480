//! The command line as users meet it: help, exit codes, errors; against a server that answers what it is told to.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;
use support::{Ended, User};

/// Answers by the first entry whose text the request line begins with.
type Answers = Vec<(&'static str, u16, String)>;

/// A server of fixed answers, for what a healthy node never says.
struct Canned {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    fn serve(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        // The thread ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let line = answer(stream.unwrap(), &answers);
                log.lock().unwrap().push(line);
            }
        });
        Self { url, seen }
    }

    fn run(&self, user: &User, arguments: &[&str]) -> Ended {
        let mut command = user.command(arguments);
        command.env("TEMPS_API_URL", &self.url).env("TEMPS_API_TOKEN", "tk_test");
        command.output().unwrap().into()
    }
}

fn answer(stream: TcpStream, answers: &Answers) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let found = answers.iter().find(|(start, _, _)| request.starts_with(start));
    let (status, body) = found.map_or((404, "{}"), |(_, status, body)| (*status, body.as_str()));
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    reader.get_mut().write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    request.trim().into()
}

fn problem(status: u16, code: &str, detail: &str) -> String {
    json!({"title": "Refused", "status": status, "code": code, "detail": detail}).to_string()
}

const VERBS: [&str; 19] = [
    "serve",
    "login",
    "logout",
    "deploy",
    "projects",
    "environments",
    "deployments",
    "logs",
    "env",
    "scale",
    "exec",
    "open",
    "status",
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
    assert_eq!(user.run(&["version", "--json"]).expect(0).json(), json!({"version": version}));
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
fn no_quorum_ends_with_4() {
    let text = problem(503, "no_quorum", "more than half of the nodes are gone");
    let server = Canned::serve(vec![("POST /api/projects ", 503, text)]);
    let user = User::new();
    server.run(&user, &["projects", "create", "shop"]).expect_error(4, "more than half");
    let ended = server.run(&user, &["projects", "create", "shop", "--json"]).expect(4);
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
    let server = Canned::serve(vec![("DELETE /api/projects/shop ", 204, String::new())]);
    let user = User::new();
    server.run(&user, &["projects", "delete", "shop"]).expect_error(2, "confirmation");
    server.run(&user, &["projects", "delete", "shop", "--yes"]).expect(0);
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
