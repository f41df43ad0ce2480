//! Static sites on a real folder, over real connections.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};
use temps_state::{
    Artifact, Command, Encoding, HeaderPolicy, MANIFEST, Manifest, Scope, StaticFile,
};

use crate::support::{TestEdge, host};

const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

/// Writes a site as a build does; gives its digest.
fn write_site(data: &Path, files: &[(&str, Vec<u8>)]) -> String {
    let digest = hex::encode(Sha256::digest(format!("{files:?}")));
    let folder = data.join("static").join(&digest);
    fs::create_dir_all(&folder).expect("a folder");
    let entry = |(path, content): &(&str, Vec<u8>)| {
        let sha256 = hex::encode(Sha256::digest(content));
        fs::write(folder.join(&sha256), content).expect("room");
        let mut encodings = Vec::new();
        if path.ends_with(".html") || path.ends_with(".js") {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            gz.write_all(content).expect("memory");
            fs::write(folder.join(format!("{sha256}.gz")), gz.finish().expect("memory"))
                .expect("room");
            let br = {
                let mut br = brotli::CompressorWriter::new(Vec::new(), 4_096, 11, 22);
                br.write_all(content).expect("memory");
                br.into_inner()
            };
            fs::write(folder.join(format!("{sha256}.br")), br).expect("room");
            encodings = vec![Encoding::Gzip, Encoding::Brotli];
        }
        ((*path).to_owned(), StaticFile { sha256, bytes: content.len() as u64, encodings })
    };
    let files: BTreeMap<String, StaticFile> = files.iter().map(entry).collect();
    let manifest =
        Manifest { built_at: Timestamp::from_second(1_700_000_000).expect("a time"), files };
    fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).expect("JSON")).expect("room");
    digest
}

