//! What would be built of a source, before anything is.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::TestNode;

/// An archive of files, as a client packs it.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Command::new("tar").args(["-cz", "-C"]).arg(folder.path()).arg(".").output().unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_looked_at_with_its_reasons_and_nothing_is_built() {
    let node = TestNode::start().await;
    let detect = |body: Value| node.post("/api/detections", body);
    let uploaded = async |files: &[(&str, &str)]| {
        let upload = node.upload(archive(files), "application/gzip").await.ok();
        detect(json!({"source": {"type": "upload", "digest": upload["digest"]}})).await
    };
    let package =
        r#"{"dependencies": {"express": "4"}, "scripts": {"build": "tsc", "start": "node ."}}"#;
    let lock = ("package-lock.json", "{}");
    let app = uploaded(&[("package.json", package), lock]).await.ok();
    assert_eq!((&app["preset"], &app["port"]), (&json!("node"), &json!(3000)), "{app}");
    assert_eq!(app["reasons"][0], "package.json has the script `start`");
    let commands = &app["commands"];
    assert!(commands["install"][0].as_str().unwrap().starts_with("npm ci "), "{commands}");
    assert_eq!(commands["build"], json!(["npm run build"]));
    assert_eq!(commands["start"], "node .");
    assert_eq!(
        (&app["output"]["type"], &app["dockerfile"]["type"]),
        (&json!("image"), &json!("written"))
    );
    let site = uploaded(&[("index.html", "hi")]).await.ok();
    assert_eq!(site["output"], json!({"type": "static", "directory": "", "single_page": false}));
    assert_eq!((&site["port"], &site["dockerfile"]), (&Value::Null, &Value::Null));
    let unknown = uploaded(&[("notes.txt", "hi")]).await.problem(422, "preset_not_found");
    assert!(unknown["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{unknown}");
    uploaded(&[("temps.json", "{")]).await.problem(422, "config_invalid");
    let missing = json!({"source": {"type": "upload", "digest": "a".repeat(64)}});
    detect(missing).await.problem(404, "not_found");
    let image = json!({"source": {"type": "image", "reference": "nginx"}});
    detect(image).await.problem(422, "invalid");
    detect(json!({"source": {"type": "git"}})).await.problem(422, "invalid");
    assert_eq!(node.get("/api/projects").await.ok()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_looked_at_with_the_commit_that_is_deployed_then() {
    let node = TestNode::start().await;
    let repository = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b.c"]).args(args);
        assert!(git.current_dir(repository.path()).status().unwrap().success(), "{args:?}");
    };
    std::fs::create_dir(repository.path().join("site")).unwrap();
    std::fs::write(repository.path().join("site/index.html"), "hi").unwrap();
    git(&["init", "--quiet", "--initial-branch=trunk"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "One page"]);
    let url = format!("file://{}", repository.path().display());
    let detect = |source: Value| node.post("/api/detections", json!({"source": source}));
    let site = detect(json!({"type": "git", "url": url, "directory": "site"})).await.ok();
    assert_eq!((&site["preset"], &site["revision"]["branch"]), (&json!("static"), &json!("trunk")));
    assert_eq!(site["revision"]["commit"].as_str().unwrap().len(), 40);
    let folder = detect(json!({"type": "git", "url": url, "directory": "none"})).await;
    folder.problem(422, "source_not_found");
    let branch = detect(json!({"type": "git", "url": url, "branch": "nope"})).await;
    assert!(branch.problem(422, "revision_not_found")["hint"].as_str().unwrap().contains("trunk"));
    let nowhere = detect(json!({"type": "git", "url": "file:///nowhere/a.git"})).await;
    nowhere.problem(422, "source_not_found");
}
