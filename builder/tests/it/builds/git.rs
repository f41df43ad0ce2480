//! Checkouts of real repositories.

use std::path::{Path, PathBuf};
use std::process::Command;

use temps_builder::BuildError;
use temps_state::{Built, FailureCode, Source};

use super::bench::{Bench, request};

struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(["-c", "protocol.file.allow=always"])
            .args(args)
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().into()
    }

    /// Commits a file and gives the commit.
    fn commit(&self, path: &str, text: &str) -> String {
        let file: PathBuf = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", &format!("write {text}\n\nat length")]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn source(&self, branch: Option<&str>, commit: Option<&str>, directory: &str) -> Source {
        Source::Git {
            url: format!("file://{}", self.path().display()),
            branch: branch.map(Into::into),
            commit: commit.map(Into::into),
            directory: directory.into(),
        }
    }
}

async fn build(bench: &Bench, source: Source) -> Result<Built, BuildError> {
    bench.run(request(source)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_a_tag_or_a_commit_is_checked_out() {
    let bench = Bench::new();
    let repository = Repository::new();
    let first = repository.commit("index.html", "one");
    repository.git(&["tag", "v1"]);
    let second = repository.commit("index.html", "two");
    repository.git(&["checkout", "--quiet", "-b", "feature/x"]);
    let third = repository.commit("index.html", "three");
    repository.git(&["checkout", "--quiet", "main"]);

    for (branch, commit, expected, on) in [
        (None, None, &second, Some("main")),
        (Some("feature/x"), None, &third, Some("feature/x")),
        (Some("v1"), None, &first, Some("v1")),
        (None, Some(first.as_str()), &first, None),
        (Some("main"), Some(&first[..8]), &first, Some("main")),
    ] {
        let built = build(&bench, repository.source(branch, commit, "")).await.unwrap();
        let revision = built.revision.unwrap();
        assert_eq!(&revision.commit, expected);
        assert_eq!(revision.branch.as_deref(), on);
        assert_eq!(revision.author, "Ada");
        assert!(revision.message.starts_with("write ") && !revision.message.contains("length"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_repository_and_its_submodules_are_built() {
    let bench = Bench::new();
    let inner = Repository::new();
    inner.commit("inner.txt", "inner");
    let outer = Repository::new();
    outer.commit("site/index.html", "outer");
    let url = format!("file://{}", inner.path().display());
    outer.git(&["submodule", "--quiet", "add", &url, "site/module"]);
    outer.git(&["commit", "--quiet", "-m", "module"]);
    let built = build(&bench, outer.source(None, None, "site")).await.unwrap();
    let temps_state::Artifact::Static { digest, .. } = built.artifact else { panic!() };
    let manifest = bench.data().join("static").join(digest).join("manifest.json");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("/index.html") && manifest.contains("/module/inner.txt"));
    assert!(!manifest.contains(".git"), "{manifest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let bench = Bench::new();
    let repository = Repository::new();
    repository.commit("index.html", "one");
    let code = FailureCode::RevisionNotFound;
    for (branch, commit) in
        [(Some("nope"), None), (None, Some("0123456789abcdef")), (Some("a b"), None)]
    {
        let source = repository.source(branch, commit, "");
        let error = build(&bench, source).await.unwrap_err();
        assert_eq!(error.failure(vec![]).code, code, "{error}");
    }
    let error = build(&bench, repository.source(Some("nope"), None, "")).await.unwrap_err();
    assert!(error.failure(vec![]).hint.contains("main"), "it lists the branches");
    bench.fails(repository.source(Some("nope"), None, ""), code, &["branch `nope`"]).await;
    let code = FailureCode::SourceNotFound;
    bench.fails(repository.source(None, None, "apps/x"), code, &["apps/x"]).await;
}

/// Answers every request with one status.
fn server(status: &'static str) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:hunter2000@{}/team/app.git", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let head = "Content-Length: 0\r\nConnection: close\r\nWWW-Authenticate: Basic realm=x";
            let _ = write!(stream, "HTTP/1.1 {status}\r\n{head}\r\n\r\n");
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_or_private_is_named_without_its_password() {
    let bench = Bench::new();
    let git = |url: &str| Source::Git {
        url: url.into(),
        branch: None,
        commit: None,
        directory: String::new(),
    };
    let code = FailureCode::SourceNotFound;
    bench.fails(git("file:///no/such/repository"), code, &["/no/such/repository"]).await;
    bench.fails(git("ext::sh -c id"), code, &["not a Git URL"]).await;
    bench.fails(git("http://127.0.0.1:1/a.git"), code, &["cannot be reached"]).await;
    bench.fails(git("ssh://git@127.0.0.1:1/a.git"), code, &["cannot be reached"]).await;
    for status in ["404 Not Found", "401 Unauthorized", "403 Forbidden"] {
        let message = bench.fails(git(&server(status)), code, &["is not there or may not be read"]);
        let message = message.await;
        assert!(!message.contains("hunter2000"), "{message}");
    }
    for entry in std::fs::read_dir(bench.data().join("logs")).unwrap() {
        let log = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!log.contains("hunter2000"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_of_a_network_repository_may_not_be_a_local_folder() {
    let bench = Bench::new();
    let secret = Repository::new();
    secret.commit("secret.txt", "secret");
    let outer = Repository::new();
    outer.commit("index.html", "outer");
    let url = format!("file://{}", secret.path().display());
    outer.git(&["submodule", "--quiet", "add", &url, "module"]);
    outer.git(&["commit", "--quiet", "-m", "module"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // By its own path: `git daemon` would leave it behind when it is killed.
    let mut daemon = Command::new(format!("{}/git-daemon", outer.git(&["--exec-path"])))
        .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
        .arg(format!("--port={port}"))
        .arg(format!("--base-path={}", outer.path().display()))
        .spawn()
        .unwrap();
    let reachable = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    super::bench::until("the daemon", reachable).await;
    let source = Source::Git {
        url: format!("git://127.0.0.1:{port}/.git"),
        branch: None,
        commit: None,
        directory: String::new(),
    };
    let result = build(&bench, source).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let message = result.unwrap_err().to_string();
    assert!(message.contains("transport 'file' not allowed"), "{message}");
}
