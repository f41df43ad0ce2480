//! Every mistake gets its own answer, soon.

use std::path::Path;
use std::process::Command;

use temps_builder::{Builder, Engine};
use temps_state::{FailureCode, Source};

use super::bench::{BASE, Bench, SOCKET, archive, chunks, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_step_is_named_with_its_last_line() {
    let bench = Bench::new();
    let dockerfile = format!("FROM {BASE}\nRUN echo trying; echo out of luck; exit 3\n");
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let words = ["RUN echo trying", "exit code 3", "out of luck"];
    bench.fails(source, FailureCode::BuildFailed, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_with_a_mistake_is_told_with_its_line() {
    let bench = Bench::new();
    let dockerfile = format!("FROM {BASE}\nFROBNICATE all\n");
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let words = ["Dockerfile is wrong", "FROBNICATE"];
    bench.fails(source, FailureCode::BuildFailed, &words).await;

    let dockerfile = format!("FROM {BASE}\nCOPY nope.txt /\n");
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    bench.fails(source, FailureCode::BuildFailed, &["COPY nope.txt", "not found"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_named() {
    let bench = Bench::new();
    let reference = "localhost:1/no-such-image:1";
    let code = FailureCode::ImageNotFound;
    bench.fails(Source::Image { reference: reference.into() }, code, &[reference]).await;
    let dockerfile = format!("FROM {reference}\n");
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    bench.fails(source, code, &["base image", reference]).await;
    for bad in ["", "A B", "UPPER", "-x", "a/../b?c"] {
        let source = Source::Image { reference: bad.into() };
        bench.fails(source, code, &["not an image reference"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_named_with_the_nearest() {
    let bench = Bench::new();
    let files = [("temps.json", r#"{"prot": 8080}"#), ("index.html", "x")];
    let source = bench.upload(&files).await;
    bench.fails(source, FailureCode::ConfigInvalid, &["prot", "port"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_says_nothing_is_told_what_was_looked_for() {
    let bench = Bench::new();
    let source = bench.upload(&[("notes.xyz", "x")]).await;
    bench.fails(source, FailureCode::PresetNotFound, &["Dockerfile"]).await;
    let source = Source::Upload { digest: "0".repeat(64) };
    bench.fails(source, FailureCode::SourceNotFound, &["no node has the upload"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_the_answer_comes_at_once() {
    let socket = "/run/no-such-engine.sock";
    let bench = Bench::on(Engine::on_socket(socket));
    let dockerfile = format!("FROM {BASE}\n");
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let begun = std::time::Instant::now();
    let code = FailureCode::EngineUnavailable;
    let error = bench.run(request(source)).await.unwrap_err();
    assert_eq!(error.failure(vec![]).code, code);
    assert!(error.failure(vec![]).message.contains(socket), "{error}");
    assert!(begun.elapsed().as_secs() < 10);
    bench.fails(Source::Image { reference: BASE.into() }, code, &[socket]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_says_nothing_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let bench = Bench::on(Engine::on_socket(socket.to_str().unwrap()));
    let source = Source::Image { reference: BASE.into() };
    bench.fails(source, FailureCode::EngineUnavailable, &["does not answer"]).await;
}

/// A disk of one mebibyte.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let status = Command::new("mount").args(mount).arg(folder.path()).status().unwrap();
        assert!(status.success(), "mounting needs root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Text that does not compress.
fn noise(bytes: usize) -> String {
    let mut seed = 1_u64;
    let next = |seed: &mut u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (*seed >> 58) as u8)
    };
    (0..bytes).map(|_| next(&mut seed)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_as_such() {
    let disk = SmallDisk::new();
    let builder = Builder::open(disk.path(), Engine::on_socket(SOCKET)).unwrap();
    let big = archive(&[("index.html", &noise(3 << 20))]);
    let error = builder.uploads().receive(chunks(big), u64::MAX).await.unwrap_err();
    assert_eq!(error.failure(vec![]).code, FailureCode::DiskFull, "{error}");
    assert_eq!(std::fs::read_dir(disk.path().join("blobs/parts")).unwrap().count(), 0);

    // This one is small on the wire and too large unpacked.
    let bomb = archive(&[("index.html", &"x".repeat(3 << 20))]);
    let upload = builder.uploads().receive(chunks(bomb), u64::MAX).await.unwrap();
    let source = Source::Upload { digest: upload.digest };
    let error = builder.build(request(source), Default::default()).await.unwrap_err();
    let failure = error.failure(vec![]);
    assert_eq!(failure.code, FailureCode::DiskFull, "{}", failure.message);
    assert!(failure.message.contains("index.html"), "{}", failure.message);
    assert!(failure.hint.contains("Free space"));
    assert_eq!(std::fs::read_dir(disk.path().join("work")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_a_checkout() {
    let disk = SmallDisk::new();
    let builder = Builder::open(disk.path(), Engine::on_socket(SOCKET)).unwrap();
    let repository = tempfile::tempdir().unwrap();
    std::fs::write(repository.path().join("index.html"), noise(3 << 20)).unwrap();
    let script = "git init -q -b main . && git add . \
        && git -c user.name=a -c user.email=a@b commit -qm x";
    let status = Command::new("sh").args(["-c", script]).current_dir(repository.path()).status();
    assert!(status.unwrap().success());
    let source = Source::Git {
        url: format!("file://{}", repository.path().display()),
        branch: None,
        commit: None,
        directory: String::new(),
    };
    let error = builder.build(request(source), Default::default()).await.unwrap_err();
    let failure = error.failure(vec![]);
    assert_eq!(failure.code, FailureCode::DiskFull, "{}", failure.message);
}
