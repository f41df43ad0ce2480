//! DNS providers and zones on the command line: what is asked, and what people and programs read.

use std::fs;

use serde_json::{Value, json};

use crate::support::User;
use crate::support::canned::{Canned, problem};

fn provider(zones: &[&str]) -> Value {
    json!({
        "id": "dnp_1", "name": "dns", "type": "cloudflare", "zones": zones, "takes_over": false,
        "records": [], "trouble": null, "created_at": "2026-01-01T00:00:00Z",
    })
}

#[test]
fn an_account_is_changed_in_what_is_named_alone() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token.json");
    fs::write(&token, r#"{"token": "s3cret"}"#).unwrap();
    let token = token.to_str().unwrap();
    let server = Canned::serve_with(
        "ETag: \"7\"\r\n",
        vec![
            ("GET /api/dns-providers/dns ", 200, provider(&["example.com"]).to_string()),
            ("PATCH /api/dns-providers/dns ", 200, provider(&["a.test", "b.test"]).to_string()),
        ],
    );
    let user = User::new();
    for (arguments, sent) in [
        (
            &["--zone", "a.test", "--zone", "b.test"][..],
            json!({"zones": ["a.test", "b.test"], "credentials": null, "takes_over": null}),
        ),
        (
            &["--credentials", token],
            json!({"zones": null, "credentials": {"token": "s3cret"}, "takes_over": null}),
        ),
        (&["--take-over", "on"], json!({"zones": null, "credentials": null, "takes_over": true})),
        (&["--take-over", "off"], json!({"zones": null, "credentials": null, "takes_over": false})),
    ] {
        let line = [&["dns", "providers", "set", "dns"], arguments].concat();
        let ended = server.run(&user, &line).expect(0);
        assert_eq!(server.sent("PATCH /api/dns-providers/dns "), sent, "{arguments:?}");
        assert!(ended.stdout.contains("It keeps the records of domains in a.test, b.test."));
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    }
    let ended =
        server.run(&user, &["dns", "providers", "set", "dns", "--take-over", "on", "--json"]);
    assert_eq!(ended.expect(0).json(), provider(&["a.test", "b.test"]));
    // Credentials may come from elsewhere, and are not there by accident.
    let wrong = folder.path().join("wrong.json");
    fs::write(&wrong, "s3cret").unwrap();
    let count = server.count("PATCH ");
    let wrong = ["dns", "providers", "set", "dns", "--credentials", wrong.to_str().unwrap()];
    let ended = server.run(&user, &wrong).expect(2);
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    // Somebody has to say what is to be different.
    server.run(&user, &["dns", "providers", "set", "dns"]).expect(2);
    server.run(&user, &["dns", "providers", "set", "dns", "--take-over", "maybe"]).expect(2);
    assert_eq!(server.count("PATCH "), count, "nothing of that is sent");
}

#[test]
fn a_change_that_the_provider_or_the_cluster_refuses_says_why() {
    let why = "this change needs format 5 of the state, which not every node knows yet: node 1 (n1) knows 3";
    let behind = Canned::serve(vec![
        ("GET /api/dns-providers/dns ", 200, provider(&["example.com"]).to_string()),
        ("PATCH /api/dns-providers/dns ", 409, problem(409, "upgrade_unfinished", why)),
    ]);
    let set = ["dns", "providers", "set", "dns", "--zone", "example.net"];
    let ended = behind.run(&User::new(), &set).expect(1);
    assert!(ended.stderr.contains(why), "{ended:?}");
    // A node of a version that cannot change accounts at all.
    let older = Canned::serve(vec![
        ("GET /api/dns-providers/dns ", 200, provider(&["example.com"]).to_string()),
        ("PATCH ", 405, problem(405, "method_not_allowed", "PATCH is not possible here")),
    ]);
    let ended = older.run(&User::new(), &set).expect(1);
    assert!(ended.stderr.contains("may run an older version"), "{ended:?}");
}

fn zone() -> Value {
    json!({
        "zone": "apps.example.com", "status": "wrong", "looked_at": "2026-01-01T00:00:00Z",
        "by_parent": true, "error": null,
        "servers": [{"name": "ns-2.apps.example.com", "addresses": ["192.0.2.2"]}],
        "faults": [{"server": "ns-2.apps.example.com", "address": "192.0.2.2",
            "why": "ns-2.apps.example.com leads to 192.0.2.2, where no node answers"}],
        "remove": [{"type": "A", "name": "ns-2.apps.example.com", "value": "192.0.2.2"}],
        "add": [{"type": "A", "name": "ns-2.apps.example.com", "value": "192.0.2.4"}],
    })
}

#[test]
fn a_zone_is_listed_and_says_what_to_change_at_the_zone_above() {
    let list = json!({"items": [zone()], "next_cursor": null}).to_string();
    let server = Canned::serve(vec![
        ("GET /api/dns-zones/apps.example.com ", 200, zone().to_string()),
        ("GET /api/dns-zones", 200, list),
        ("GET /api/status ", 200, json!({"dns_zones": [zone()]}).to_string()),
    ]);
    let user = User::new();
    let listed = server.run(&user, &["dns", "zones"]).expect(0).stdout;
    assert!(listed.contains("apps.example.com  not as it should be"), "{listed}");
    let show = ["dns", "zones", "show", "apps.example.com"];
    let shown = server.run(&user, &show).expect(0).stdout;
    for part in [
        "apps.example.com: not as it should be\n  ns-2.apps.example.com leads to 192.0.2.2, where",
        "delete  A     ns-2.apps.example.com  192.0.2.2",
        "create  A     ns-2.apps.example.com  192.0.2.4",
    ] {
        assert!(shown.contains(part), "{part} is missing: {shown}");
    }
    let json = server.run(&user, &[&show[..], &["--json"]].concat()).expect(0);
    assert_eq!(json.json(), zone());
    let status = server.run(&user, &["status"]).expect(0).stdout;
    let told = "where no node answers; see temps dns zones show apps.example.com";
    assert!(status.contains(told), "{status}");
}
