//! Domains: who owns a name, where it leads, which records it needs, and what each node sees of it.

use reqwest::Method;
use serde_json::{Value, json};
use temps_api::{AddressSeen, DomainSeen, RefusedSeen};

use crate::common::{TestNode, Wires, read};

const NAME: &str = "/api/domains/shop.example.com";

/// A node with the project `shop`, which has a preview environment, and the project `api`.
async fn with_projects() -> TestNode {
    let node = TestNode::start().await;
    node.create_project("shop").await;
    node.create_project("api").await;
    let branch = json!({"branch": "next"});
    node.post("/api/projects/shop/environments", branch).await.ok();
    node
}

async fn add(node: &TestNode, name: &str) -> Value {
    node.post("/api/domains", json!({"name": name, "project": "shop"})).await.ok()
}

fn leads_here() -> DomainSeen {
    let address = "203.0.113.7".parse().unwrap();
    let addresses = vec![AddressSeen { address, leads_here: true, why: None }];
    DomainSeen { addresses, ..DomainSeen::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_added_shown_changed_and_deleted() {
    let node = with_projects().await;
    let body = json!({"name": "Shop.Example.com.", "project": "shop", "paths": {"/api/": "api"},
        "redirect": {"to": "https://www.example.com/"}});
    let answer = node.post("/api/domains", body).await;
    assert_eq!(answer.status, 201);
    let made = answer.ok();
    assert_eq!((&made["name"], &made["project"]), (&json!("shop.example.com"), &json!("shop")));
    assert_eq!(made["environment"], "production");
    assert_eq!(made["redirect"], json!({"to": "https://www.example.com/", "status": 301}));
    assert_eq!(made["paths"], json!({"/api": "api/production"}));
    assert_eq!(made["status"], "waiting_for_dns");
    assert_eq!((&made["certificate"], &made["order"]), (&Value::Null, &Value::Null));
    let text = made["records"].as_array().unwrap().last().unwrap();
    assert_eq!((&text["type"], &text["required"]), (&json!("TXT"), &json!(false)), "{made}");
    assert_eq!(text["name"], "_temps-challenge.shop.example.com");
    assert_eq!(text["value"].as_str().unwrap().len(), 43, "{text}");

    let shown = node.get(NAME).await;
    let etag = shown.header("etag").to_owned();
    assert_eq!(shown.ok()["records"], made["records"], "the proof stays");
    let change = json!({"environment": "next", "redirect": null});
    let change = node.admin(Method::PATCH, NAME).json(&change).header("if-match", &etag);
    let changed = read(change).await.ok();
    assert_eq!((&changed["environment"], &changed["redirect"]), (&json!("next"), &Value::Null));
    assert_eq!(changed["paths"], json!({"/api": "api/production"}), "what is left out stays");
    let late = node.admin(Method::PATCH, NAME).json(&json!({})).header("if-match", &etag);
    read(late).await.problem(412, "changed");
    let elsewhere = node.patch(NAME, json!({"project": "api", "paths": {}})).await.ok();
    assert_eq!((&elsewhere["project"], &elsewhere["paths"]), (&json!("api"), &json!({})));
    assert_eq!(elsewhere["environment"], "production");

    let late = node.admin(Method::DELETE, NAME).header("if-match", &etag);
    read(late).await.problem(412, "changed");
    assert_eq!(node.delete(NAME).await.status, 204);
    let gone = node.get(NAME).await.problem(404, "not_found");
    assert!(gone["hint"].as_str().unwrap().contains("temps domains list"), "{gone}");
    node.delete(NAME).await.problem(404, "not_found");
    let audit = node.get("/api/audit/logs").await.ok();
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().map(|a| &a["action"]).collect();
    for action in ["domain.create", "domain.change", "domain.delete"] {
        assert!(actions.contains(&&json!(action)), "{action} is missing: {actions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_domain_can_be_is_refused_with_the_field() {
    let node = with_projects().await;
    add(&node, "shop.example.com").await;
    let taken = json!({"name": "shop.example.com", "project": "api"});
    let taken = node.post("/api/domains", taken).await.problem(409, "taken");
    assert!(taken["hint"].as_str().unwrap().contains("temps domains list"), "{taken}");
    let with = |field: &str, value: Value| {
        let mut body = json!({"name": "new.example.com", "project": "shop"});
        body[field] = value;
        body
    };
    for (body, field) in [
        (with("name", json!("localhost")), "name"),
        (with("name", json!("10.0.0.1")), "name"),
        (with("name", json!("shop.temps.internal")), "name"),
        (with("redirect", json!({"to": "example.com"})), "redirect.to"),
        (with("redirect", json!({"to": "https://new.example.com/x"})), "redirect.to"),
        (with("redirect", json!({"to": "https://e.com", "status": 200})), "redirect.status"),
        (with("paths", json!({"api": "api"})), "paths.api"),
        (with("owner", json!("me")), ""),
    ] {
        let problem = node.post("/api/domains", body).await.problem(422, "invalid");
        assert!(field.is_empty() || problem["field"] == field, "{field}: {problem}");
    }
    let own = with("name", json!("shop-production.localho.st"));
    node.post("/api/domains", own).await.problem(422, "invalid");
    for body in [
        with("project", json!("nobody")),
        with("environment", json!("nowhere")),
        with("paths", json!({"/api": "api/nowhere"})),
    ] {
        node.post("/api/domains", body).await.problem(404, "not_found");
    }
    node.patch(NAME, json!({"environment": "nowhere"})).await.problem(404, "not_found");
    node.patch(NAME, json!({"redirect": {"to": "x"}})).await.problem(422, "invalid");
    node.patch("/api/domains/none.example.com", json!({})).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_write_changes_domains() {
    let node = with_projects().await;
    add(&node, "shop.example.com").await;
    let key = node.user_key("reader").await;
    let ask = |method, path: &str, body: Value| {
        read(node.anonymous(method, path).bearer_auth(&key).json(&body))
    };
    assert_eq!(ask(Method::GET, NAME, json!({})).await.status, 200);
    let body = json!({"name": "b.example.com", "project": "shop"});
    ask(Method::POST, "/api/domains", body).await.problem(403, "forbidden");
    ask(Method::PATCH, NAME, json!({})).await.problem(403, "forbidden");
    ask(Method::DELETE, NAME, json!({})).await.problem(403, "forbidden");
    ask(Method::POST, &format!("{NAME}/verify"), json!({})).await.problem(403, "forbidden");
    read(node.anonymous(Method::GET, NAME)).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_adds_a_domain_once() {
    let node = with_projects().await;
    let post = || {
        let body = json!({"name": "shop.example.com", "project": "shop"});
        let request = node.admin(Method::POST, "/api/domains").json(&body);
        read(request.header("idempotency-key", "k1"))
    };
    let first = post().await.ok();
    let again = post().await;
    assert_eq!(again.status, 201);
    assert_eq!(again.ok()["records"], first["records"], "and its proof is the first one's");
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_are_listed_in_pages_and_by_where_they_lead() {
    let node = with_projects().await;
    for name in ["a.example.com", "b.example.com", "*.example.com"] {
        add(&node, name).await;
    }
    let body = json!({"name": "c.example.com", "project": "api", "paths": {"/s": "shop/next"}});
    node.post("/api/domains", body).await.ok();
    let names = async |query: &str| {
        let list = node.get(&format!("/api/domains{query}")).await.ok();
        let names = list["items"].as_array().unwrap().iter();
        names.map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["*.example.com", "a.example.com", "b.example.com", "c.example.com"];
    assert_eq!(names("").await, all);
    let first = node.get("/api/domains?limit=2").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(names(&format!("?limit=2&cursor={cursor}")).await, all[2..]);
    assert_eq!(names("?project=api").await, ["c.example.com"]);
    assert_eq!(names("?project=shop").await, all, "a path counts, too");
    assert_eq!(names("?project=shop&environment=next").await, ["c.example.com"]);
    node.get("/api/domains?environment=next").await.problem(422, "invalid");
    node.get("/api/domains?project=nobody").await.problem(404, "not_found");
    assert_eq!(node.get("/api/domains/%2A.example.com").await.ok()["name"], "*.example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_verified_once_its_proof_is_seen() {
    let node = with_projects().await;
    let made = add(&node, "shop.example.com").await;
    let verify = format!("{NAME}/verify");
    let why = Some("a web server answers there that is not of this cluster".to_owned());
    let address = "203.0.113.7".parse().unwrap();
    let addresses = vec![AddressSeen { address, leads_here: false, why: why.clone() }];
    node.looks.see(DomainSeen { addresses, ..DomainSeen::default() });
    let not_yet = node.post(&verify, json!({})).await.ok();
    assert_eq!(not_yet["proven"], false);
    assert_eq!(not_yet["domain"]["status"], "waiting_for_dns");
    assert_eq!(not_yet["look"]["addresses"][0]["why"], json!(why));

    node.looks.see(leads_here());
    let seen = node.post(&verify, json!({})).await.ok();
    assert_eq!((&seen["proven"], &seen["look"]["answered"]), (&json!(true), &json!(true)));
    assert_eq!(seen["domain"]["status"], "waiting_for_certificate");
    assert!(seen["domain"]["verified_at"].is_string());

    let mut settings = node.get("/api/settings").await.ok();
    settings["acme"]["enabled"] = json!(false);
    node.put("/api/settings", settings).await.ok();
    assert_eq!(node.get(NAME).await.ok()["status"], "without_certificate");

    add(&node, "*.example.com").await;
    let wildcard = "/api/domains/%2A.example.com";
    let verify = format!("{wildcard}/verify");
    assert_eq!(node.post(&verify, json!({})).await.ok()["proven"], false, "an address is not all");
    let records = node.get(wildcard).await.ok()["records"].clone();
    let proof = records.as_array().unwrap().last().unwrap();
    assert_eq!((&proof["name"], &proof["required"]), (&made_name(), &json!(true)));
    let txt = vec!["other".into(), proof["value"].as_str().unwrap().to_owned()];
    node.looks.see(DomainSeen { txt, ..DomainSeen::default() });
    assert_eq!(node.post(&verify, json!({})).await.ok()["proven"], true);
    node.post("/api/domains/b.example.com/verify", json!({})).await.problem(404, "not_found");
    assert_ne!(made["records"], records);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_of_a_domain_verifies_no_other_one_that_takes_its_name() {
    let node = with_projects().await;
    add(&node, "shop.example.com").await;
    node.looks.see(leads_here());
    let (comes, go) = node.looks.stop_next();
    let meanwhile = async {
        comes.await.unwrap();
        assert_eq!(node.delete(NAME).await.status, 204);
        let other = json!({"name": "shop.example.com", "project": "api"});
        node.post("/api/domains", other).await.ok();
        go.send(()).unwrap();
    };
    let verify = format!("{NAME}/verify");
    let (verified, ()) = tokio::join!(node.post(&verify, json!({})), meanwhile);
    verified.problem(412, "changed");
    let other = node.get(NAME).await.ok();
    assert_eq!((&other["project"], &other["verified_at"]), (&json!("api"), &Value::Null));
    assert_eq!(node.post(&verify, json!({})).await.ok()["proven"], true);
}

fn made_name() -> Value {
    json!("_temps-challenge.example.com")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_what_it_sees() {
    let wires = Wires::default();
    let one = TestNode::that_meets(&wires).await;
    let two = one.joined_by(&wires).await;
    one.create_project("shop").await;
    add(&one, "*.example.com").await;
    one.looks.see(leads_here());
    let now = jiff::Timestamp::now();
    let refused = Some(RefusedSeen { count: 3, last: now });
    let problem = Some("the name is not there".to_owned());
    two.looks.see(DomainSeen { refused, problem, certificate: Some(now), ..Default::default() });
    let path = "/api/domains/%2A.example.com/look";
    let looks = one.get(path).await.ok();
    let (here, there) = (&looks[0], &looks[1]);
    assert_eq!((&here["node"], &here["answered"]), (&json!(one.cluster.node_id()), &json!(true)));
    assert_eq!(here["addresses"][0]["leads_here"], true);
    assert_eq!((&here["refused"], &here["certificate"]), (&Value::Null, &Value::Null));
    assert_eq!((&there["answered"], &there["refused"]["count"]), (&json!(true), &json!(3)));
    assert_eq!(
        (&there["problem"], there["addresses"].as_array().unwrap().len()),
        (&json!("the name is not there"), 0)
    );
    assert!(there["certificate"].is_string());

    wires.cut(two.cluster.node_id());
    let looks = one.get(path).await.ok();
    assert_eq!((&looks[0]["answered"], &looks[1]["answered"]), (&json!(true), &json!(false)));
    let why = looks[1]["problem"].as_str().unwrap();
    assert!(why.contains("does not answer"), "{looks}");
    one.get("/api/domains/b.example.com/look").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_headers_hold_from_the_cluster_down_to_an_environment() {
    let node = with_projects().await;
    let path = |scope: &str| format!("/api/header-policies/{scope}");
    let unset = node.get(&path("shop/next")).await.ok();
    assert_eq!((&unset["scope"], &unset["preset"]), (&json!("shop/next"), &json!("inherit")));
    assert_eq!(unset["effective"], json!({"scope": null, "preset": "off", "headers": {}}));

    node.put(&path("cluster"), json!({"preset": "moderate"})).await.ok();
    let headers = json!({"X-Frame-Options": "DENY"});
    let custom = json!({"preset": "custom", "headers": headers});
    let set = node.put(&path("shop"), custom).await;
    let etag = set.header("etag").to_owned();
    let lower = json!({"x-frame-options": "DENY"});
    assert_eq!(set.ok()["headers"], lower);
    let held = |scope: &str, preset: &str, headers: Value| json!({"scope": scope, "preset": preset, "headers": headers});
    let effective = async |scope: &str| node.get(&path(scope)).await.ok()["effective"].clone();
    assert_eq!(effective("shop/next").await, held("shop", "custom", lower));
    assert_eq!(effective("api").await, held("cluster", "moderate", json!({})));
    node.put(&path("shop/next"), json!({"preset": "strict"})).await.ok();
    assert_eq!(effective("shop/next").await, held("shop/next", "strict", json!({})));
    let id = node.get("/api/projects/shop/environments/next").await.ok()["id"].clone();
    assert_eq!(node.get(&path(id.as_str().unwrap())).await.ok()["scope"], "shop/next");
    node.put(&path("shop/next"), json!({"preset": "inherit"})).await.ok();
    node.put(&path("shop"), json!({"preset": "off"})).await.ok();
    assert_eq!(effective("shop/next").await, held("shop", "off", json!({})));
    let late = node.admin(Method::PUT, &path("shop")).json(&json!({"preset": "strict"}));
    read(late.header("if-match", etag)).await.problem(412, "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_headers_that_cannot_be_are_refused() {
    let node = with_projects().await;
    let path = "/api/header-policies/shop";
    for (body, field) in [
        (json!({"preset": "paranoid"}), "preset"),
        (json!({"preset": "custom"}), "headers"),
        (json!({"preset": "strict", "headers": {"x": "y"}}), "headers"),
        (json!({"preset": "custom", "headers": {"Transfer-Encoding": "chunked"}}), "headers"),
        (json!({"preset": "custom", "headers": {"x y": "z"}}), ""),
        (json!({"preset": "custom", "headers": {"x": "a\r\nb: c"}}), ""),
        (json!({}), ""),
    ] {
        let problem = node.put(path, body).await.problem(422, "invalid");
        assert!(field.is_empty() || problem["field"] == field, "{field}: {problem}");
    }
    let strict = json!({"preset": "strict"});
    for scope in ["nobody", "shop/nowhere", "prj_00000000000000000000000000"] {
        let path = format!("/api/header-policies/{scope}");
        node.put(&path, strict.clone()).await.problem(404, "not_found");
        node.get(&path).await.problem(404, "not_found");
    }
    let user = node.user_key("user").await;
    let ask = |scope: &str| {
        let request = node.anonymous(Method::PUT, &format!("/api/header-policies/{scope}"));
        read(request.bearer_auth(&user).json(&strict))
    };
    assert_eq!(ask("shop/production").await.status, 200);
    ask("cluster").await.problem(403, "forbidden");
    let audit = node.get("/api/audit/logs").await.ok();
    assert!(audit["items"].as_array().unwrap().iter().any(|a| a["action"] == "headers.set"));
}

/// The API of Cloudflare with one zone, as its reference has it, for whoever has the token.
async fn cloudflare() -> String {
    use axum::Json;
    use axum::http::{HeaderMap, StatusCode, Uri};
    let answer = |headers: HeaderMap, uri: Uri| async move {
        let known = headers
            .get("authorization")
            .is_some_and(|value| value == "Bearer t0ken" || value == "Bearer t0ken2");
        let zone = json!([{"id": "z1", "name": "example.com"}]);
        match (known, uri.path(), uri.query().unwrap_or_default()) {
            (false, ..) => {
                let errors = json!([{"code": 10000, "message": "Authentication error"}]);
                (StatusCode::FORBIDDEN, Json(json!({"success": false, "errors": errors})))
            }
            (_, "/zones", "name=example.com") => (StatusCode::OK, Json(json!({"result": zone}))),
            _ => (StatusCode::OK, Json(json!({"result": []}))),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dns_provider_is_asked_before_it_is_added_and_its_credentials_are_not_shown() {
    let node = TestNode::start().await;
    let endpoint = cloudflare().await;
    let body = |token: &str, zone: &str| {
        let credentials = json!({"token": token, "endpoint": endpoint});
        json!({"name": "cf", "type": "cloudflare", "zones": [zone], "credentials": credentials})
    };
    let add = |body: Value| node.post("/api/dns-providers", body);
    let wrong = add(body("s3cret", "example.com")).await.problem(422, "invalid");
    assert_eq!(wrong["field"], "credentials");
    assert!(wrong["detail"].as_str().unwrap().contains("Authentication error"), "{wrong}");
    assert!(!wrong.to_string().contains("s3cret"));
    let unknown = add(body("t0ken", "example.net")).await.problem(422, "invalid");
    assert_eq!(unknown["field"], "zones");
    let mut kind = body("t0ken", "example.com");
    kind["type"] = json!("bind");
    assert_eq!(add(kind).await.problem(422, "invalid")["field"], "type");
    let mut away = body("t0ken", "example.com");
    away["credentials"]["endpoint"] = json!("http://127.0.0.1:1");
    add(away).await.problem(503, "provider_unreachable");
    assert!(node.cluster.state().dns_providers.is_empty());

    let added = add(body("t0ken", "example.com")).await;
    assert_eq!(added.status, 201);
    let added = added.ok();
    assert_eq!((&added["type"], &added["records"]), (&json!("cloudflare"), &json!([])));
    let listed = node.get("/api/dns-providers").await;
    assert!(!listed.text.contains("t0ken") && !listed.text.contains("credentials"));
    assert_eq!(listed.ok()["items"], json!([added]));
    assert_eq!(node.get("/api/dns-providers/cf").await.ok(), added);
    add(body("t0ken", "example.com")).await.problem(409, "taken");
    let patch = |body: Value| node.patch("/api/dns-providers/cf", body);
    let refused = patch(json!({"credentials": body("s3cret", "")["credentials"]})).await;
    assert_eq!(refused.problem(422, "invalid")["field"], "credentials");
    assert_eq!(
        patch(json!({"zones": ["example.net"]})).await.problem(422, "invalid")["field"],
        "zones"
    );
    let changed = patch(json!({"credentials": body("t0ken2", "")["credentials"]})).await.ok();
    assert_eq!(changed, added);
    let changed = patch(json!({"zones": ["example.com"], "takes_over": true})).await.ok();
    assert_eq!((&changed["takes_over"], &changed["zones"]), (&json!(true), &added["zones"]));
    let id = node.cluster.state().dns_providers.values().next().unwrap().id;
    let kept = node.cluster.state().dns_providers[&id].credentials.clone();
    let kept = node.cluster.open(&temps_state::DnsProvider::place(id), &kept).unwrap();
    assert!(kept.contains("t0ken2"), "the new ones are kept");
    let healthy = node.get("/api/status").await.ok();
    assert_eq!(healthy["failing_dns_providers"], json!([]));
    let command = temps_state::Command::KeepDnsRecords {
        id,
        managed: Default::default(),
        error: Some("example.com: no".into()),
    };
    let actor = temps_state::Actor::Node { id: node.cluster.node_id() };
    node.cluster.propose(temps_raft::Proposal::new(actor, command)).await.unwrap();
    let failing = &node.get("/api/status").await.ok()["failing_dns_providers"];
    assert_eq!(
        (&failing[0]["name"], &failing[0]["error"]),
        (&json!("cf"), &json!("example.com: no"))
    );
    let metrics = node.get("/metrics").await.text;
    assert!(metrics.contains("\ntemps_dns_providers_failing 1"), "{metrics}");
    let audit = node.get("/api/audit/logs").await.text;
    assert!(audit.contains("dns.provider.add") && !audit.contains("t0ken"), "{audit}");
    assert!(audit.contains("dns.provider.change"), "{audit}");
    assert_eq!(node.delete("/api/dns-providers/cf").await.status, 204);
    node.get("/api/dns-providers/cf").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_and_a_name_server_never_share_a_name() {
    let node = with_projects().await;
    let zones = |zones: Value| json!({"dns": {"zones": zones}});
    node.put("/api/settings", zones(json!(["example.com"]))).await.ok();
    let taken = json!({"name": "ns-1.example.com", "project": "shop"});
    let problem = node.post("/api/domains", taken.clone()).await.problem(422, "invalid");
    assert_eq!(problem["field"], "name");
    assert!(problem["detail"].as_str().unwrap().contains("the cluster's zone example.com"));
    add(&node, "ns-one.example.com").await;

    node.put("/api/settings", zones(json!([]))).await.ok();
    node.post("/api/domains", taken).await.ok();
    let problem = node.put("/api/settings", zones(json!(["example.com"]))).await;
    let problem = problem.problem(422, "invalid");
    assert_eq!(problem["field"], "dns.zones");
    assert!(problem["detail"].as_str().unwrap().contains("remove the domain ns-1.example.com"));
}
