//! Requests that change something and are sent twice under one `Idempotency-Key`, to two nodes: every route that there is.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{ADMIN, Answer, PASSWORD, TestNode, Wires, read};

const PRODUCTION: &str = "/api/projects/shop/environments/production";

/// Routes that ask the cluster for no change of its state, or are tested where what they need is.
const ELSEWHERE: &[(&str, &str)] = &[
    ("post /api/auth/login", "every login is a session of its own"),
    ("post /api/logout", "the session is gone, whoever asks again"),
    ("post /api/uploads", "an archive is named by its digest"),
    ("post /api/detections", "looks, and changes nothing"),
    ("post /api/binaries/{digest}", "a binary is named by its digest"),
    ("post /api/nodes/{n}/upgrade", "the same binary again joins in: node/tests/upgrade.rs"),
    ("post /api/webhook/git/{server}/{p}", "a delivery has an id of its own: webhooks.rs"),
    ("post /api/projects/{p}/deployments/{d}/rollback", "needs a version to go back to: nodes.rs"),
    ("post /api/certificates", "needs a certificate: certificates.rs"),
    ("delete /api/certificates/{id}", "needs a certificate: certificates.rs"),
    ("post /api/dns-providers", "needs a provider: providers/tests"),
    ("patch /api/dns-providers/{id}", "needs a provider: providers/tests"),
    ("delete /api/dns-providers/{id}", "needs a provider: providers/tests"),
    ("post /api/domains/{domain}/verify", "changes nothing before the name leads here: domains.rs"),
];

/// A request, and the route that it goes to.
struct Ask {
    method: Method,
    route: &'static str,
    path: String,
    body: Option<Value>,
}

fn ask(method: Method, route: &'static str, path: &str, body: Value) -> Ask {
    let body = Some(body).filter(|body| !body.is_null());
    Ask { method, route, path: path.into(), body }
}

impl Ask {
    fn route(&self) -> String {
        format!("{} {}", self.method.as_str().to_lowercase(), self.route)
    }

