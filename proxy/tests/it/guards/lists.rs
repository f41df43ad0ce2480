//! Who is let in, and how often: lists of addresses and countries, and rates.

use temps_proxy::Countries;
use temps_state::*;

use super::{BROWSER, Guarded, attack, limit, networks};
use crate::support::{body, header, mmdb, order, status};

#[tokio::test]
async fn addresses_are_kept_out_by_any_scope() {
    let mut guarded = Guarded::start().await;
    let deny = Guard { deny: networks(&["203.0.113.0/24", "2001:db8::/32"]), ..Guard::default() };
    guarded.guard(Scope::Cluster, deny).await;
    let allow = Guard { allow: networks(&["203.0.113.7", "192.0.2.0/24"]), ..Guard::default() };
    guarded.guard(guarded.project(), allow).await;
    for (client, code) in [
        ("192.0.2.1", 200),
        ("203.0.113.7", 403),
        ("2001:db8::1", 403),
        ("198.51.100.1", 403),
        ("203.0.113.7, 192.0.2.1", 200),
    ] {
        let answer = guarded.get("/", client, BROWSER).await;
        assert_eq!(status(&answer), code, "{client}");
        let reason = header(&answer, "x-blocked-reason");
        assert_eq!(reason, (code == 403).then_some("address"), "{client}");
    }
    let kept = "temps_edge_requests_hindered_total{reason=\"address\"}";
    assert_eq!(guarded.edge.metric(kept), "3");
    let document = guarded.get("/", "203.0.113.7", "Accept: application/json\r\n").await;
    let document: serde_json::Value = serde_json::from_str(body(&document)).unwrap();
    assert_eq!(document["code"], "address_denied");
    guarded.edge.apply(Command::SetGuard { scope: Scope::Cluster, guard: None }).await;
    assert_eq!(status(&guarded.get("/", "203.0.113.7", "").await), 200);
}

#[tokio::test]
async fn countries_are_kept_out_where_a_file_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countries.mmdb");
    let known = [("203.0.113.0", 24, "DE"), ("198.51.100.0", 24, "FR"), ("192.0.2.0", 25, "US")];
    std::fs::write(&path, mmdb::file(&known)).unwrap();
    let countries = Countries::open(&path).unwrap();
    let mut guarded = Guarded::start_as(|edge| edge.with_countries(Some(countries))).await;
    let set = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let deny = Guard { deny_countries: set(&["FR"]), ..Guard::default() };
    guarded.guard(Scope::Cluster, deny.clone()).await;
    let codes = async |guarded: &Guarded| {
        let mut codes = Vec::new();
        for client in ["203.0.113.7", "198.51.100.1", "192.0.2.1", "10.0.0.1"] {
            let answer = guarded.get("/", client, "").await;
            let blocked = header(&answer, "x-blocked-reason") == Some("country");
            assert_eq!(blocked, status(&answer) == 403, "{client}");
            codes.push(status(&answer));
        }
        codes
    };
    assert_eq!(codes(&guarded).await, [200, 403, 200, 200]);
    let allow = Guard { allow_countries: set(&["DE", "FR"]), ..Guard::default() };
    guarded.guard(guarded.project(), allow).await;
    assert_eq!(codes(&guarded).await, [200, 403, 403, 403]);
    std::fs::write(&path, b"no such file").unwrap();
    let refused = Countries::open(&path).unwrap_err().to_string();
    assert!(refused.contains("countries.mmdb") && refused.contains("--geoip"), "{refused}");
    let mut blind = Guarded::start().await;
    blind.guard(Scope::Cluster, deny).await;
    assert_eq!(codes(&blind).await, [200; 4], "without a file nobody knows");
}

#[tokio::test]
async fn whoever_asks_too_often_waits() {
    let mut guarded = Guarded::start().await;
    let rates =
        Guard { rate_per_client: limit("2/1h"), rate_in_all: limit("3/1h"), ..Guard::default() };
    guarded.guard(guarded.project(), rates).await;
    let ask = async |client| {
        let answer = guarded.get("/", client, "").await;
        (status(&answer), header(&answer, "retry-after").map(str::to_owned))
    };
    assert_eq!(ask("192.0.2.1").await, (200, None));
    assert_eq!(ask("192.0.2.1").await, (200, None));
    let (code, wait) = ask("192.0.2.1").await;
    let wait: u64 = wait.expect("it says when").parse().unwrap();
    assert!(code == 429 && (1_790..=1_800).contains(&wait), "{code} {wait}");
    assert_eq!(ask("192.0.2.2").await, (200, None), "the refused one was not counted in all");
    let (code, wait) = ask("192.0.2.3").await;
    assert!(code == 429 && wait.is_some(), "three came in all");
    let kept = "temps_edge_requests_hindered_total{reason=\"rate\"}";
    assert_eq!(guarded.edge.metric(kept), "2");
    let off =
        Guard { rate_per_client: limit("off"), rate_in_all: limit("off"), ..Guard::default() };
    guarded.guard(Scope::Environment(guarded.environment), off).await;
    assert_eq!(status(&guarded.get("/", "192.0.2.1", "").await), 200);
}

#[tokio::test]
async fn what_authorities_and_probes_look_for_is_never_kept_from_them() {
    let mut guarded = Guarded::start().await;
    let everybody = Guard { deny: networks(&["0.0.0.0/0", "::/0"]), ..attack(AttackMode::On) };
    guarded.guard(Scope::Cluster, everybody).await;
    let name: DomainName = "shop.example.com".parse().unwrap();
    guarded.edge.domain(name.as_str(), guarded.environment).await;
    let challenge = Challenge {
        host: name.to_string(),
        kind: ChallengeKind::Http01,
        token: "token".into(),
        answer: "token.thumb".into(),
    };
    let order = order(&name, challenge);
    guarded.edge.change(|state| drop(state.orders.insert(name.clone(), order))).await;
    let look = async |path| guarded.edge.ask("GET", name.as_str(), path).await;
    let answer = look("/.well-known/acme-challenge/token").await;
    assert_eq!((status(&answer), body(&answer)), (200, "token.thumb"));
    let answer = look("/.well-known/temps-domain").await;
    assert_eq!((status(&answer), body(&answer)), (200, "proof of shop.example.com"));
    assert_eq!(status(&look("/").await), 403);
}
