//! The command line as users meet it: help, exit codes, errors; against a server that answers what it is told to.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::canned::Canned;
use crate::support::{Ended, User};

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
fn a_dry_run_shows_what_would_be_built_and_makes_nothing() {
    let detection = json!({
        "preset": "static", "reasons": ["there is index.html"],
        "output": {"type": "static", "directory": ""},
    });
    let server = Canned::serve(vec![
        ("POST /api/uploads", 201, json!({"digest": "abc", "bytes": 1}).to_string()),
        ("POST /api/detections", 200, detection.to_string()),
    ]);
    let user = User::new();
    let folder = user.home().join("My Shop!");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "hi").unwrap();
    let folder = folder.to_str().unwrap();
    let ended = server.run(&user, &["deploy", "--dry-run", folder]).expect(0);
    assert!(ended.stdout.contains("because   there is index.html"), "{ended:?}");
    let json = server.run(&user, &["deploy", "--dry-run", "--json", folder]).expect(0);
    assert!(json.stdout.contains("\"preset\": \"static\""), "{json:?}");
    let source = json!({"type": "upload", "digest": "abc"});
    assert_eq!(server.sent("POST /api/detections")["source"], source);
    let url = ["deploy", "--dry-run", "--git", "https://h/team/app.git", "--branch", "next"];
    server.run(&user, &url).expect(0);
    let sent = server.sent("POST /api/detections");
    assert_eq!((&sent["project"], &sent["source"]["branch"]), (&json!(null), &json!("next")));
    let asked = server.seen.lock().unwrap().join("");
    assert!(!asked.contains("POST /api/projects"), "{asked}");
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
