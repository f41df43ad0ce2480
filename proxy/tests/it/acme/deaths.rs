//! Workers that die: whatever they were doing, the next one goes on with it.

use temps_state::AcmeSettings;

use super::front::{Front, Halt};
use super::ground::{Ground, has};
use crate::support::pebble::Pebble;

const NAME: &str = "shop.example.test";

/// Has a worker die where a request gets no answer, and another one go on. How many orders the authority made.
async fn orders_after_a_death(at: Halt) -> usize {
    let ground = Ground::start().await;
    let (http, https) = (ground.http.port(), ground.https.port());
    let pebble = Pebble::start(http, https, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
    let front = Front::start(&pebble, 0).await;
    front.halt(at);
    ground.ask_as(AcmeSettings { email: "ops@example.com".into(), ..front.settings() }).await;
    let name = ground.domain(NAME).await;
    let (worker, cancel) = ground.keep();
    front.halted().await;
    cancel.cancel();
    worker.await.unwrap();
    assert!(!has(&ground.cluster.state(), &name), "{at:?}");

    let (_, cancel) = ground.keep();
    ground.until("it gets one", |state| has(state, &name)).await;
    assert!(ground.is_served(&pebble, NAME).await, "{at:?}");
    assert_eq!(pebble.certificates(), 1, "{at:?}");
    assert_eq!(pebble.logged("There are now 1 accounts in memory"), 1, "{at:?}");
    assert_eq!(pebble.logged("There are now 2 accounts in memory"), 0, "{at:?}");
    assert!(ground.cluster.state().orders.is_empty(), "{at:?}");
    cancel.cancel();
    ground.stop().await;
    pebble.orders()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_opened_once_whenever_its_worker_dies() {
    for at in [Halt::Before("/sign-me-up"), Halt::After("/sign-me-up")] {
        assert_eq!(orders_after_a_death(at).await, 1, "{at:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_made_once_whenever_its_worker_dies() {
    for at in [
        Halt::Before("/order-plz"),
        Halt::Before("/authZ/"),
        Halt::After("/authZ/"),
        Halt::Before("/chalZ/"),
        Halt::After("/chalZ/"),
    ] {
        assert_eq!(orders_after_a_death(at).await, 1, "{at:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_given_once_whenever_its_worker_dies() {
    for at in [
        Halt::Before("/finalize-order/"),
        Halt::After("/finalize-order/"),
        Halt::Before("/certZ/"),
        Halt::After("/certZ/"),
    ] {
        assert_eq!(orders_after_a_death(at).await, 1, "{at:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_heard_of_is_made_again() {
    // Its address was lost with the answer, and this authority does not give the same one again for the same name.
    assert_eq!(orders_after_a_death(Halt::After("/order-plz")).await, 2);
}