async fn site(edge: &mut TestEdge, name: &str, single_page: bool, files: &[(&str, Vec<u8>)]) {
    let digest = write_site(edge.data.path(), files);
    let environment = edge.project(name).await;
    edge.deploy(environment, Artifact::Static { digest, single_page }, &[]).await;
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("/index.html", "<h1>home</h1>".repeat(500).into_bytes()),
        ("/about.html", b"<h1>about</h1>".to_vec()),
        ("/docs/index.html", b"<h1>docs</h1>".to_vec()),
        ("/assets/index-DiwrgTda.js", "let x = 1;".repeat(500).into_bytes()),
        ("/digits.bin", (0..=99_u8).collect()),
        ("/empty.txt", Vec::new()),
        ("/large.bin", (0..3_000_000_u32).map(|n| n as u8).collect()),
    ]
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn files_are_served_with_everything_a_browser_needs() {
    let mut edge = TestEdge::start().await;
    site(&mut edge, "site", false, &files()).await;
    let h1 = edge.client(&["site"]);
    let h2 = edge.builder(&["site"]).http2_prior_knowledge().build().unwrap();
    for client in [h1, h2] {
        for (path, body, media) in [
            ("/", "<h1>home</h1>".repeat(500), "text/html; charset=utf-8"),
            ("/about", "<h1>about</h1>".into(), "text/html; charset=utf-8"),
            ("/docs/?q=1", "<h1>docs</h1>".into(), "text/html; charset=utf-8"),
            ("/empty.txt", String::new(), "text/plain; charset=utf-8"),
        ] {
            let answer = client.get(edge.url("site", path)).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            let headers = answer.headers().clone();
            assert_eq!(header(&headers, "content-type"), media);
            assert_eq!(header(&headers, "content-length"), body.len().to_string());
            assert_eq!(header(&headers, "cache-control"), "public, max-age=0, must-revalidate");
            assert_eq!(header(&headers, "last-modified"), DATE);
            assert_eq!(header(&headers, "accept-ranges"), "bytes");
            assert_eq!(header(&headers, "x-request-id").len(), 26);
            assert!(header(&headers, "etag").starts_with('"'));
            let text = answer.text().await.unwrap();
            assert_eq!(text, body);
            let head = client.head(edge.url("site", path)).send().await.unwrap();
            assert_eq!(head.headers()["content-length"], body.len().to_string());
            assert_eq!(head.headers()["etag"], headers["etag"]);
            assert_eq!(head.text().await.unwrap(), "");
        }
        let answer =
            client.get(edge.url("site", "/assets/index-DiwrgTda.js")).send().await.unwrap();
        assert_eq!(
            header(answer.headers(), "cache-control"),
            "public, max-age=31536000, immutable"
        );
        let answer = client.get(edge.url("site", "/large.bin")).send().await.unwrap();
        let expected: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        assert_eq!(answer.bytes().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_folder_is_asked_for_with_a_slash_at_its_end() {
    let mut edge = TestEdge::start().await;
    site(&mut edge, "site", true, &files()).await;
    let none = reqwest::redirect::Policy::none;
    let h1 = edge.builder(&["site"]).redirect(none()).build().unwrap();
    let h2 = edge.builder(&["site"]).redirect(none()).http2_prior_knowledge().build().unwrap();
    for client in [h1, h2] {
        for (path, location) in
            [("/docs", "/docs/"), ("/docs?q=1&r=/x", "/docs/?q=1&r=/x"), ("/d%6Fcs?", "/d%6Fcs/?")]
        {
            let answer = client.get(edge.url("site", path)).send().await.unwrap();
            assert_eq!(answer.status(), 308, "{path}");
            assert_eq!(header(answer.headers(), "location"), location);
            assert_eq!(header(answer.headers(), "x-request-id").len(), 26);
            assert_eq!(answer.text().await.unwrap(), "");
        }
    }
    let client = edge.client(&["site"]);
    let answer = client.get(edge.url("site", "/docs")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "<h1>docs</h1>");
}

#[tokio::test]
async fn precompressed_files_are_sent_as_the_client_likes() {
    let mut edge = TestEdge::start().await;
    site(&mut edge, "site", false, &files()).await;
    let client = edge.client(&["site"]);
    let mut tags = Vec::new();
    for (accept, coding) in
        [("br, gzip", "br"), ("gzip;q=1, br;q=0.5", "gzip"), ("zstd", ""), ("identity", "")]
    {
        let request = client.get(edge.url("site", "/")).header("accept-encoding", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(header(answer.headers(), "content-encoding"), coding, "{accept}");
        assert_eq!(header(answer.headers(), "vary"), "Accept-Encoding");
        tags.push(header(answer.headers(), "etag").to_owned());
        let known = client.get(edge.url("site", "/")).header("accept-encoding", accept);
        let known = known.header("if-none-match", tags.last().unwrap()).send().await.unwrap();
        assert_eq!(known.status(), 304);
        assert_eq!(header(known.headers(), "etag"), tags.last().unwrap());
        let octets = answer.bytes().await.unwrap();
        let mut text = String::new();
        let mut reader: Box<dyn std::io::Read> = match coding {
            "br" => Box::new(brotli::Decompressor::new(&octets[..], 4_096)),
            "gzip" => Box::new(flate2::read::GzDecoder::new(&octets[..])),
            _ => Box::new(&octets[..]),
        };
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "<h1>home</h1>".repeat(500));
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "each coding has its own tag");
}

#[tokio::test]
async fn conditions_and_ranges_are_honoured() {
    let mut edge = TestEdge::start().await;
    site(&mut edge, "site", false, &files()).await;
    let client = edge.client(&["site"]);
    let url = edge.url("site", "/digits.bin");
    let tag =
        client.head(&url).send().await.unwrap().headers()["etag"].to_str().unwrap().to_owned();
    let all: Vec<u8> = (0..=99).collect();
    for (headers, status, range, body) in [
        (vec![("range", "bytes=10-19")], 206, "bytes 10-19/100", &all[10..20]),
        (vec![("range", "bytes=-5")], 206, "bytes 95-99/100", &all[95..]),
        (vec![("range", "bytes=90-")], 206, "bytes 90-99/100", &all[90..]),
        (vec![("range", "bytes=0-1,5-6")], 200, "", &all[..]),
        (vec![("range", "bytes=0-4"), ("if-range", &tag)], 206, "bytes 0-4/100", &all[..5]),
        (vec![("range", "bytes=0-4"), ("if-range", "\"other\"")], 200, "", &all[..]),
        (vec![("range", "bytes=0-4"), ("if-range", DATE)], 206, "bytes 0-4/100", &all[..5]),
        (vec![("if-modified-since", DATE)], 304, "", &[]),
        (vec![("if-none-match", &tag)], 304, "", &[]),
        (vec![("if-none-match", "\"other\"")], 200, "", &all[..]),
    ] {
        let request =
            headers.iter().fold(client.get(&url), |r, (name, value)| r.header(*name, *value));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{headers:?}");
        assert_eq!(header(answer.headers(), "content-range"), range, "{headers:?}");
        assert_eq!(answer.bytes().await.unwrap(), body, "{headers:?}");
    }
    let beyond = client.get(&url).header("range", "bytes=100-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(header(beyond.headers(), "content-range"), "bytes */100");
    let failed = client.get(&url).header("if-match", "\"other\"").send().await.unwrap();
    assert_eq!(failed.status(), 412);
    let large = client.get(edge.url("site", "/large.bin")).header("range", "bytes=1000000-2499999");
    let expected: Vec<u8> = (1_000_000..2_500_000_u32).map(|n| n as u8).collect();
    assert_eq!(large.send().await.unwrap().bytes().await.unwrap(), expected);
}

#[tokio::test]
async fn what_is_not_there_gets_a_page() {
    let mut edge = TestEdge::start().await;
    site(&mut edge, "site", false, &files()).await;
    let own = [("/404.html", b"<h1>lost</h1>".to_vec())];
    site(&mut edge, "own", false, &own).await;
    site(&mut edge, "app", true, &files()).await;
    let client = edge.client(&["site", "own", "app"]);
    for (name, path, accept, status, text) in [
        ("site", "/gone", "text/html", 404, "There is nothing here"),
        ("own", "/gone", "text/html", 404, "<h1>lost</h1>"),
        ("app", "/users/7", "text/html", 200, "<h1>home</h1>"),
        ("app", "/gone.js", "*/*", 404, "There is nothing here"),
    ] {
        let answer =
            client.get(edge.url(name, path)).header("accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), status, "{name}{path}");
        assert!(answer.text().await.unwrap().contains(text), "{name}{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let method: reqwest::Method = method.parse().unwrap();
        let answer = client.request(method, edge.url("site", "/")).body("x").send().await.unwrap();
        assert_eq!(answer.status(), 405);
        assert_eq!(header(answer.headers(), "allow"), "GET, HEAD");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_site() {
    let mut edge = TestEdge::start().await;
    site(&mut edge, "site", false, &files()).await;
    fs::write(edge.data.path().join("secret"), "secret").unwrap();
    for path in [
        "/../secret",
        "/../../secret",
        "/%2e%2e/%2e%2e/secret",
        "/..%2f..%2fsecret",
        "/assets/../../../secret",
        "/\\..\\..\\secret",
        "//etc/passwd",
        "/%00",
        "/manifest.json",
        "/%ff%fe",
        "/index.html/../../secret",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host("site"));
        let answer = edge.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_site_that_is_not_on_this_node_is_not_available() {
    let mut edge = TestEdge::start().await;
    let environment = edge.project("site").await;
    for digest in ["00ff", "../../etc"] {
        let artifact = Artifact::Static { digest: digest.into(), single_page: false };
        edge.deploy(environment, artifact, &[]).await;
        let answer = edge.client(&["site"]).get(edge.url("site", "/")).send().await.unwrap();
        assert_eq!(answer.status(), 503);
    }
}

#[tokio::test]
async fn a_file_that_vanished_is_an_error_and_no_more() {
    let mut edge = TestEdge::start().await;
    site(&mut edge, "site", false, &files()).await;
    let folder =
        fs::read_dir(edge.data.path().join("static")).unwrap().next().unwrap().unwrap().path();
    let about = hex::encode(Sha256::digest(b"<h1>about</h1>"));
    fs::remove_file(folder.join(about)).unwrap();
    let client = edge.client(&["site"]);
    assert_eq!(client.get(edge.url("site", "/about")).send().await.unwrap().status(), 500);
    assert_eq!(client.get(edge.url("site", "/docs")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn files_have_the_security_headers_of_their_environment() {
    let mut edge = TestEdge::start().await;
    let mut files = files();
    files.push(("/404.html", b"<h1>not here</h1>".to_vec()));
    site(&mut edge, "site", false, &files).await;
    let policy = Some(HeaderPolicy::Strict);
    edge.apply(Command::SetHeaderPolicy { scope: Scope::Cluster, policy }).await;
    let client = edge.builder(&["site"]).redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    for (path, range, status) in
        [("/", "", 200), ("/digits.bin", "bytes=0-1", 206), ("/docs", "", 308), ("/gone", "", 404)]
    {
        let request = client.get(edge.url("site", path)).header("range", range);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(header(answer.headers(), "x-frame-options"), "DENY", "{path}");
        assert!(!header(answer.headers(), "x-request-id").is_empty());
    }
}