    async fn send(&self, node: &TestNode, key: &str) -> Answer {
        let request = node.admin(self.method.clone(), &self.path).header("idempotency-key", key);
        read(match &self.body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }
}

/// All in an order in which each takes effect.
fn asks(ids: &Ids) -> Vec<Ask> {
    const PROJECT: &str = "/api/projects/{p}";
    const ENVIRONMENT: &str = "/api/projects/{p}/environments/{e}";
    let (get_on, delete) = (Method::PATCH, Method::DELETE);
    let of = |rest: &str| format!("{PRODUCTION}/{rest}");
    let scale = "/api/projects/{p}/environments/{e}/scale";
    let variables = "/api/projects/{p}/environments/{e}/env-vars";
    let variable = json!({"variables": [{"name": "A", "value": "1"}]});
    let image = json!({"source": {"type": "image", "reference": "nginx:1"}});
    let cancel = "/api/projects/{p}/deployments/{d}/cancel";
    let (guard, policy) = (json!({"deny": ["192.0.2.0/24"]}), json!({"preset": "strict"}));
    let place = "/api/header-policies/{p}/{e}";
    let callers = "/api/projects/{p}/callers/{caller}";
    let domain = json!({"name": "shop.example.com", "project": "shop"});
    let key = json!({"name": "ci"});
    let node = format!("/api/nodes/{}", ids.node);
    let user = json!({"email": "a@b.c", "role": "user", "password": PASSWORD});
    vec![
        ask(Method::POST, "/api/projects", "/api/projects", json!({"name": "blog"})),
        ask(get_on.clone(), PROJECT, "/api/projects/shop", json!({"previews": false})),
        ask(
            Method::POST,
            "/api/projects/{p}/webhook-secret",
            "/api/projects/shop/webhook-secret",
            Value::Null,
        ),
        ask(Method::PUT, callers, "/api/projects/shop/callers/blog", Value::Null),
        ask(delete.clone(), callers, "/api/projects/shop/callers/blog", Value::Null),
        ask(
            Method::POST,
            "/api/projects/{p}/environments",
            "/api/projects/shop/environments",
            json!({"branch": "next"}),
        ),
        ask(delete.clone(), ENVIRONMENT, "/api/projects/shop/environments/next", Value::Null),
        ask(Method::PUT, scale, &of("scale"), json!({"replicas": 2})),
        ask(Method::PUT, variables, &of("env-vars"), variable),
        ask(
            delete.clone(),
            "/api/projects/{p}/environments/{e}/env-vars/{name}",
            &of("env-vars/A"),
            Value::Null,
        ),
        ask(Method::POST, "/api/projects/{p}/deployments", "/api/projects/shop/deployments", image),
        ask(Method::POST, cancel, "/api/projects/shop/deployments/1/cancel", Value::Null),
        ask(get_on.clone(), "/api/guards", "/api/guards", guard.clone()),
        ask(delete.clone(), "/api/guards", "/api/guards", Value::Null),
        ask(get_on.clone(), "/api/projects/{p}/guard", "/api/projects/shop/guard", guard.clone()),
        ask(delete.clone(), "/api/projects/{p}/guard", "/api/projects/shop/guard", Value::Null),
        ask(get_on.clone(), "/api/projects/{p}/environments/{e}/guard", &of("guard"), guard),
        ask(delete.clone(), "/api/projects/{p}/environments/{e}/guard", &of("guard"), Value::Null),
        ask(
            Method::PUT,
            "/api/header-policies/{scope}",
            "/api/header-policies/shop",
            policy.clone(),
        ),
        ask(Method::PUT, place, "/api/header-policies/shop/production", policy),
        ask(Method::POST, "/api/domains", "/api/domains", domain),
        ask(
            get_on.clone(),
            "/api/domains/{domain}",
            "/api/domains/shop.example.com",
            json!({"project": "blog"}),
        ),
        ask(delete.clone(), "/api/domains/{domain}", "/api/domains/shop.example.com", Value::Null),
        ask(Method::PUT, "/api/settings", "/api/settings", json!({"preview_domain": "localho.st"})),
        ask(Method::POST, "/api/users", "/api/users", user),
        ask(
            get_on.clone(),
            "/api/users/{id}",
            &format!("/api/users/{}", ids.user),
            json!({"role": "reader"}),
        ),
        ask(delete.clone(), "/api/users/{id}", &format!("/api/users/{}", ids.user), Value::Null),
        ask(Method::POST, "/api/api-keys", "/api/api-keys", key),
        ask(
            delete.clone(),
            "/api/api-keys/{id}",
            &format!("/api/api-keys/{}", ids.api_key),
            Value::Null,
        ),
        ask(Method::POST, "/api/nodes/tokens", "/api/nodes/tokens", json!({"uses": 2})),
        ask(
            delete.clone(),
            "/api/nodes/tokens/{id}",
            &format!("/api/nodes/tokens/{}", ids.token),
            Value::Null,
        ),
        ask(
            delete.clone(),
            "/api/user/sessions/{id}",
            &format!("/api/user/sessions/{}", ids.session),
            Value::Null,
        ),
        ask(get_on, "/api/nodes/{n}", &node, json!({"labels": {"set": {"zone": "north"}}})),
        ask(Method::POST, "/api/nodes/{n}/drain", &format!("{node}/drain"), Value::Null),
        ask(Method::POST, "/api/nodes/{n}/undrain", &format!("{node}/undrain"), Value::Null),
        ask(delete.clone(), PROJECT, "/api/projects/shop", Value::Null),
        ask(delete, "/api/nodes/{n}", &format!("{node}?force=true"), Value::Null),
    ]
}

/// What is there before.
struct Ids {
    node: String,
    user: String,
    api_key: String,
    token: String,
    session: String,
}

async fn prepare(one: &TestNode, two: &TestNode) -> Ids {
    one.create_project("shop").await;
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let user = json!({"email": "b@b.c", "role": "user", "password": PASSWORD});
    let made = one.post("/api/users", user).await.ok();
    let key = one.post("/api/api-keys", json!({"name": "old"})).await.ok();
    let token = one.post("/api/nodes/tokens", json!({})).await.ok();
    one.log_in(ADMIN, PASSWORD).await;
    let sessions = one.get("/api/user/sessions").await.ok();
    let other = sessions["items"].as_array().unwrap().iter().find(|one| one["current"] == false);
    let node = two.cluster.node_id().to_string();
    let api_key = id(key.get("api_key").unwrap_or(&key));
    Ids { node, user: id(&made), api_key, token: id(&token), session: id(other.unwrap()) }
}

/// How many changes people made.
fn changes(node: &TestNode) -> usize {
    node.cluster.state().audit.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_for_twice_takes_effect_once() {
    let wires = Wires::default();
    let one = TestNode::that_meets(&wires).await;
    let two = one.joined_by(&wires).await;
    let ids = prepare(&one, &two).await;
    let mut known: BTreeSet<String> =
        ELSEWHERE.iter().map(|(route, _)| route.to_string()).collect();
    for ask in asks(&ids) {
        let route = ask.route();
        let before = changes(&one);
        let first = ask.send(&one, "k1").await;
        assert!(first.status.is_success(), "{route}: {}", first.text);
        assert_eq!(changes(&one), before + 1, "{route} is one change");
        // Whoever was removed answers nobody.
        let other = if route == "delete /api/nodes/{n}" { &one } else { &two };
        for node in [other, &one] {
            let again = ask.send(node, "k1").await;
            assert!(again.status.is_success(), "{route} again: {}", again.text);
        }
        assert_eq!(changes(&one), before + 1, "{route} takes effect once");
        assert!(known.insert(route.clone()), "{route} is there once");
    }
    assert_eq!(known, changing_routes(&one).await, "every route that changes something");
}

/// What the OpenAPI document lists under `/api` besides reading.
async fn changing_routes(node: &TestNode) -> BTreeSet<String> {
    let document = node.get("/api-docs/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap().iter();
    let paths = paths.filter(|(path, _)| path.starts_with("/api/"));
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            let changing = methods
                .filter(|method| ["post", "put", "patch", "delete"].contains(&method.as_str()));
            changing.map(move |method| format!("{method} {path}"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_for_another_change_is_refused() {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    let scale = |replicas: u32| {
        let request = node.admin(Method::PUT, &format!("{PRODUCTION}/scale"));
        read(request.header("idempotency-key", "k1").json(&json!({"replicas": replicas})))
    };
    scale(2).await.ok();
    scale(3).await.problem(422, "idempotency_key_reused");
    assert_eq!(node.get(PRODUCTION).await.ok()["replicas"], 2);
}
