//! Names of teams' own: where they lead, by host and by path, and what the edge answers there by itself.

use temps_state::*;

use crate::support::upstream::Upstream;
use crate::support::{TestEdge, body, header, host, status};

fn away(to: &str, status: RedirectStatus) -> Option<Redirect> {
    Some(Redirect { to: to.into(), status })
}

#[tokio::test]
async fn a_domain_leads_by_its_name_its_wildcard_and_its_paths() {
    let mut edge = TestEdge::start().await;
    let (shop, api, blog) = (
        Upstream::start("shop").await,
        Upstream::start("api").await,
        Upstream::start("blog").await,
    );
    let to_shop = edge.app("shop", &[shop.addr]).await;
    let to_api = edge.app("api", &[api.addr]).await;
    let to_blog = edge.app("blog", &[blog.addr]).await;
    edge.domain_with(
        "shop.example.com",
        to_shop,
        None,
        &[("/api", to_api), ("/api/blog", to_blog)],
    )
    .await;
    edge.domain("*.example.com", to_blog).await;
    for (host, path, app) in [
        ("shop.example.com", "/", "shop"),
        ("SHOP.example.com.:8080", "/apis", "shop"),
        ("shop.example.com", "/api", "api"),
        ("shop.example.com", "/api/x?y", "api"),
        ("shop.example.com", "/api/blog/x", "blog"),
        ("other.example.com", "/api", "blog"),
        ("shop-production.localho.st", "/api", "shop"),
    ] {
        assert_eq!(body(&edge.ask("GET", host, path).await), app, "{host}{path}");
    }
    for host in ["example.com", "a.shop.example.com", "example.org"] {
        assert_eq!(status(&edge.ask("GET", host, "/").await), 503, "{host}");
    }
    let name = "shop.example.com".parse().unwrap();
    edge.apply(Command::DeleteDomain { name }).await;
    assert_eq!(body(&edge.ask("GET", "shop.example.com", "/api").await), "blog");
}

#[tokio::test]
async fn a_domain_sends_its_clients_away() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let environment = edge.app("shop", &[app.addr]).await;
    let kept: &[_] = &[("/kept", environment)];
    for (name, to, how, paths) in [
        ("a.example.com", "https://example.com/", RedirectStatus::MovedPermanently, kept),
        ("b.example.com", "https://example.com/x", RedirectStatus::Found, &[]),
        ("*.example.org", "http://example.com/y/", RedirectStatus::TemporaryRedirect, &[]),
    ] {
        edge.domain_with(name, environment, away(to, how), paths).await;
    }
    for (host, target, code, location) in [
        ("a.example.com", "/p/q?r=s", 301, "https://example.com/p/q?r=s"),
        ("a.example.com", "/", 301, "https://example.com/"),
        ("b.example.com", "/p?q", 302, "https://example.com/x"),
        ("c.example.org", "/p", 307, "http://example.com/y/p"),
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let answer = edge.ask(method, host, target).await;
            assert_eq!((status(&answer), header(&answer, "location")), (code, Some(location)));
            assert_eq!(body(&answer), "");
            assert!(header(&answer, "x-request-id").is_some());
        }
    }
    assert_eq!(body(&edge.ask("GET", "a.example.com", "/kept").await), "one");
    let id = edge.state().environments[&environment].project;
    let change = ProjectChange { disabled: Some(true), ..ProjectChange::default() };
    edge.apply(Command::ChangeProject { id, change }).await;
    assert_eq!(status(&edge.ask("GET", "a.example.com", "/").await), 403);
}

