//! Static sites, from a source and from a build.

use temps_state::{Artifact, FailureCode, Manifest};

use super::bench::{Bench, docker, request};

fn manifest(bench: &Bench, artifact: &Artifact) -> (Manifest, bool) {
    let Artifact::Static { digest, single_page } = artifact else { panic!("it is an image") };
    let path = bench.data().join("static").join(digest).join("manifest.json");
    (serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap(), *single_page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_pages_is_served_as_it_is() {
    // No engine is needed.
    let bench = Bench::on(temps_builder::Engine::on_socket("/no/such/socket"));
    let page = "<p>hello</p>".repeat(500);
    let files = [("index.html", page.as_str()), ("css/a.css", "a{}"), (".env", "SECRET=1")];
    let built = bench.build(&files).await.unwrap();
    let (manifest, _) = manifest(&bench, &built.artifact);
    let paths: Vec<_> = manifest.files.keys().map(String::as_str).collect();
    assert_eq!(paths, ["/css/a.css", "/index.html"]);
    assert_eq!(manifest.files["/index.html"].encodings.len(), 3);
}

/// A build that writes what it is told, without packages from a registry.
fn app(build: &str) -> String {
    format!(r#"{{"name": "app", "version": "1.0.0", "scripts": {{"build": "{build}"}}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_writes_is_exported() {
    let bench = Bench::new();
    let package = app(
        "mkdir -p dist/assets && cp page.html dist/index.html && echo $GREETING > dist/assets/greeting.txt",
    );
    let files = [
        ("temps.json", r#"{"preset": "vite"}"#),
        ("package.json", package.as_str()),
        ("page.html", "<p>built</p>"),
    ];
    let source = bench.upload(&files).await;
    let mut request = request(source);
    request.variables.insert("GREETING".parse().unwrap(), "good morning".into());
    let deployment = request.deployment;
    let built = bench.run(request).await;
    let log = bench.log(deployment);
    let built = built.unwrap_or_else(|error| panic!("{error}\n{log}"));
    let (manifest, single_page) = manifest(&bench, &built.artifact);
    assert!(single_page);
    let paths: Vec<_> = manifest.files.keys().map(String::as_str).collect();
    assert_eq!(paths, ["/assets/greeting.txt", "/index.html"], "{log}");
    let Artifact::Static { digest, .. } = &built.artifact else { panic!() };
    let greeting = &manifest.files["/assets/greeting.txt"].sha256;
    let text = std::fs::read_to_string(bench.data().join("static").join(digest).join(greeting));
    assert_eq!(text.unwrap(), "good morning\n");
    let containers = docker(&["ps", "-aq", "--filter", &format!("name=temps-export-{deployment}")]);
    assert_eq!(containers, "", "no container is left");
    let image = docker(&["image", "ls", "-q", &format!("temps/builder-test:{deployment}")]);
    assert_eq!(image, "", "the image is not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_writes_elsewhere_is_told_so() {
    let bench = Bench::new();
    let package = app("mkdir -p build && cp page.html build/index.html");
    let files = [
        ("temps.json", r#"{"preset": "vite"}"#),
        ("package.json", package.as_str()),
        ("page.html", "<p>built</p>"),
    ];
    let source = bench.upload(&files).await;
    bench.fails(source, FailureCode::BuildFailed, &["no folder", "dist"]).await;
}
