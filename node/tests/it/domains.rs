//! Domains, certificates and security headers on the command line: what is asked, and what people and programs read.

use serde_json::{Value, json};

use crate::support::User;
use crate::support::canned::{Canned, problem};

fn domain(status: &str) -> Value {
    json!({
        "name": "app.example.com", "project": "shop", "environment": "production",
        "redirect": null, "paths": {"/api": "api/production"}, "status": status,
        "records": [
            {"type": "A", "name": "app.example.com", "value": "203.0.113.7", "required": true,
             "why": "leads to node n1"},
            {"type": "TXT", "name": "_temps-challenge.app.example.com", "value": "pr00f",
             "required": false, "why": "proves that the name is yours"},
        ],
        "certificate": null, "order": null, "created_at": "2026-01-01T00:00:00Z",
    })
}

fn active() -> Value {
    let mut domain = domain("active");
    domain["certificate"] = json!({"id": "crt_1", "names": ["app.example.com"], "issuer": "CA",
        "not_after": "2100-01-01T00:00:00Z", "valid": true, "source": {"type": "uploaded"}});
    domain
}

fn look(certificate: Option<&str>) -> String {
    let here = json!([{"address": "203.0.113.7", "leads_here": true, "why": null}]);
    let first = json!({"node": 1, "name": "n1", "answered": true, "addresses": here,
        "refused": {"count": 3, "last": "2026-01-01T00:00:00Z"}, "certificate": certificate});
    let second = json!({"node": 2, "name": "n2", "answered": false,
        "problem": "it does not answer: timed out"});
    json!([first, second]).to_string()
}

const ADD: [&str; 5] = ["domains", "add", "app.example.com", "-p", "shop"];

#[test]
fn adding_a_domain_says_which_records_to_create_and_what_each_node_sees() {
    let server = Canned::serve(vec![
        ("POST /api/domains ", 201, domain("waiting_for_dns").to_string()),
        ("GET /api/domains/app.example.com/look", 200, look(None)),
    ]);
    let more = ["--path", "/api=api", "--redirect-to", "https://example.com/", "--status", "308"];
    let ended = server.run(&User::new(), &[&ADD[..], &more].concat()).expect(0);
    for part in [
        "A     app.example.com  203.0.113.7  leads to node n1",
        "_temps-challenge.app.example.com  pr00f",
        "203.0.113.7 leads here",
        "it does not answer: timed out",
        "3, last",
        "Next: create the records, then temps domains verify app.example.com",
    ] {
        assert!(ended.stdout.contains(part), "{part} is missing: {ended:?}");
    }
    assert!(ended.stderr.contains("leads to shop/production"), "{ended:?}");
    let sent = json!({"name": "app.example.com", "project": "shop", "environment": "production",
        "redirect": {"to": "https://example.com/", "status": 308}, "paths": {"/api": "api"}});
    assert_eq!(server.sent("POST /api/domains "), sent);
    let ended = server.run(&User::new(), &[&ADD[..], &["--json"]].concat()).expect(0);
    assert_eq!((ended.json(), ended.stderr.as_str()), (domain("waiting_for_dns"), ""));
}

#[test]
fn waiting_ends_once_every_node_that_answers_shows_the_certificate() {
    let server = Canned::serve(vec![
        ("POST /api/domains ", 201, domain("waiting_for_dns").to_string()),
        ("GET /api/domains/app.example.com/look", 200, look(Some("2100-01-01T00:00:00Z"))),
        ("GET /api/domains/app.example.com", 200, active().to_string()),
    ]);
    let ended = server.run(&User::new(), &[&ADD[..], &["--wait"]].concat()).expect(0);
    assert_eq!(ended.stdout, "https://app.example.com\n");
    assert!(ended.stderr.contains("203.0.113.7"), "the records are told meanwhile: {ended:?}");
}

