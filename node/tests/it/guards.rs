//! `temps guards`, against a node that answers what it is told to.

use std::fs;

use serde_json::json;

use crate::support::User;
use crate::support::canned::{Canned, problem};

#[test]
fn guards_are_set_for_the_cluster_a_project_or_an_environment() {
    let guard = |scope: &str| {
        let held = json!({"value": "203.0.113.0/24", "scope": "cluster"});
        let warnings = ["no file of countries"];
        json!({"scope": scope, "effective": {"deny": [held]}, "warnings": warnings}).to_string()
    };
    let refusal = json!({"title": "Unprocessable", "status": 422, "code": "invalid",
        "detail": "`deny[0]`: `203.0.113.0/33` is no network: write … 203.0.113.0/24"});
    let server = Canned::serve(vec![
        ("GET /api/projects/shop/environments/next/guard ", 200, guard("shop/next")),
        ("PATCH /api/projects/shop/guard ", 200, guard("shop")),
        ("PATCH /api/projects/blog/guard ", 409, problem(409, "no_countries", "would let in all")),
        ("PATCH /api/projects/blog/guard?force=true ", 200, guard("blog")),
        ("DELETE /api/projects/shop/guard ", 204, String::new()),
        ("GET /api/projects/shop/guard ", 200, guard("shop")),
        ("PATCH /api/guards ", 422, refusal.to_string()),
        ("GET /api/guards ", 403, problem(403, "forbidden", "not you")),
    ]);
    let user = User::new();
    let shown = server.run(&user, &["guards", "show", "-p", "shop", "-e", "next"]).expect(0);
    assert!(shown.stdout.contains("203.0.113.0/24 (from cluster)"), "{shown:?}");
    assert!(shown.stderr.contains("warning: no file of countries"), "{shown:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    fs::write(&password, "correct horse\n").expect("it can be written");
    let password = password.display().to_string();
    let set = ["guards", "set", "-p", "shop", "--rate-per-ip", "100/1m", "--password-file"];
    server.run(&user, &[&set[..], &[&password]].concat()).expect(0);
    let sent = json!({"rate_per_client": "100/1m", "password": "correct horse"});
    assert_eq!(server.sent("PATCH "), sent);
    let country = ["guards", "set", "-p", "blog", "--allow-country", "DE"];
    server.run(&user, &country).expect_error(1, "would let in all");
    server.run(&user, &[&country[..], &["--force"]].concat()).expect(0);
    assert_eq!(server.sent("PATCH "), json!({"allow_countries": ["DE"]}));
    server.run(&user, &["guards", "off", "-p", "shop"]).expect(0);

    let wrong = server.run(&user, &["guards", "set", "--deny", "203.0.113.0/33"]);
    wrong.expect_error(1, "203.0.113.0/24");
    server.run(&user, &["guards"]).expect_error(1, "not you");
    server.run(&user, &["guards", "set", "-p", "shop"]).expect_error(2, "nothing is named");
    server.run(&user, &["guards", "show", "-e", "next"]).expect_error(2, "whose environment");
    server.run(&user, &[&set[..], &["/nonexistent"]].concat()).expect_error(1, "/nonexistent");
}
