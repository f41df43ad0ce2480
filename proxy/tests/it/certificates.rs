//! Certificates of the state: which client gets which, that they change under open connections, and what follows from
//! their being there.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest, Sha256};
use temps_state::*;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::authority::{Authority, connect, get, shown};
use crate::support::upstream::Upstream;
use crate::support::{TestEdge, body, header, host, order, status};

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let mut edge = TestEdge::start().await;
    let mut authority = Authority::new();
    let client = Arc::new(authority.client());
    // What lasts longest is shown.
    for name in ["*.example.com", "a.example.com"] {
        edge.certificate(authority.issue(&[name])).await;
    }
    let mut certificates = Vec::new();
    for (name, there) in [
        ("a.example.com", true),
        ("A.Example.com", true),
        ("b.example.com", true),
        ("c.example.com", true),
        ("example.com", false),
        ("b.a.example.com", false),
        ("a.example.org", false),
        ("127.0.0.1", false),
    ] {
        let connected = connect(&client, edge.https, name).await;
        assert_eq!(connected.is_ok(), there, "{name}");
        certificates.extend(connected.ok().map(|stream| shown(&stream)));
    }
    let [a, same_a, b, c] = &certificates[..] else { panic!("four were shown") };
    assert!(a == same_a && b == c && a != b);
    assert_eq!(edge.metric("temps_edge_handshakes_refused_total"), "4");
}

#[tokio::test]
async fn an_open_connection_outlives_its_certificate() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let environment = edge.app("shop", &[app.addr]).await;
    edge.domain("a.example.com", environment).await;
    let mut authority = Authority::new();
    let client = Arc::new(authority.client());
    let first = authority.issue(&["a.example.com"]);
    edge.certificate(first.clone()).await;
    let mut open = connect(&client, edge.https, "a.example.com").await.unwrap();
    assert_eq!(body(&get(&mut open, "a.example.com").await), "one");
    for _ in 0..3 {
        let newer = authority.issue(&["a.example.com"]);
        let older = edge.state().certificates.keys().next().copied().unwrap();
        edge.apply_all(vec![
            Command::AddCertificate { certificate: newer },
            Command::DeleteCertificate { id: older },
        ])
        .await;
        let fresh = connect(&client, edge.https, "a.example.com").await.unwrap();
        assert_ne!(shown(&fresh), shown(&open));
        assert_eq!(body(&get(&mut open, "a.example.com").await), "one");
    }
    let last = edge.state().certificates.keys().next().copied().unwrap();
    edge.apply(Command::DeleteCertificate { id: last }).await;
    assert!(connect(&client, edge.https, "a.example.com").await.is_err());
    assert_eq!(body(&get(&mut open, "a.example.com").await), "one");
}

#[tokio::test]
async fn http_leads_to_https_only_where_a_certificate_is_valid() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let environment = edge.app("shop", &[app.addr]).await;
    edge.domain("a.example.com", environment).await;
    let redirect = Redirect { to: "https://example.net/".into(), status: RedirectStatus::Found };
    edge.domain_with("b.example.com", environment, Some(redirect), &[]).await;
    assert_eq!(status(&edge.ask("GET", "a.example.com", "/").await), 200);
    let mut authority = Authority::new();
    let now = Timestamp::now();
    let expired = Certificate {
        not_after: now - SignedDuration::from_secs(1),
        ..authority.issue(&["a.example.com"])
    };
    let later = Certificate {
        not_before: now + SignedDuration::from_hours(1),
        ..authority.issue(&["a.example.com"])
    };
    edge.certificate(expired).await;
    edge.certificate(later).await;
    assert_eq!(status(&edge.ask("GET", "a.example.com", "/").await), 200, "neither is valid");
    edge.certificate(authority.issue(&["*.example.com"])).await;
    let port = edge.https.port();
    for name in ["a.example.com", "b.example.com"] {
        for method in ["GET", "POST"] {
            let answer = edge.ask(method, &format!("{name}:8080"), "/p?q=r").await;
            let location = format!("https://{name}:{port}/p?q=r");
            assert_eq!((status(&answer), header(&answer, "location")), (308, Some(&*location)));
            let mapped = edge.ask(method, name, "/p").await;
            let location = format!("https://{name}/p");
            assert_eq!(header(&mapped, "location"), Some(&*location), "the client asked port 80");
        }
    }
    let answer = edge.ask("GET", "a.example.com", "/.well-known/temps-domain").await;
    assert_eq!(
        body(&answer),
        "proof of a.example.com",
        "what is looked for is where it is looked for"
    );
    assert_eq!(status(&edge.ask("GET", &host("shop"), "/").await), 200, "self-signed");
    assert_eq!(status(&edge.ask("GET", "c.example.com", "/").await), 503, "it leads nowhere");
    let https =
        edge.builder(&[]).resolve("a.example.com", edge.https).resolve("b.example.com", edge.https);
    let https =
        https.tls_certs_only([authority.root()]).redirect(reqwest::redirect::Policy::none());
    let https = https.build().unwrap();
    let scope = Scope::Cluster;
    edge.apply(Command::SetHeaderPolicy { scope, policy: Some(HeaderPolicy::Moderate) }).await;
    for (name, code) in [("a.example.com", 200), ("b.example.com", 302)] {
        let answer = https.get(format!("https://{name}:{port}/")).send().await.unwrap();
        assert_eq!(answer.status(), code);
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    }
}

#[tokio::test]
async fn a_broken_certificate_leaves_the_others() {
    let mut edge = TestEdge::start().await;
    let mut authority = Authority::new();
    let client = Arc::new(authority.client());
    let good = authority.issue(&["a.example.com"]);
    let other_key = Certificate { key: good.key.clone(), ..authority.issue(&["b.example.com"]) };
    edge.certificate(other_key).await;
    edge.certificate(good).await;
    assert!(connect(&client, edge.https, "a.example.com").await.is_ok());
    assert!(connect(&client, edge.https, "b.example.com").await.is_err());
}

