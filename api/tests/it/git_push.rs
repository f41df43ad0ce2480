//! The node as a Git server, with the real git.
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::json;
use temps_state::Source;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::common::{PASSWORD, TestNode};

fn git(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args([
            "-c",
            "user.name=Ann",
            "-c",
            "user.email=ann@example.com",
            "-c",
            "protocol.version=2",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap()
}

#[track_caller]
fn done(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// A repository with one page, and a remote `temps` with the credentials.
fn site(node: &TestNode, user: &str, password: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    done(git(folder.path(), &["init", "--quiet", "--initial-branch=main"]));
    commit(folder.path(), "<h1>one</h1>", "The first page\n\nwith more");
    let host = node.url.trim_start_matches("http://");
    let remote = format!("http://{user}:{password}@{host}/git/shop.git");
    done(git(folder.path(), &["remote", "add", "temps", &remote]));
    folder
}

fn commit(folder: &Path, page: &str, message: &str) {
    std::fs::write(folder.join("index.html"), page).unwrap();
    done(git(folder, &["add", "."]));
    done(git(folder, &["commit", "--quiet", "-m", message]));
}

async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let folder = folder.to_path_buf();
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || git(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_project_that_is_not_there_says_how_to_make_it() {
    let node = TestNode::start().await;
    let folder = site(&node, "anybody", &node.key);
    let refused = run(folder.path(), &["push", "temps", "main"]).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(told.contains("remote: there is no project shop"), "{told}");
    assert!(told.contains("remote: temps projects create shop"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_deployed_and_the_pusher_sees_how_it_goes() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let folder = site(&node, "anybody", &node.key);
    let shown = done(run(folder.path(), &["push", "temps", "main"]).await);
    assert!(shown.contains("remote: deployment #1 of shop, production"), "{shown}");
    assert!(shown.contains("remote: live at http://shop-production.localho.st:8080"), "{shown}");
    let deployment = node.get("/api/projects/shop/deployments/1").await.ok();
    assert_eq!(deployment["phase"], "live", "{deployment}");
    assert_eq!(deployment["artifact"]["type"], "static");
    assert_eq!(deployment["revision"]["message"], "The first page");
    assert_eq!(deployment["revision"]["author"], "Ann");
    let log = node.get("/api/projects/shop/deployments/1/logs").await.text;
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = line["text"].as_str().unwrap();
        assert!(shown.contains(text.trim_end()), "`{text}` is missing in {shown}");
    }
    let shown = done(run(folder.path(), &["push", "temps", "main"]).await);
    assert!(shown.contains("up-to-date"), "{shown}");
    assert_eq!(node.cluster.state().deployments.len(), 1);
    commit(folder.path(), "<h1>two</h1>", "The second page");
    done(run(folder.path(), &["commit", "--amend", "--quiet", "-m", "Rewritten"]).await);
    done(run(folder.path(), &["push", "--force", "temps", "main"]).await);
    let second = node.get("/api/projects/shop/deployments/2").await.ok();
    assert_eq!(
        (&second["phase"], &second["revision"]["message"]),
        (&json!("live"), &json!("Rewritten"))
    );
    let back = node.post("/api/projects/shop/deployments/1/rollback", json!({})).await;
    assert_eq!(back.status, 202, "{}", back.text);
    node.eventually("the rollback", |cluster| {
        let state = cluster.state();
        let live = state.deployments.values().find(|d| d.number == 1)?;
        (live.phase.name() == "live").then_some(())
    })
    .await;
    let copy = tempfile::tempdir().unwrap();
    let url =
        format!("http://x:{}@{}/git/shop.git", node.key, node.url.trim_start_matches("http://"));
    done(run(copy.path(), &["clone", "--quiet", &url, "copy"]).await);
    let page = std::fs::read_to_string(copy.path().join("copy/index.html")).unwrap();
    assert_eq!(page, "<h1>two</h1>");
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_have_previews_where_the_project_wants_them() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let folder = site(&node, "anybody", &node.key);
    let shown = done(run(folder.path(), &["push", "temps", "main:feature/x"]).await);
    assert!(shown.contains("remote: not deployed: branch `feature/x`"), "{shown}");
    node.patch("/api/projects/shop", json!({"previews": true})).await.ok();
    commit(folder.path(), "<h1>x</h1>", "x");
    let shown =
        done(run(folder.path(), &["push", "temps", "main:feature/x", "main:refs/tags/v1"]).await);
    assert!(shown.contains("live at http://shop-feature-x.localho.st:8080"), "{shown}");
    let shown = done(run(folder.path(), &["push", "temps", ":feature/x"]).await);
    assert!(shown.contains("the preview environment of feature/x is deleted"), "{shown}");
    node.get("/api/projects/shop/environments/feature-x").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_projects_folder_is_deployed() {
    let node = TestNode::start().await;
    let repository =
        json!({"url": "https://localhost:1/a.git", "branch": "release", "directory": "web"});
    node.post("/api/projects", json!({"name": "shop", "repository": repository})).await.ok();
    let folder = site(&node, "anybody", &node.key);
    std::fs::create_dir(folder.path().join("web")).unwrap();
    std::fs::write(folder.path().join("web/index.html"), "<h1>web</h1>").unwrap();
    std::fs::write(folder.path().join("web/.gitattributes"), "index.html export-ignore\n").unwrap();
    done(run(folder.path(), &["add", "."]).await);
    done(run(folder.path(), &["commit", "--quiet", "-m", "web"]).await);
    done(run(folder.path(), &["push", "temps", "main:release"]).await);
    let state = node.cluster.state();
    let deployment = state.deployments.values().next().unwrap();
    let Source::Upload { digest } = &deployment.source else { panic!("{deployment:?}") };
    let archive = std::fs::read(node.builder.uploads().path(digest)).unwrap();
    let listed = Command::new("tar")
        .arg("tz")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut listed = listed.unwrap();
    std::io::Write::write_all(&mut listed.stdin.take().unwrap(), &archive).unwrap();
    let listed = String::from_utf8(listed.wait_with_output().unwrap().stdout).unwrap();
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(names, [".gitattributes", "index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_cannot_be_built_says_why() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let folder = site(&node, "anybody", &node.key);
    std::fs::write(folder.path().join("temps.json"), r#"{"prot": 80}"#).unwrap();
    commit(folder.path(), "<h1>one</h1>", "wrong key");
    let shown = done(run(folder.path(), &["push", "temps", "main"]).await);
    assert!(shown.contains("remote: failed: "), "{shown}");
    assert!(shown.contains("prot"), "{shown}");
    let made = node.get("/api/projects/shop/deployments/1").await.ok();
    assert_eq!(made["failure"]["code"], "config_invalid", "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_readers_push_nothing() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let reader = node.user_key("reader").await;
    node.user_key("user").await;
    let push = async |user: &str, password: &str| {
        let folder = site(&node, user, password);
        run(folder.path(), &["push", "temps", "main"]).await
    };
    let refused = push("anybody", "tk_wrong").await;
    assert!(!refused.status.success());
    let refused = push("anybody", &reader).await;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("`deploy`") && text.contains("403"), "{text}");
    done(push("user%40example.com", PASSWORD).await);
    let folder = site(&node, "x", &node.key);
    let url =
        format!("http://x:{}@{}/git/nowhere.git", node.key, node.url.trim_start_matches("http://"));
    done(run(folder.path(), &["remote", "set-url", "temps", &url]).await);
    let none = run(folder.path(), &["push", "temps", "main"]).await;
    let text = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(text.contains("there is no project nowhere"), "{text}");
    let dumb = node.get("/git/shop.git/info/refs").await;
    assert_eq!(dumb.status, 422, "the dumb protocol is not served");
    assert!(dumb.text.contains("too old"), "{}", dumb.text);
}

/// The git processes that work in a folder.
fn git_processes_in(folder: &Path) -> usize {
    let folder = folder.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let folders = processes.filter_map(|process| process.path().join("cwd").read_link().ok());
    folders.filter(|cwd| cwd.starts_with(&folder)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_stalls_does_not_outlive_the_api() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let stop = CancellationToken::new();
    let (address, api) = node.serve_until(stop.clone()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let command = format!("{} {} refs/heads/main\0", "0".repeat(40), "1".repeat(40));
    let body = format!("{:04x}{command}0000", command.len() + 4);
    let authorization = format!("Authorization: Bearer {}", node.key);
    // The pack that should follow never comes.
    let request = format!(
        "POST /git/shop.git/git-receive-pack HTTP/1.1\r\nHost: n\r\n{authorization}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 9999\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    client.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    assert_eq!(git_processes_in(node.folder.path()), 1);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), api).await.unwrap().unwrap().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while git_processes_in(node.folder.path()) > 0 {
        assert!(Instant::now() < deadline, "git goes on without its node");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