#[test]
fn waiting_says_what_for_when_the_time_is_over_or_the_authority_says_no() {
    let verification = json!({"proven": false, "domain": domain("waiting_for_dns"),
        "look": {"name": "n1", "answered": true, "addresses": []}});
    let server = Canned::serve(vec![
        ("GET /api/domains/app.example.com", 200, domain("waiting_for_dns").to_string()),
        ("POST /api/domains/app.example.com/verify", 200, verification.to_string()),
    ]);
    let verify = ["domains", "verify", "app.example.com"];
    let wait = [&verify[..], &["--wait", "--timeout", "0s"]].concat();
    let ended = server.run(&User::new(), &wait).expect_error(1, "not served with a certificate");
    assert!(ended.stderr.contains("the name has no address"), "{ended:?}");
    let ended = server.run(&User::new(), &verify).expect_error(1, "does not lead to this cluster");
    assert!(ended.stderr.contains("203.0.113.7"), "{ended:?}");

    let mut failing = domain("failing");
    let error = "the CAA record forbids it";
    failing["order"] = json!({"failures": 1, "error": error, "retry_at": "2100-01-01T00:00:00Z"});
    let verification = json!({"proven": true, "domain": failing, "look": {"name": "n1"}});
    let server = Canned::serve(vec![
        ("GET /api/domains/app.example.com", 200, failing.to_string()),
        ("POST /api/domains/app.example.com/verify", 200, verification.to_string()),
    ]);
    let ended = server.run(&User::new(), &[&verify[..], &["--wait"]].concat());
    let ended = ended.expect_error(1, "not served with a certificate");
    assert!(ended.stderr.contains("the CAA record forbids it"), "{ended:?}");
    assert_eq!(server.count("POST /api/domains/app.example.com/verify"), 1, "it is tried again");
}

#[test]
fn a_domain_is_listed_changed_verified_and_removed() {
    let listed = json!({"items": [active()], "next_cursor": null}).to_string();
    let verification = json!({"proven": true, "domain": domain("waiting_for_certificate"),
        "look": {"name": "n1", "answered": true}});
    let server = Canned::serve(vec![
        ("GET /api/domains?", 200, listed),
        ("POST /api/domains/app.example.com/verify", 200, verification.to_string()),
        ("PATCH /api/domains/app.example.com", 200, active().to_string()),
        ("DELETE /api/domains/app.example.com", 204, String::new()),
    ]);
    let user = User::new();
    let list = server.run(&user, &["domains", "-p", "x"]);
    list.expect(2);
    let list = server.run(&user, &["domains", "list", "-p", "shop", "-e", "next"]).expect(0);
    assert!(list.stdout.contains("app.example.com  shop/production  active"), "{list:?}");
    assert_eq!(server.count("GET /api/domains?project=shop&environment=next&"), 1);
    let verified = server.run(&user, &["domains", "verify", "app.example.com"]).expect(0);
    assert!(verified.stdout.contains("leads to this cluster. Next: temps"), "{verified:?}");

    let set = ["domains", "set", "app.example.com"];
    server.run(&user, &set).expect_error(2, "nothing of app.example.com");
    server.run(&user, &[&set[..], &["--no-redirect", "--path", "/a=b/c"]].concat()).expect(0);
    let sent = json!({"redirect": null, "paths": {"/a": "b/c"}});
    assert_eq!(server.sent("PATCH /api/domains/"), sent);
    server.run(&user, &[&set[..], &["--path", "/a"]].concat()).expect_error(2, "`/a`");

    let remove = ["domains", "remove", "app.example.com"];
    let unasked = server.run(&user, &remove).expect_error(2, "needs a confirmation");
    assert!(unasked.stderr.contains("the certificate that the cluster got"), "{unasked:?}");
    server.run(&user, &[&remove[..], &["--yes"]].concat()).expect(0);
    assert_eq!(server.count("DELETE "), 1);
}

