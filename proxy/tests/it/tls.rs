//! HTTPS with the self-signed certificate of the preview domain, nothing for other names, and nothing weak.

use std::net::SocketAddr;
use std::process::Stdio;

use temps_proxy::{Edge, EdgeConfig, EdgeError};
use temps_state::{Command, NodeId, Settings};
use tokio::process::Command as Program;

use crate::support::upstream::Upstream;
use crate::support::{TestEdge, host};

fn client(edge: &TestEdge, host: &str, http1: bool) -> reqwest::Client {
    let builder = edge.builder(&[]).resolve(host, edge.https).danger_accept_invalid_certs(true);
    if http1 { builder.http1_only() } else { builder }.build().expect("a client")
}

#[tokio::test]
async fn names_of_the_preview_domain_have_a_certificate() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let name = host("shop");
    let url = format!("https://{name}:{}/echo", edge.https.port());
    for (http1, version) in [(false, reqwest::Version::HTTP_2), (true, reqwest::Version::HTTP_11)] {
        let answer = client(&edge, &name, http1).get(&url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        let head = answer.text().await.unwrap();
        assert!(head.to_lowercase().contains("x-forwarded-proto: https\r\n"), "{head}");
    }
    let pem = std::fs::read(edge.data.path().join("tls/preview-localho.st.crt")).unwrap();
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    let trusting = edge.builder(&[]).resolve(&name, edge.https).tls_certs_only([certificate]);
    let answer = trusting.build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the certificate is good for the name");
}

#[tokio::test]
async fn other_names_get_no_handshake() {
    let mut edge = TestEdge::start().await;
    for name in ["example.com", "localho.st.example.com", "a.b.localho.st", "localho.st"] {
        let url = format!("https://{name}:{}/", edge.https.port());
        assert!(client(&edge, name, true).get(url).send().await.is_err(), "{name}");
    }
    let settings = Settings { preview_domain: "example.com".into(), ..Settings::default() };
    edge.apply(Command::ChangeSettings { settings }).await;
    let url = format!("https://a-production.example.com:{}/", edge.https.port());
    let answer = client(&edge, "a-production.example.com", true).get(url).send().await.unwrap();
    assert_eq!(answer.status(), 503, "the domain was changed");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let data = tempfile::tempdir().unwrap();
    let config = |http, https| EdgeConfig {
        http,
        https: Some(https),
        data_dir: data.path().into(),
        node: NodeId(1),
    };
    for (config, option) in [(config(addr, any), "--http"), (config(any, addr), "--https")] {
        let Err(error) = Edge::bind(config) else { panic!("the port is taken") };
        assert!(matches!(error, EdgeError::PortInUse { .. }));
        let text = error.to_string();
        assert!(text.contains(&addr.to_string()) && text.ends_with(option), "{text}");
    }
}

/// What `openssl s_client` agrees on with the edge, with these options: the version and the cipher.
async fn agreed(edge: &TestEdge, options: &str) -> (String, String) {
    let mut openssl = Program::new("openssl");
    let (at, name) = (edge.https.to_string(), host("shop"));
    openssl.args(["s_client", "-connect", &at, "-servername", &name]).args(options.split(' '));
    let said =
        openssl.stdin(Stdio::null()).output().await.expect("deploy/test.sh installs openssl");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once(", Cipher is "));
    let (version, cipher) = line.unwrap_or_else(|| panic!("{options}: {said}"));
    let version = version.rsplit(' ').next().expect("there is one");
    assert!(version == "(NONE)" || said.contains("Compression: NONE"), "{options}: {said}");
    (version.to_owned(), cipher.to_owned())
}

#[tokio::test]
async fn nothing_weak_is_agreed_on() {
    let edge = TestEdge::start().await;
    for cipher in
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    {
        let options = format!("-tls1_3 -ciphersuites {cipher}");
        assert_eq!(agreed(&edge, &options).await, ("TLSv1.3".into(), cipher.into()));
    }
    for cipher in ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"] {
        let cipher = format!("ECDHE-ECDSA-{cipher}");
        let options = format!("-tls1_2 -cipher {cipher}");
        assert_eq!(agreed(&edge, &options).await, ("TLSv1.2".into(), cipher));
    }
    let both = agreed(&edge, "-cipher ALL:@SECLEVEL=0").await;
    assert_eq!(both.0, "TLSv1.3", "the newest that both know");
    for refused in [
        "-tls1_1 -cipher ALL:@SECLEVEL=0",
        "-tls1 -cipher ALL:@SECLEVEL=0",
        "-tls1_2 -cipher ALL:!AESGCM:!CHACHA20:@SECLEVEL=0",
        "-tls1_2 -cipher kRSA:@SECLEVEL=0",
        "-tls1_2 -cipher kDHE:@SECLEVEL=0",
        "-tls1_2 -cipher kPSK:@SECLEVEL=0",
        "-tls1_2 -cipher aNULL:@SECLEVEL=0",
        "-tls1_2 -cipher eNULL:@SECLEVEL=0",
        "-tls1_2 -sigalgs ECDSA+SHA1 -cipher ALL:@SECLEVEL=0",
        "-tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256",
    ] {
        let none = ("(NONE)".into(), "(NONE)".into());
        assert_eq!(agreed(&edge, refused).await, none, "{refused}");
    }
}
