//! Who gets in, and what they may do.
use reqwest::Method;
use serde_json::{Value, json};
use temps_state::{Command, Permission};

use crate::common::{ADMIN, PASSWORD, TestNode, read};

async fn log_in(node: &TestNode, email: &str, password: &str) -> crate::common::Answer {
    let body = json!({"email": email, "password": password});
    read(node.anonymous(Method::POST, "/api/auth/login").json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_sees_and_changes_only_with_its_csrf_token() {
    let node = TestNode::start().await;
    let answer = log_in(&node, "Admin@Example.com", PASSWORD).await;
    let cookie = answer.header("set-cookie").to_string();
    for attribute in ["session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    let (cookie, csrf) = node.log_in(ADMIN, PASSWORD).await;
    let with = |method, path: &str| node.anonymous(method, path).header("cookie", &cookie);
    let me = read(with(Method::GET, "/api/user/me")).await.ok();
    assert_eq!(me["user"]["email"], ADMIN);
    assert_eq!(me["csrf_token"], csrf.as_str());
    assert_eq!(me["permissions"].as_array().unwrap().len(), 5);
    let project = json!({"name": "shop"});
    let post = || with(Method::POST, "/api/projects").json(&project);
    read(post()).await.problem(403, "csrf");
    read(post().header("x-csrf-token", "wrong")).await.problem(403, "csrf");
    read(post().header("x-csrf-token", &csrf)).await.ok();
    read(with(Method::POST, "/api/logout").header("x-csrf-token", &csrf)).await.ok();
    read(with(Method::GET, "/api/user/me")).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_by_whose_they_are() {
    let node = TestNode::start().await;
    let user = json!({"email": "ada@example.com", "role": "admin", "password": PASSWORD});
    node.post("/api/users", user).await.ok();
    let (cookie, csrf) = node.log_in(ADMIN, PASSWORD).await;
    let (other, _) = node.log_in(ADMIN, PASSWORD).await;
    let (hers, _) = node.log_in("ada@example.com", PASSWORD).await;
    let with = |method, path: &str, cookie: &str| {
        node.anonymous(method, path).header("cookie", cookie).header("x-csrf-token", &csrf)
    };
    let listed = async |cookie: &str| {
        let listed = read(with(Method::GET, "/api/user/sessions", cookie)).await.ok();
        listed["items"].as_array().unwrap().clone()
    };
    let path = |session: &Value| format!("/api/user/sessions/{}", session["id"].as_str().unwrap());
    let own = listed(&cookie).await;
    let current: Vec<_> = own.iter().map(|one| one["current"].as_bool().unwrap()).collect();
    assert_eq!(current, [false, true, false], "the node's own, this one and the other");
    let theirs = listed(&hers).await;
    read(with(Method::DELETE, &path(&theirs[0]), &cookie)).await.problem(404, "not_found");
    read(with(Method::DELETE, &path(&own[2]), &cookie)).await.ok();
    read(with(Method::GET, "/api/user/me", &other)).await.problem(401, "unauthenticated");
    read(with(Method::GET, "/api/user/me", &hers)).await.ok();
    assert_eq!(listed(&cookie).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_is_secure() {
    let node = TestNode::start().await;
    let body = json!({"email": ADMIN, "password": PASSWORD});
    let login = node.anonymous(Method::POST, "/api/auth/login").json(&body);
    let answer = read(login.header("x-forwarded-proto", "https")).await;
    assert!(answer.header("set-cookie").contains("; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_are_alike_and_limited() {
    let node = TestNode::start().await;
    let unknown = log_in(&node, "nobody@example.com", PASSWORD).await.problem(401, "wrong_login");
    let wrong = log_in(&node, ADMIN, "not-the-password").await.problem(401, "wrong_login");
    assert_eq!(unknown["detail"], wrong["detail"]);
    for _ in 0..9 {
        log_in(&node, ADMIN, "not-the-password").await.problem(401, "wrong_login");
    }
    let limited = log_in(&node, ADMIN, PASSWORD).await;
    let seconds: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds));
    limited.problem(429, "too_many_logins");
    assert_eq!(node.get("/api/user/me").await.status, 200, "keys work on");
}

/// Every endpoint under /api that needs a caller, with the permission it needs.
fn endpoints() -> Vec<(Method, &'static str, Option<Permission>)> {
    use Permission::{Admin, Deploy, Exec, Read, Write};
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let (patch, delete) = (Method::PATCH, Method::DELETE);
    [
        (&post, "/api/logout", None),
        (&get, "/api/user/me", None),
        (&get, "/api/user/sessions", None),
        (&delete, "/api/user/sessions/{id}", None),
        (&get, "/api/api-keys", Some(Read)),
        (&post, "/api/api-keys", Some(Read)),
        (&delete, "/api/api-keys/{id}", Some(Read)),
        (&get, "/api/api-keys/permissions", Some(Read)),
        (&get, "/api/users", Some(Admin)),
        (&post, "/api/users", Some(Admin)),
        (&patch, "/api/users/{id}", Some(Admin)),
        (&delete, "/api/users/{id}", Some(Admin)),
        (&get, "/api/projects", Some(Read)),
        (&post, "/api/projects", Some(Write)),
        (&get, "/api/projects/{p}", Some(Read)),
        (&patch, "/api/projects/{p}", Some(Write)),
        (&delete, "/api/projects/{p}", Some(Write)),
        (&post, "/api/projects/{p}/webhook-secret", Some(Write)),
        (&get, "/api/projects/{p}/callers", Some(Read)),
        (&put, "/api/projects/{p}/callers/{caller}", Some(Write)),
        (&delete, "/api/projects/{p}/callers/{caller}", Some(Write)),
        (&get, "/api/projects/{p}/environments", Some(Read)),
        (&post, "/api/projects/{p}/environments", Some(Write)),
        (&get, "/api/projects/{p}/environments/{e}", Some(Read)),
        (&delete, "/api/projects/{p}/environments/{e}", Some(Write)),
        (&put, "/api/projects/{p}/environments/{e}/scale", Some(Write)),
        (&get, "/api/projects/{p}/environments/{e}/replicas", Some(Read)),
        (&get, "/api/projects/{p}/environments/{e}/replicas/{r}/exec", Some(Exec)),
        (&get, "/api/projects/{p}/environments/{e}/replicas/{r}/stats", Some(Read)),
        (&get, "/api/projects/{p}/environments/{e}/logs", Some(Read)),
        (&get, "/api/projects/{p}/environments/{e}/requests", Some(Read)),
        (&get, "/api/projects/{p}/environments/{e}/stats", Some(Read)),
        (&get, "/api/placement", Some(Read)),
        (&get, "/api/status/stream", Some(Read)),
        (&get, "/api/projects/{p}/environments/{e}/env-vars", Some(Read)),
        (&put, "/api/projects/{p}/environments/{e}/env-vars", Some(Write)),
        (&delete, "/api/projects/{p}/environments/{e}/env-vars/{name}", Some(Write)),
        (&get, "/api/domains", Some(Read)),
        (&post, "/api/domains", Some(Write)),
        (&get, "/api/domains/{domain}", Some(Read)),
        (&patch, "/api/domains/{domain}", Some(Write)),
        (&delete, "/api/domains/{domain}", Some(Write)),
        (&get, "/api/domains/{domain}/look", Some(Read)),
        (&post, "/api/domains/{domain}/verify", Some(Write)),
        (&get, "/api/certificates", Some(Read)),
        (&post, "/api/certificates", Some(Write)),
        (&get, "/api/certificates/{id}", Some(Read)),
        (&delete, "/api/certificates/{id}", Some(Write)),
        (&get, "/api/dns-providers", Some(Read)),
        (&post, "/api/dns-providers", Some(Admin)),
        (&get, "/api/dns-providers/{id}", Some(Read)),
        (&patch, "/api/dns-providers/{id}", Some(Admin)),
        (&delete, "/api/dns-providers/{id}", Some(Admin)),
        (&get, "/api/dns-zones", Some(Read)),
        (&get, "/api/dns-zones/{zone}", Some(Read)),
        (&get, "/api/header-policies/{scope}", Some(Read)),
        (&put, "/api/header-policies/{scope}", Some(Write)),
        (&get, "/api/header-policies/{p}/{e}", Some(Read)),
        (&put, "/api/header-policies/{p}/{e}", Some(Write)),
        (&get, "/api/guards", Some(Read)),
        (&patch, "/api/guards", Some(Admin)),
        (&delete, "/api/guards", Some(Admin)),
        (&get, "/api/projects/{p}/guard", Some(Read)),
        (&patch, "/api/projects/{p}/guard", Some(Write)),
        (&delete, "/api/projects/{p}/guard", Some(Write)),
        (&get, "/api/projects/{p}/environments/{e}/guard", Some(Read)),
        (&patch, "/api/projects/{p}/environments/{e}/guard", Some(Write)),
        (&delete, "/api/projects/{p}/environments/{e}/guard", Some(Write)),
        (&post, "/api/uploads", Some(Deploy)),
        (&post, "/api/detections", Some(Deploy)),
        (&get, "/api/projects/{p}/deployments", Some(Read)),
        (&post, "/api/projects/{p}/deployments", Some(Deploy)),
        (&get, "/api/projects/{p}/deployments/{d}", Some(Read)),
        (&post, "/api/projects/{p}/deployments/{d}/cancel", Some(Deploy)),
        (&post, "/api/projects/{p}/deployments/{d}/rollback", Some(Deploy)),
        (&get, "/api/projects/{p}/deployments/{d}/events", Some(Read)),
        (&get, "/api/projects/{p}/deployments/{d}/logs", Some(Read)),
        (&get, "/api/status", Some(Read)),
        (&get, "/api/changes", Some(Read)),
        (&get, "/api/nodes", Some(Read)),
        (&get, "/api/nodes/{n}", Some(Read)),
        (&patch, "/api/nodes/{n}", Some(Admin)),
        (&delete, "/api/nodes/{n}", Some(Admin)),
        (&post, "/api/nodes/{n}/drain", Some(Admin)),
        (&post, "/api/nodes/{n}/undrain", Some(Admin)),
        (&get, "/api/nodes/{n}/upgrade", Some(Read)),
        (&post, "/api/nodes/{n}/upgrade", Some(Admin)),
        (&post, "/api/binaries/{digest}", Some(Admin)),
        (&get, "/api/nodes/tokens", Some(Admin)),
        (&post, "/api/nodes/tokens", Some(Admin)),
        (&delete, "/api/nodes/tokens/{id}", Some(Admin)),
        (&get, "/api/settings", Some(Read)),
        (&put, "/api/settings", Some(Admin)),
        (&get, "/api/audit/logs", Some(Admin)),
    ]
    .map(|(method, path, needs)| (method.clone(), path, needs))
    .into()
}

/// What anybody may ask for.
const PUBLIC: [&str; 9] = [
    "/api/auth/login",
    "/api/webhook/git/{server}/{p}",
    "/api/schema/temps.json",
    "/healthz",
    "/readyz",
    "/metrics",
    "/git/{repository}/info/refs",
    "/git/{repository}/git-upload-pack",
    "/git/{repository}/git-receive-pack",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_lists_every_route_and_nothing_else() {
    let node = TestNode::start().await;
    let document = read(node.anonymous(Method::GET, "/api-docs/openapi.json")).await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            check_operation(path, operation);
            documented.push((method, path.clone()));
        }
    }
    let mut known: Vec<_> =
        endpoints().into_iter().map(|(method, path, _)| (method, path.to_string())).collect();
    documented.retain(|(_, path)| !PUBLIC.contains(&path.as_str()));
    let order = |(method, path): &(Method, String)| (path.clone(), method.to_string());
    documented.sort_by_key(order);
    known.sort_by_key(order);
    assert_eq!(documented, known);
    for path in PUBLIC {
        assert!(document["paths"][path].is_object(), "{path} is missing");
    }
    let page = read(node.anonymous(Method::GET, "/swagger-ui/")).await;
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
}

/// Every operation says what it does and names its path's parameters; every schema it refers to is there.
fn check_operation(path: &str, operation: &Value) {
    assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    for name in path.split('/').filter_map(|step| step.strip_prefix('{')?.strip_suffix('}')) {
        assert!(parameters.iter().any(|p| p["name"] == name && p["in"] == "path"), "{path} {name}");
    }
    assert!(operation["responses"]["default"].is_object(), "{path} has no problems");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_schema_that_is_referred_to_is_there() {
    let node = TestNode::start().await;
    let document = read(node.anonymous(Method::GET, "/api-docs/openapi.json")).await;
    let schemas = document.json()["components"]["schemas"].clone();
    for reference in document.text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas[name].is_object(), "{name} is missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_refuses_nobody_and_those_who_may_not() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let keys = [("reader", node.user_key("reader").await), ("user", node.user_key("user").await)];
    for (method, template, needs) in endpoints() {
        let path = template
            .replace("{p}", "shop")
            .replace("{e}", "production")
            .replace("{d}", "1")
            .replace("{id}", "usr_00000000000000000000000000");
        let nobody = read(node.anonymous(method.clone(), &path)).await;
        nobody.problem(401, "unauthenticated");
        let expired = node.anonymous(method.clone(), &path).bearer_auth("tk_unknown");
        read(expired).await.problem(401, "unauthenticated");
        let Some(needs) = needs else { continue };
        for (role, key) in &keys {
            let request = node.anonymous(method.clone(), &path).bearer_auth(key);
            let role: temps_state::Role = role.parse().unwrap();
            match role.permits(needs) {
                false => drop(read(request).await.problem(403, "forbidden")),
                // Not read: a stream of changes has no end.
                true => {
                    let status = request.send().await.unwrap().status();
                    assert_ne!(status, 403, "{role:?} {method} {path}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_key_cannot_make_itself_a_larger_one() {
    let node = TestNode::start().await;
    let body = json!({"name": "ci", "permissions": ["read", "deploy"], "expires_in_days": 30});
    let made = node.post("/api/api-keys", body).await.ok();
    assert_eq!(made["permissions"], json!(["read", "deploy"]));
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("tk_"));
    let with = |method, path| node.anonymous(method, path).bearer_auth(key);
    read(with(Method::GET, "/api/projects")).await.ok();
    let project = json!({"name": "shop"});
    let refused = read(with(Method::POST, "/api/projects").json(&project)).await;
    assert!(refused.problem(403, "forbidden")["detail"].as_str().unwrap().contains("`write`"));
    let more = json!({"name": "more", "permissions": ["admin"]});
    read(with(Method::POST, "/api/api-keys").json(&more)).await.problem(403, "escalation");
    let same = read(with(Method::POST, "/api/api-keys").json(&json!({"name": "same"}))).await.ok();
    assert_eq!(same["permissions"], json!(["read", "deploy"]));
    let list = node.get("/api/api-keys").await;
    assert!(!list.text.contains(key), "a key is shown once");
    let id = made["id"].as_str().unwrap();
    node.delete(&format!("/api/api-keys/{id}")).await.ok();
    read(with(Method::GET, "/api/projects")).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_expire_and_strangers_keys_are_not_there() {
    let node = TestNode::start().await;
    let past = json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"});
    node.post("/api/api-keys", past).await.problem(422, "invalid");
    let reader = node.user_key("reader").await;
    let foreign = node.get("/api/api-keys").await.ok()["items"].as_array().unwrap().clone();
    assert_eq!(foreign.len(), 2, "an admin sees all");
    let own = read(node.anonymous(Method::GET, "/api/api-keys").bearer_auth(&reader)).await.ok();
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    let admins = foreign.iter().find(|key| key["name"] == "tests").unwrap();
    let path = format!("/api/api-keys/{}", admins["id"].as_str().unwrap());
    let refused = read(node.anonymous(Method::DELETE, &path).bearer_auth(&reader)).await;
    refused.problem(404, "not_found");
    let state = node.cluster.state();
    let mut key = state.api_keys.values().find(|key| key.name == "reader").unwrap().clone();
    node.delete(&format!("/api/api-keys/{}", key.id)).await.ok();
    key.expires_at = Some(jiff::Timestamp::UNIX_EPOCH);
    let actor = temps_state::Actor::Node { id: node.cluster.node_id() };
    let again = temps_raft::Proposal::new(actor, Command::CreateApiKey { key });
    node.cluster.propose(again).await.unwrap();
    let late = node.anonymous(Method::GET, "/api/user/me").bearer_auth(&reader);
    read(late).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_change_their_own_password_and_nothing_more() {
    let node = TestNode::start().await;
    let reader = node.user_key("reader").await;
    let me = read(node.anonymous(Method::GET, "/api/user/me").bearer_auth(&reader)).await.ok();
    let path = format!("/api/users/{}", me["user"]["id"].as_str().unwrap());
    let change =
        |body: Value| read(node.anonymous(Method::PATCH, &path).bearer_auth(&reader).json(&body));
    change(json!({"role": "admin"})).await.problem(403, "forbidden");
    change(json!({"password": "short"})).await.problem(422, "invalid");
    change(json!({"password": "another-password"})).await.ok();
    node.log_in("reader@example.com", "another-password").await;
    log_in(&node, "reader@example.com", PASSWORD).await.problem(401, "wrong_login");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_stays_and_a_generated_password_works() {
    let node = TestNode::start().await;
    let users = node.get("/api/users").await.ok();
    let admin = users["items"][0]["id"].as_str().unwrap().to_string();
    node.delete(&format!("/api/users/{admin}")).await.problem(409, "last_admin");
    let body = json!({"email": "New@Example.com", "role": "user"});
    let added = node.post("/api/users", body.clone()).await.ok();
    let password = added["password"].as_str().unwrap();
    assert!(password.len() >= 20);
    node.log_in("new@example.com", password).await;
    node.post("/api/users", body).await.problem(409, "taken");
    let none = json!({"email": "not an address", "role": "user"});
    assert_eq!(node.post("/api/users", none).await.problem(422, "invalid")["field"], "email");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_gets_one_admin() {
    let folder = tempfile::tempdir().unwrap();
    let config = temps_raft::Config { data_dir: folder.path().into(), peer: None };
    let cluster = temps_raft::Cluster::start(config).await.unwrap();
    let short = temps_api::ensure_admin(&cluster, ADMIN, Some("short".into())).await;
    assert!(matches!(short, Err(temps_api::ApiError::Invalid { .. })));
    let password = temps_api::ensure_admin(&cluster, ADMIN, None).await.unwrap().unwrap();
    assert!(password.len() >= 20);
    assert!(matches!(temps_api::ensure_admin(&cluster, "b@example.com", None).await, Ok(None)));
    assert_eq!(cluster.state().users.len(), 1);
    cluster.stop().await.unwrap();
}
