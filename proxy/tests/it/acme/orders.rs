//! Orders: how a domain gets its certificate, and what keeps it from one.

use jiff::{SignedDuration, Timestamp};
use temps_state::*;

use super::front::Front;
use super::ground::{Ground, has};
use crate::support::pebble::Pebble;

const NAME: &str = "shop.example.test";

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_gets_its_certificate_by_one_order() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    // Every request is refused for its nonce at first, and must be sent again.
    let front = Front::start(&pebble, 0).await;
    front.refuse_nonces();
    ground.ask_as(front.settings()).await;
    let (_, cancel) = ground.keep();
    let name = ground.domain(NAME).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, NAME).await);
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    // Account, order, authorization, challenge, finalization and certificate at least.
    assert!(front.refused() >= 6, "{}", front.refused());
    let state = ground.cluster.state();
    assert!(state.orders.is_empty());
    let spent: Vec<Spending> = state.spending.values().map(|spent| spent.what).collect();
    assert_eq!(spent, [Spending::Order, Spending::Certificate]);
    // The account is kept: another domain needs no second one.
    let other = ground.domain("other.example.test").await;
    ground.until("it gets one, too", |state| has(state, &other)).await;
    assert_eq!(pebble.logged("There are now 1 accounts in memory"), 1);
    assert_eq!(pebble.logged("There are now 2 accounts in memory"), 0);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn port_443_proves_a_name_where_port_80_did_not() {
    let ground = Ground::start().await;
    // Nobody listens where it looks for HTTP.
    let pebble = Pebble::start(1, ground.https.port(), &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    ground.fail_once(&name).await;
    let (_, cancel) = ground.keep();
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, NAME).await);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_found_says_why_and_waits() {
    let ground = Ground::start().await;
    let pebble = Pebble::start(1, 1, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    let (_, cancel) = ground.keep();
    let failed = |state: &State| state.orders.get(&name).is_some_and(|order| order.failures == 1);
    ground.until("it fails", failed).await;
    let state = ground.cluster.state();
    let order = &state.orders[&name];
    let error = order.error.clone().unwrap();
    assert!(error.contains(NAME) && error.contains("refused"), "{error}");
    assert!(order.retry_at.unwrap() > Timestamp::now() + SignedDuration::from_secs(30));
    assert!(order.attempt.is_none() && order.lease.is_none());
    let spent: Vec<Spending> = state.spending.values().map(|spent| spent.what).collect();
    assert_eq!(spent, [Spending::Order, Spending::FailedValidation]);
    assert_eq!(pebble.orders(), 1, "it is not asked again at once");
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_gone_on_with_by_the_next_worker() {
    let ground = Ground::start().await;
    // The authority takes its time to look.
    let pebble =
        Pebble::start(ground.http.port(), ground.https.port(), &[("PEBBLE_VA_SLEEPTIME", "3")])
            .await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    let (worker, cancel) = ground.keep();
    let shown = |state: &State| {
        let attempt = state.orders.get(&name).and_then(|order| order.attempt.as_ref());
        attempt.is_some_and(|attempt| !attempt.challenges.is_empty())
    };
    ground.until("the challenge is shown", shown).await;
    let fence = ground.cluster.state().orders[&name].lease.unwrap().fence;
    cancel.cancel();
    worker.await.unwrap();
    assert!(!has(&ground.cluster.state(), &name));

    let (_, cancel) = ground.keep();
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, NAME).await);
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    assert!(ground.cluster.state().index > fence);
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_keeps_its_right_while_it_works() {
    let ground = Ground::start().await;
    // Mostly slower than a lease is renewed.
    let pebble =
        Pebble::start(ground.http.port(), ground.https.port(), &[("PEBBLE_VA_SLEEPTIME", "12")])
            .await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    let (_, cancel) = ground.keep();
    let lease = |state: &State| state.orders.get(&name).and_then(|order| order.lease);
    ground.until("it is worked on", |state| lease(state).is_some()).await;
    let first = lease(&ground.cluster.state()).unwrap();
    let renewed = |state: &State| lease(state).is_some_and(|lease| lease.until > first.until);
    let renewed = |state: &State| has(state, &name) || renewed(state);
    ground.until("it is worked on for longer", renewed).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    assert!(ground.cluster.state().orders.is_empty());
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_forgot_the_account_gets_another() {
    let ground = Ground::start().await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let mut pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    ground.ask(&pebble).await;
    let (worker, cancel) = ground.keep();
    let name = ground.domain(NAME).await;
    ground.until("it gets one", |state| has(state, &name)).await;
    cancel.cancel();
    worker.await.unwrap();
    pebble.forget().await;
    let opened = pebble.logged("accounts in memory");
    let mut others = vec![];
    for n in 0..6 {
        others.push(ground.domain(&format!("other{n}.example.test")).await);
    }
    let (_, cancel) = ground.keep();
    let all = |state: &State| others.iter().all(|name| has(state, name));
    ground.until("they get theirs, too", all).await;
    assert!(ground.is_served(&pebble, "other0.example.test").await);
    assert_eq!(pebble.logged("accounts in memory") - opened, 1, "one account for all of them");
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_does_not_answer_is_named() {
    let ground = Ground::start().await;
    let acme = AcmeSettings { directory: "https://127.0.0.1:1/dir".into(), ..Default::default() };
    let settings = Settings { acme, ..ground.cluster.state().settings() };
    ground.change(Command::ChangeSettings { settings }).await;
    let name = ground.domain(NAME).await;
    let (_, cancel) = ground.keep();
    let failed = |state: &State| state.orders.get(&name).is_some_and(|order| order.failures == 1);
    ground.until("it fails", failed).await;
    let error = ground.cluster.state().orders[&name].error.clone().unwrap();
    assert!(error.contains("https://127.0.0.1:1/dir does not answer"), "{error}");
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wildcards_get_their_certificates_through_the_clusters_own_dns() {
    let ground = Ground::start().await;
    let (_authority, dns) = ground.answer_for("example.test").await;
    let pebble = Pebble::start_asking(dns, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    let wildcard = ground.domain("*.shop.example.test").await;
    let (_, cancel) = ground.keep_with(dns.port());
    let preview: DomainName = "*.apps.example.test".parse().unwrap();
    for (name, host) in
        [(&wildcard, "a.shop.example.test"), (&preview, "site-production.apps.example.test")]
    {
        ground.until("it gets one", |state| has(state, name)).await;
        assert!(ground.is_served(&pebble, host).await, "{host}");
    }
    assert_eq!((pebble.orders(), pebble.certificates()), (2, 2));
    assert!(ground.cluster.state().orders.is_empty());
    cancel.cancel();
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_authority_is_asked_before_the_dns_leads_to_the_cluster() {
    let ground = Ground::start().await;
    let (authority, dns) = ground.answer_for("example.test").await;
    let pebble = Pebble::start_asking(dns, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    ground.ask(&pebble).await;
    drop(authority);
    let wildcard = ground.domain("*.shop.example.test").await;
    let (_, cancel) = ground.keep_with(dns.port());
    let error = |state: &State| state.orders.get(&wildcard).and_then(|order| order.error.clone());
    ground.until("it fails", |state| error(state).is_some()).await;
    let said = error(&ground.cluster.state()).unwrap();
    assert!(said.contains("_acme-challenge.shop.example.test"), "{said}");
    assert!(said.contains("delegate example.test to the nodes"), "{said}");
    assert_eq!(pebble.orders(), 0);
    cancel.cancel();
    ground.stop().await;
}
