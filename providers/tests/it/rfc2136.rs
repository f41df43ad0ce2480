//! Dynamic updates at a real name server.

use serde_json::json;
use temps_providers::{Change, Provider, ProviderError};

use crate::knot::Knot;
use crate::knot_config::KEY;
use crate::story;

fn open(knot: &Knot) -> Provider {
    Provider::open("rfc2136", &knot.credentials()).unwrap()
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let knot = Knot::start("").await;
    story::tell(&open(&knot)).await;
}

#[tokio::test]
async fn clients_find_what_was_put() {
    let knot = Knot::start("").await;
    let provider = open(&knot);
    let lines = ["*.example.com A 192.0.2.1 192.0.2.2", "shop.example.com AAAA 2001:db8::1"];
    let (managed, _) = story::bring(&provider, &story::sets(30, &lines), &Default::default()).await;
    assert_eq!(knot.ask("anything", "A"), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(knot.ask("shop", "AAAA"), ["2001:db8::1"]);
    // A wildcard answers for names that have no records of their own, and those are not somebody else's.
    let more = [lines[0], "new.example.com A 192.0.2.7"];
    let (_, foreign) = story::bring(&provider, &story::sets(30, &more), &managed).await;
    assert_eq!(foreign, Vec::<String>::new());
    assert_eq!(knot.ask("new", "A"), ["192.0.2.7"]);
}

#[tokio::test]
async fn a_refusal_keeps_nothing_else_back() {
    let knot = Knot::start("").await;
    let provider = open(&knot);
    let refused = story::set(30, "alias.example.com A 192.0.2.1");
    story::tell_of_refusals(&provider, refused).await;
    // What came meanwhile is not overwritten.
    let new = story::set(30, "www.example.com A 192.0.2.1");
    let error =
        provider.apply(story::ZONE, &[Change::Put { set: new, before: None }]).await.result();
    assert!(matches!(error, Err(ProviderError::Refused { .. })), "{error:?}");
    assert_eq!(knot.ask("www", "A"), ["198.51.100.9"]);
}

#[tokio::test]
async fn a_zone_of_many_messages_is_read_whole() {
    let more: String = (0..20_000).map(|n| format!("n{n} A 192.0.2.1\n")).collect();
    let knot = Knot::start(&more).await;
    let wanted = story::sets(30, &["n0.example.com A 1.1.1.1", "n19999.example.com A 1.1.1.1"]);
    assert_eq!(story::there(&open(&knot), &wanted).await.len(), 2);
    let lines: Vec<String> = (0..300).map(|n| format!("m{n}.example.com A 192.0.2.1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    story::bring(&open(&knot), &story::sets(30, &lines), &Default::default()).await;
    knot.until("m299", "A", |found| found == ["192.0.2.1"]).await;
}

#[tokio::test]
async fn strangers_are_refused() {
    let knot = Knot::start("").await;
    let other = "b3RoZXIgc2VjcmV0IG9mIDMyIG9jdGV0cywgb3Igc28u";
    for (key, secret, zone) in [
        ("temps", other, "example.com"),
        ("nobody", KEY, "example.com"),
        ("temps", KEY, "example.net"),
    ] {
        let server = format!("127.0.0.1:{}", knot.port);
        let credentials = json!({"server": server, "key": key, "secret": secret});
        let provider = Provider::open("rfc2136", &credentials).unwrap();
        let error = provider.check(&[zone.parse().unwrap()]).await.unwrap_err();
        assert!(matches!(error, ProviderError::Unauthorized { .. }), "{key} {zone}: {error}");
    }
    let credentials = json!({"server": "127.0.0.1:1", "key": "temps", "secret": KEY});
    let nobody = Provider::open("rfc2136", &credentials).unwrap();
    let error = nobody.check(&["example.com".parse().unwrap()]).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unreachable { .. }), "{error}");
}