#[tokio::test]
async fn a_certificate_of_the_preview_domain_takes_the_place_of_the_self_signed_one() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let mut authority = Authority::new();
    let client = Arc::new(authority.client());
    let name = host("shop");
    assert!(connect(&client, edge.https, &name).await.is_err(), "nobody trusts it");
    edge.certificate(authority.issue(&["*.localho.st"])).await;
    let mut stream = connect(&client, edge.https, &name).await.unwrap();
    assert_eq!(body(&get(&mut stream, &name).await), "one");
    assert_eq!(status(&edge.ask("GET", &name, "/").await), 308);
}

#[tokio::test]
async fn an_authority_sees_the_answer_in_a_certificate_and_nothing_else() {
    let mut edge = TestEdge::start().await;
    let environment = edge.project("shop").await;
    edge.domain("a.example.com", environment).await;
    let mut authority = Authority::new();
    edge.certificate(authority.issue(&["a.example.com", "b.example.com"])).await;
    let name: DomainName = "a.example.com".parse().unwrap();
    let challenge = Challenge {
        host: "a.example.com".into(),
        kind: ChallengeKind::TlsAlpn01,
        token: "token".into(),
        answer: "token.thumbprint".into(),
    };
    edge.change(|state| drop(state.orders.insert(name.clone(), order(&name, challenge)))).await;
    let mut trusting = authority.client();
    trusting.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let mut looking = crate::support::authority::client_of_anybody();
    looking.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let looking = Arc::new(looking);
    let mut stream = connect(&looking, edge.https, "a.example.com").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    let certificate = shown(&stream);
    // id-pe-acmeIdentifier, critical, an octet string of 34 octets that holds one of 32 (RFC 8737 §3).
    let mut extension =
        hex::decode("06082b0601050507011f0101ff042204 20".replace(' ', "")).unwrap();
    extension.extend(Sha256::digest("token.thumbprint"));
    let holds = certificate.windows(extension.len()).any(|octets| octets == extension);
    assert!(holds, "{}", hex::encode(&certificate));
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "it is closed");
    assert!(connect(&looking, edge.https, "b.example.com").await.is_err(), "there is no challenge");
    assert!(connect(&Arc::new(trusting), edge.https, "a.example.com").await.is_err());
    assert!(connect(&Arc::new(authority.client()), edge.https, "a.example.com").await.is_ok());
    let refused = "a.example.com".parse().unwrap();
    assert_eq!(edge.view().refused(&refused), None, "authorities do not count");
}

#[tokio::test]
async fn refused_handshakes_are_shown_on_the_domain() {
    let mut edge = TestEdge::start().await;
    let environment = edge.project("shop").await;
    edge.domain("a.example.com", environment).await;
    edge.domain("*.example.org", environment).await;
    let mut authority = Authority::new();
    let client = Arc::new(authority.client());
    let before = Timestamp::now().as_second();
    for name in ["a.example.com", "a.example.com", "x.example.org", "stranger.example.net"] {
        assert!(connect(&client, edge.https, name).await.is_err());
    }
    let view = edge.view();
    let refused = |name: &str| view.refused(&name.parse().unwrap());
    assert_eq!(refused("a.example.com").map(|r| r.count), Some(2));
    assert!(refused("a.example.com").unwrap().last.as_second() >= before);
    assert_eq!(refused("*.example.org").map(|r| r.count), Some(1));
    assert_eq!(refused("stranger.example.net"), None);
    let name = "a.example.com".parse().unwrap();
    assert_eq!(view.certificate(&name), None);
    let certificate = authority.issue(&["a.example.com"]);
    edge.certificate(certificate.clone()).await;
    let seen = view.certificate(&name).unwrap();
    assert_eq!((seen.id, seen.not_after), (certificate.id, certificate.not_after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tens_of_thousands_of_names_have_their_own_certificates() {
    const NAMES: usize = 30_000;
    let mut edge = TestEdge::start().await;
    let environment = edge.project("shop").await;
    let mut authority = Authority::new();
    let client = Arc::new(authority.client());
    let name = |n: usize| format!("shop-{n}.example.com");
    let fresh: Vec<_> =
        (0..NAMES).step_by(NAMES / 20).map(|n| authority.issue(&[&name(n)])).collect();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["filler.example.com".to_owned()]).unwrap();
    let (chain, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let filler: Vec<_> =
        (0..NAMES).map(|n| authority.row(&[&name(n)], chain.clone(), &key)).collect();
    edge.change(|state| {
        // The later row is shown for names that have two.
        let certificates = filler.into_iter().chain(
            fresh.into_iter().map(|row| Certificate { source: CertificateSource::Uploaded, ..row }),
        );
        for certificate in certificates {
            state.certificates.insert(certificate.id, certificate);
        }
        for n in 0..NAMES {
            let domain = Domain {
                name: name(n).parse().unwrap(),
                environment,
                redirect: None,
                paths: Default::default(),
                proof: format!("proof {n}"),
                verified_at: None,
                created_at: Timestamp::now(),
            };
            state.domains.insert(domain.name.clone(), domain);
        }
    })
    .await;
    for n in (0..NAMES).step_by(NAMES / 20) {
        assert!(connect(&client, edge.https, &name(n)).await.is_ok(), "{n}");
        let answer = edge.ask("GET", &name(n), "/.well-known/temps-domain").await;
        assert_eq!(body(&answer), format!("proof {n}"));
    }
    assert!(TcpStream::connect(edge.https).await.is_ok());
}
