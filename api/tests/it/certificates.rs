//! Certificates that somebody brings: what is taken, what is refused and why, and that no key comes out again.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use reqwest::Method;
use serde_json::{Value, json};
use temps_api::{AddressSeen, DomainSeen};
use temps_state::{Certificate, CertificateId};

use crate::common::{TestNode, read};

const PATH: &str = "/api/certificates";

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn found(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name from 2020 until a year, and its key.
    fn signs(&self, name: &str, until: i32) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        (pem, key.serialize_pem())
    }
}

fn body(chain: &[&str], key: &str) -> Value {
    json!({"chain": chain.concat(), "key": key})
}

/// What stands between the lines of a PEM.
fn secret(key: &str) -> &str {
    key.lines().nth(1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_taken_shown_without_its_key_and_deleted() {
    let node = TestNode::start().await;
    let authority = Authority::found("Test Authority");
    let (own, key) = authority.signs("*.example.com", 2100);
    let sent = body(&[&own, &authority.pem], &key);
    let post = || {
        let request = node.admin(Method::POST, PATH).json(&sent);
        read(request.header("idempotency-key", "k1"))
    };
    let first = post().await;
    assert_eq!(first.status, 201);
    assert!(!first.text.contains("PRIVATE") && !first.text.contains(secret(&key)));
    let made = first.ok();
    assert_eq!(
        (&made["names"], &made["issuer"]),
        (&json!(["*.example.com"]), &json!("Test Authority"))
    );
    assert_eq!((&made["valid"], &made["source"]), (&json!(true), &json!({"type": "uploaded"})));
    assert_eq!(made["not_after"], "2100-01-01T00:00:00Z");
    let idle = "no domain of the cluster has a name that it is for (*.example.com)";
    assert_eq!(made["warnings"], json!([idle]));
    assert_eq!(post().await.ok()["id"], made["id"], "a retry adds no other one");

    let id = made["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}");
    for path in [PATH, &path] {
        let shown = node.get(path).await;
        assert!(shown.status.is_success() && shown.text.contains(id));
        assert!(
            !shown.text.contains("key") && !shown.text.contains(secret(&key)),
            "{}",
            shown.text
        );
    }
    let state = node.cluster.state();
    let kept = &state.certificates[&id.parse::<CertificateId>().unwrap()];
    let place = Certificate::place(kept.id);
    assert_eq!(node.cluster.open(&place, &kept.key).unwrap(), key, "the edges can open it");

    let wrong = node.admin(Method::DELETE, &path).header("if-match", "\"00\"");
    read(wrong).await.problem(412, "changed");
    assert_eq!(node.delete(&path).await.status, 204);
    let gone = node.get(&path).await.problem(404, "not_found");
    assert!(gone["hint"].as_str().unwrap().contains("temps certificates list"));
    node.delete(&path).await.problem(404, "not_found");
    let audit = node.get("/api/audit/logs").await.text;
    assert!(audit.contains("certificate.add") && audit.contains("certificate.delete"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_client_would_believe_is_refused_with_the_reason() {
    let node = TestNode::start().await;
    let (authority, stranger) = (Authority::found("Authority"), Authority::found("Stranger"));
    let (own, key) = authority.signs("example.com", 2100);
    let (past, past_key) = authority.signs("example.com", 2021);
    let other = KeyPair::generate().unwrap().serialize_pem();
    for (sent, field, reason) in [
        (body(&[&past], &past_key), "chain", "ended at 2021-01-01"),
        (body(&[&own], &other), "key", "not the certificate's"),
        (body(&[&own, &stranger.pem], &key), "chain", "the chain is wrong"),
        (body(&[&authority.pem, &own], &key), "chain", ""),
        (body(&["nonsense"], &key), "chain", "no certificate"),
        (body(&[&own], "nonsense"), "key", "no private key"),
        (body(&[&own, &key], &key), "chain", "private key in it"),
        (json!({"chain": own}), "", "missing field `key`"),
    ] {
        let answer = node.post(PATH, sent).await;
        assert!(!answer.text.contains(secret(&key)), "{}", answer.text);
        let problem = answer.problem(422, "invalid");
        assert!(field.is_empty() || problem["field"] == field, "{field}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{reason}: {problem}");
    }
    assert_eq!(node.get(PATH).await.ok()["items"], json!([]));
    let reader = node.user_key("reader").await;
    let request = node.anonymous(Method::POST, PATH).bearer_auth(reader);
    read(request.json(&body(&[&own], &key))).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_shows_the_certificate_that_somebody_brought() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let add = json!({"name": "shop.example.com", "project": "shop"});
    node.post("/api/domains", add).await.ok();
    let address = "203.0.113.7".parse().unwrap();
    let addresses = vec![AddressSeen { address, leads_here: true, why: None }];
    node.looks.see(DomainSeen { addresses, ..DomainSeen::default() });
    node.post("/api/domains/shop.example.com/verify", json!({})).await.ok();
    let (own, key) = Authority::found("Authority").signs("*.example.com", 2100);
    let made = node.post(PATH, body(&[&own], &key)).await.ok();
    let warning = made["warnings"][0].as_str().unwrap();
    assert!(warning.contains("do not know `Authority`"), "it came without its authority: {made}");
    assert_eq!(made["warnings"].as_array().unwrap().len(), 1, "a domain has such a name: {made}");
    let domain = node.get("/api/domains/shop.example.com").await.ok();
    assert_eq!((&domain["status"], &domain["certificate"]["id"]), (&json!("active"), &made["id"]));
}
