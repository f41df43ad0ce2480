//! What everybody's own tools make of every edge: curl, h2load, OpenSSL and a browser. deploy/test.sh installs them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use temps_chaos_tests::Ground;
use tokio::process::Command;

/// What no edge may agree on, in the words of `openssl s_client`.
const WEAK: [&str; 4] = [
    "-tls1_1 -cipher ALL:@SECLEVEL=0",
    "-tls1_2 -cipher kRSA:@SECLEVEL=0",
    "-tls1_2 -cipher ALL:!AESGCM:!CHACHA20:@SECLEVEL=0",
    "-tls1_2 -cipher aNULL:@SECLEVEL=0",
];

/// Asserts that each of these edges serves a site, whose page has these words, to all of them under its name, with a
/// certificate that leads to this root.
pub async fn try_everywhere(ground: &Ground, nodes: &[usize], name: &str, root: &str, words: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("root.pem");
    std::fs::write(&file, root).expect("a file");
    for &node in nodes {
        let edge = Edge { at: ground.node(node).secure_edge(), name, root: &file };
        edge.curl(words).await;
        edge.h2load().await;
        edge.openssl().await;
        edge.chromium(words).await;
    }
}

/// One edge, and how a site is known there.
struct Edge<'a> {
    at: SocketAddr,
    name: &'a str,
    root: &'a Path,
}

impl Edge<'_> {
    fn url(&self) -> String {
        format!("https://{}:{}/", self.name, self.at.port())
    }

    async fn curl(&self, words: &str) {
        let resolve = format!("{}:{}:{}", self.name, self.at.port(), self.at.ip());
        for (options, spoken) in [
            ("--http2 --tlsv1.3", "2"),
            ("--http2 --tls-max 1.2", "2"),
            ("--http1.1 --tlsv1.3", "1.1"),
        ] {
            let said = run(Command::new("curl")
                .args(["--silent", "--show-error", "--fail", "--resolve", &resolve, "--cacert"])
                .arg(self.root)
                .args(["--write-out", "\n%{http_version} %{http_code}"])
                .args(options.split(' '))
                .arg(self.url()))
            .await;
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            assert!(said.contains(words), "{} {options}: {said}", self.at);
            assert!(said.ends_with(&format!("\n{spoken} 200")), "{} {options}: {said}", self.at);
        }
    }

    async fn h2load(&self) {
        let said = run(Command::new("h2load")
            .args(["-n", "200", "-c", "4", "-m", "10", "--connect-to", &self.at.to_string()])
            .arg(self.url()))
        .await;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("200 succeeded, 0 failed, 0 errored"), "{}: {said}", self.at);
        assert!(said.contains("Application protocol: h2"), "{}: {said}", self.at);
    }

    async fn openssl(&self) {
        let sound = self.s_client("-verify_return_error").await;
        assert!(sound.contains("Verify return code: 0 (ok)"), "{}: {sound}", self.at);
        for weak in WEAK {
            let said = self.s_client(weak).await;
            assert!(said.contains("Cipher is (NONE)"), "{} {weak}: {said}", self.at);
        }
    }

    async fn s_client(&self, options: &str) -> String {
        let said = Command::new("openssl")
            .args(["s_client", "-connect", &self.at.to_string(), "-servername", self.name])
            .args(["-verify_hostname", self.name, "-CAfile"])
            .arg(self.root)
            .args(options.split(' '))
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .expect("openssl is installed");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// The certificate is the others' to judge: a browser has no option to trust one more root.
    async fn chromium(&self, words: &str) {
        let profile = tempfile::tempdir().expect("a folder");
        let there = format!("--host-resolver-rules=MAP {} {}", self.name, self.at.ip());
        let said = run(Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args([&there, "--dump-dom", &self.url()]))
        .await;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains(words), "{}: {said}", self.at);
    }
}

/// What a program says that must end well.
async fn run(command: &mut Command) -> Output {
    let output = command.kill_on_drop(true).output().await.expect("deploy/test.sh installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}
