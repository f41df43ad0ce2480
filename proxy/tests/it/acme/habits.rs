//! What some authorities do besides: they ask to wait, and advise on renewals. And names that only clients ask for.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use temps_state::*;

use super::front::{Front, Halt, WAIT_SECONDS};
use super::ground::{Ground, has};
use crate::support::pebble::Pebble;

const NAME: &str = "shop.example.test";
/// For how long a client comes again that should get nothing.
const BRIEFLY: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_asks_to_wait_is_waited_for() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    let front = Front::start(&pebble, 1).await;
    ground.ask_as(front.settings()).await;
    let (_, cancel) = ground.keep();
    let begun = Timestamp::now();
    let name = ground.domain(NAME).await;
    let failed = |state: &State| state.orders.get(&name).is_some_and(|order| order.failures == 1);
    ground.until("it is told to wait", failed).await;
    let state = ground.cluster.state();
    let order = &state.orders[&name];
    let error = order.error.clone().unwrap();
    assert!(error.contains("asks to wait") && error.contains("too many new orders"), "{error}");
    let asked = begun + SignedDuration::from_secs(WAIT_SECONDS);
    assert!(order.retry_at.unwrap() >= asked, "as long as it asks for");
    assert!(order.attempt.is_some(), "what was made is kept");
    assert!(state.spending.is_empty(), "nothing was had");
    assert_eq!(pebble.orders(), 0);
    // Whoever changes what the order needs has it tried at once.
    ground.change(Command::VerifyDomain { name: name.clone() }).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_not_asked_for_a_name_that_leads_nowhere() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    ground.ask_as(pebble.settings()).await;
    // It was proven by a text; nobody answers for its addresses.
    let name = ground.domain(NAME).await;
    let (_, cancel) = ground.keep_with(1);
    let failed = |state: &State| state.orders.get(&name).is_some_and(|order| order.failures > 0);
    ground.until("it waits for the DNS", failed).await;
    cancel.cancel();
    let state = ground.cluster.state();
    let error = state.orders[&name].error.clone().unwrap();
    assert!(error.contains("create the records"), "{error}");
    assert_eq!((pebble.orders(), state.spending.is_empty()), (0, true));

    let (_, cancel) = ground.keep();
    ground.change(Command::VerifyDomain { name: name.clone() }).await;
    ground.until("it gets one once it leads here", |state| has(state, &name)).await;
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_says_when_its_certificates_are_renewed() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    let front = Front::start(&pebble, 0).await;
    ground.ask_as(front.settings()).await;
    let (_, cancel) = ground.keep();
    let name = ground.domain(NAME).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    let first = ground.cluster.state().issued_for(&name).unwrap().clone();
    assert_eq!(first.renewal, None);
    ground.heed_advice(&cancel);
    let advised = |state: &State| {
        let issued = state.issued_for(&name);
        issued.is_some_and(|issued| issued.id != first.id && issued.renewal.is_some())
    };
    ground.until("it is renewed at once, and the new one later", advised).await;
    let second = ground.cluster.state().issued_for(&name).unwrap().clone();
    let advice = second.renewal.unwrap();
    assert!(advice.start > Timestamp::now() + SignedDuration::from_hours(29 * 24));
    assert_eq!(advice.explanation.as_deref(), Some("https://ca.example/why"));
    let (orders, asked) = (front.orders(), front.advised());
    assert_eq!((orders.len(), asked.len()), (2, 2));
    assert!(orders[0].get("replaces").is_none(), "{orders:?}");
    assert_eq!(orders[1]["replaces"].as_str(), Some(&*asked[0]), "{orders:?}");
    assert_eq!(pebble.certificates(), 2);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_does_not_say_what_an_order_replaces_is_asked_without() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    let front = Front::start(&pebble, 0).await;
    front.forget_what_is_replaced();
    ground.ask_as(front.settings()).await;
    let (_, cancel) = ground.keep();
    ground.heed_advice(&cancel);
    let name = ground.domain(NAME).await;
    let advised = |state: &State| {
        let issued = state.issued_for(&name).and_then(|issued| issued.renewal.as_ref());
        issued.is_some_and(|advice| advice.start > Timestamp::now())
    };
    ground.until("it is renewed", advised).await;
    let replaces: Vec<bool> =
        front.orders().iter().map(|order| order.get("replaces").is_some()).collect();
    assert_eq!(replaces, [false, true, false]);
    assert_eq!(pebble.certificates(), 2);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_preview_domain_gets_one_when_a_client_comes() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    let preview_domain = "apps.example.test".to_owned();
    let settings = Settings { preview_domain, ..ground.cluster.state().settings() };
    ground.change(Command::ChangeSettings { settings }).await;
    ground.ask(&pebble).await;
    ground.project("shop").await;
    let (_, cancel) = ground.keep();
    ground.heed_wishes(pebble.dns.port(), &cancel);
    assert!(ground.cluster.state().orders.is_empty(), "nobody has come yet");
    for stranger in ["blog-production.apps.example.test", "apps.example.test"] {
        assert!(!ground.is_served_within(BRIEFLY, &pebble, stranger).await, "{stranger}");
    }
    let name: DomainName = "shop-production.apps.example.test".parse().unwrap();
    // The first clients are shown the self-signed one.
    let served = ground.is_served_within(BRIEFLY, &pebble, name.as_str()).await;
    assert!(!served || has(&ground.cluster.state(), &name));
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, name.as_str()).await);
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_wants_an_account_there_is_shown_its_key() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let ground = Ground::start().await;
    let (http, https) = (ground.http.port(), ground.https.port());
    let pebble = Pebble::start_bound(http, https, "kid-1", KEY).await;
    let front = Front::start(&pebble, 0).await;
    let (_, cancel) = ground.keep();
    ground.ask_as(front.settings()).await;
    let name = ground.domain(NAME).await;
    let failed = |what: &'static str| {
        let name = name.clone();
        move |state: &State| {
            let error = state.orders.get(&name).and_then(|order| order.error.as_ref());
            error.is_some_and(|error| error.contains(what))
        }
    };
    ground.until("it says what to set", failed("temps settings set acme.eab_key_id=ID")).await;
    let bound = |id: &str, key: &str| {
        let eab_key = Some(ground.cluster.seal(AcmeSettings::EAB_KEY_PLACE, key).unwrap());
        AcmeSettings { eab_key_id: id.into(), eab_key, ..front.settings() }
    };
    ground.ask_as(bound("kid-2", KEY)).await;
    ground.until("nobody knows that key", failed("the certificate authority refused")).await;
    assert!(!has(&ground.cluster.state(), &name));
    front.halt(Halt::After("/sign-me-up"));
    ground.ask_as(bound("kid-1", KEY)).await;
    front.halted().await;
    cancel.cancel();
    // Whoever goes on after a death gets the same account.
    let (_, cancel) = ground.keep();
    ground.until("it gets one", |state| has(state, &name)).await;
    assert_eq!(pebble.logged("There are now 1 accounts in memory"), 1);
    assert_eq!(pebble.logged("There are now 2 accounts in memory"), 0);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_told_of_another_address_once() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    let front = Front::start(&pebble, 0).await;
    let (_, cancel) = ground.keep();
    let as_told = [
        ("a@example.com", "a.example.test", 1),
        ("a@example.com", "b.example.test", 1),
        ("b@example.com", "c.example.test", 2),
        // What the authority refuses keeps no certificate back.
        ("no address", "d.example.test", 2),
        ("", "e.example.test", 3),
        ("", "f.example.test", 3),
    ];
    for (email, name, times) in as_told {
        ground.ask_as(AcmeSettings { email: email.into(), ..front.settings() }).await;
        let name = ground.domain(name).await;
        ground.until("it gets one", |state| has(state, &name)).await;
        assert_eq!(front.contacts().len(), times, "{email} {name}");
    }
    let told = serde_json::json!([["mailto:a@example.com"], ["mailto:b@example.com"], []]);
    assert_eq!(serde_json::Value::from(front.contacts()), told);
    assert_eq!(pebble.logged("There are now 2 accounts in memory"), 0);
    cancel.cancel();
    ground.stop().await;
}