#[test]
fn a_certificate_is_added_from_files_and_its_removal_says_who_needs_it() {
    let certificate = active()["certificate"].clone();
    let mut taken = certificate.clone();
    taken["warnings"] = json!(["the file has only the certificate itself"]);
    let listed = json!({"items": [certificate], "next_cursor": null}).to_string();
    let domains = json!({"items": [active()], "next_cursor": null}).to_string();
    let server = Canned::serve(vec![
        ("GET /api/certificates?", 200, listed),
        ("GET /api/certificates/crt_1", 200, certificate.to_string()),
        ("POST /api/certificates ", 201, taken.to_string()),
        ("GET /api/domains?", 200, domains),
        ("DELETE /api/certificates/crt_1", 204, String::new()),
    ]);
    let user = User::new();
    std::fs::write(user.home().join("chain.pem"), "CHAIN").unwrap();
    std::fs::write(user.home().join("key.pem"), "KEY").unwrap();
    let add = ["certificates", "add", "--chain", "chain.pem", "--key", "key.pem"];
    let added = server.run(&user, &add).expect(0);
    assert!(added.stdout.contains("Added certificate crt_1 for app.example.com"), "{added:?}");
    assert!(added.stderr.contains("warning: the file has only the certificate"), "{added:?}");
    assert_eq!(server.sent("POST "), json!({"chain": "CHAIN", "key": "KEY"}));
    let missing = ["certificates", "add", "--chain", "none.pem", "--key", "key.pem"];
    server.run(&user, &missing).expect_error(1, "cannot read none.pem");
    let list = server.run(&user, &["certificates"]).expect(0);
    assert!(list.stdout.contains("added by hand"), "{list:?}");
    let shown = server.run(&user, &["certificates", "show", "crt_1"]).expect(0);
    assert!(shown.stdout.contains("2100-01-01T00:00:00Z"), "{shown:?}");
    let remove = ["certificates", "remove", "crt_1"];
    let unasked = server.run(&user, &remove).expect_error(2, "needs a confirmation");
    assert!(unasked.stderr.contains("HTTPS of app.example.com"), "{unasked:?}");
    server.run(&user, &[&remove[..], &["-y"]].concat()).expect(0);

    let refusal = json!({"title": "Unprocessable", "status": 422, "code": "invalid",
        "detail": "`chain`: certificate 1 of the chain ended at 2021-01-01T00:00:00Z"});
    let server = Canned::serve(vec![("POST /api/certificates ", 422, refusal.to_string())]);
    server.run(&user, &add).expect_error(1, "certificate 1 of the chain ended at 2021");
}

#[test]
fn security_headers_are_set_for_the_cluster_a_project_or_an_environment() {
    let policy = |scope: &str| {
        let effective = json!({"scope": "cluster", "preset": "moderate", "headers": {}});
        json!({"scope": scope, "preset": "inherit", "headers": {}, "effective": effective})
    };
    let server = Canned::serve(vec![
        ("GET /api/header-policies/shop/next ", 200, policy("shop/next").to_string()),
        ("PUT /api/header-policies/shop ", 200, policy("shop").to_string()),
        ("PUT /api/header-policies/cluster ", 403, problem(403, "forbidden", "not you")),
    ]);
    let user = User::new();
    let shown = server.run(&user, &["headers", "show", "-p", "shop", "-e", "next"]).expect(0);
    assert!(shown.stdout.contains("moderate (from cluster)"), "{shown:?}");
    let set = ["headers", "set", "custom", "--header", "X-Frame-Options: DENY", "-p", "shop"];
    server.run(&user, &set).expect(0);
    let sent = json!({"preset": "custom", "headers": {"X-Frame-Options": "DENY"}});
    assert_eq!(server.sent("PUT "), sent);
    server.run(&user, &["headers", "set", "strict"]).expect_error(1, "not you");
    server.run(&user, &["headers", "set", "custom"]).expect_error(2, "which headers");
    server.run(&user, &["headers", "show", "-e", "next"]).expect_error(2, "whose environment");
    server.run(&user, &["headers", "set", "paranoid"]).expect(2);
}