#[tokio::test]
async fn a_host_shows_that_it_leads_to_its_cluster() {
    let mut edge = TestEdge::start().await;
    let environment = edge.project("shop").await;
    let to = away("https://example.com/", RedirectStatus::Found);
    edge.domain_with("a.example.com", environment, to, &[("/.well-known", environment)]).await;
    edge.domain("*.example.org", environment).await;
    for (host, proof) in
        [("a.example.com", "proof of a.example.com"), ("b.example.org", "proof of *.example.org")]
    {
        let answer = edge.ask("GET", host, "/.well-known/temps-domain").await;
        assert_eq!((status(&answer), body(&answer)), (200, proof));
        assert_eq!(header(&answer, "content-type"), Some("text/plain; charset=utf-8"));
    }
    let answer = edge.ask("GET", &host("shop"), "/.well-known/temps-domain").await;
    assert_eq!(body(&answer), edge.state().zone_mark(), "a name of the preview domain");
    for elsewhere in ["example.org", &host("nobody")] {
        let answer = edge.ask("GET", elsewhere, "/.well-known/temps-domain").await;
        assert_eq!(status(&answer), 503, "{elsewhere}");
    }
}

#[tokio::test]
async fn an_authority_finds_the_answer_to_its_challenge() {
    let mut edge = TestEdge::start().await;
    let environment = edge.project("shop").await;
    let to = away("https://example.com/", RedirectStatus::Found);
    edge.domain_with("a.example.com", environment, to, &[]).await;
    let name: DomainName = "a.example.com".parse().unwrap();
    let challenge = Challenge {
        host: "a.example.com".into(),
        kind: ChallengeKind::Http01,
        token: "token".into(),
        answer: "token.thumbprint".into(),
    };
    edge.change(|state| {
        drop(state.orders.insert(name.clone(), crate::support::order(&name, challenge)))
    })
    .await;
    let path = "/.well-known/acme-challenge/token";
    let answer = edge.ask("GET", "a.example.com", path).await;
    assert_eq!((status(&answer), body(&answer)), (200, "token.thumbprint"));
    for (method, host, path, code) in [
        ("HEAD", "a.example.com", path, 200),
        ("POST", "a.example.com", path, 302),
        ("GET", "a.example.com", "/.well-known/acme-challenge/other", 302),
        ("GET", "b.example.com", path, 503),
    ] {
        let answer = edge.ask(method, host, path).await;
        assert_eq!((status(&answer), body(&answer).contains("thumbprint")), (code, false));
    }
    edge.change(|state| drop(state.orders.remove(&name))).await;
    assert_eq!(status(&edge.ask("GET", "a.example.com", path).await), 302);
}

#[tokio::test]
async fn security_headers_are_added_where_an_app_has_none() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    let environment = edge.app("shop", &[app.addr]).await;
    let to = away("https://example.com/", RedirectStatus::Found);
    edge.domain_with("a.example.com", environment, to, &[]).await;
    let project = edge.state().environments[&environment].project;
    let custom = [("etag", "\"policy\""), ("x-team", "us")];
    let headers = custom.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for (scope, policy, frame, team) in [
        (Scope::Cluster, HeaderPolicy::Moderate, Some("SAMEORIGIN"), None),
        (Scope::Project(project), HeaderPolicy::Strict, Some("DENY"), None),
        (Scope::Environment(environment), HeaderPolicy::Custom { headers }, None, Some("us")),
        (Scope::Environment(environment), HeaderPolicy::Off, None, None),
    ] {
        edge.apply(Command::SetHeaderPolicy { scope, policy: Some(policy.clone()) }).await;
        for host in [&host("shop"), "a.example.com"] {
            let answer = edge.ask("GET", host, "/").await;
            assert_eq!(header(&answer, "x-frame-options"), frame, "{policy:?}");
            assert_eq!(header(&answer, "x-team"), team, "{policy:?}");
            assert_eq!(header(&answer, "strict-transport-security"), None, "it is not HTTPS");
        }
        let answer = edge.ask("GET", &host("shop"), "/").await;
        assert_eq!(header(&answer, "etag"), Some("\"app\""), "the app's own stays");
    }
    let unknown = edge.ask("GET", "unknown.example.com", "/").await;
    assert_eq!(header(&unknown, "x-frame-options"), None);
}
