//! What a real browser makes of the pages of the checks, over HTTPS.

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, PasswordHash};
use temps_state::{AttackMode, Command, Guard, PasswordRule, Scope};

use crate::support::chromium::Chromium;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, host};

const IS_APP: &str = "document.body.innerText === 'app' && location.search === '?a=b'";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_solves_the_challenge_and_gives_the_password() {
    let Some(mut browser) = Chromium::start().await else {
        return eprintln!("not tested: chromium is not installed (deploy/test.sh installs it)");
    };
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("app").await;
    edge.app("shop", &[app.addr]).await;
    let hash: PasswordHash = Argon2::default().hash_password(b"correct horse").unwrap();
    let guard = Guard {
        attack_mode: Some(AttackMode::On),
        password: Some(PasswordRule::Asked { hash: hash.to_string() }),
        ..Guard::default()
    };
    edge.apply(Command::SetGuard { scope: Scope::Cluster, guard: Some(guard) }).await;

    browser.open(&format!("https://{}:{}/page?a=b", host("shop"), edge.https.port())).await;
    let asks = "document.title === 'Password' && !!document.getElementById('password')";
    browser.until("the challenge is solved, and a password asked for", asks).await;
    assert_ne!(edge.metric("temps_edge_requests_hindered_total{reason=\"challenge\"}"), "0");
    let give = |password: &str| {
        format!(
            "document.getElementById('password').value = '{password}'; \
             document.querySelector('form button').click()"
        )
    };
    browser.evaluate(&give("wrong horse")).await;
    let refused = "document.querySelector('[role=alert]')?.innerText.includes('not the password')";
    browser.until("a wrong one is refused", refused).await;
    browser.evaluate(&give("correct horse")).await;
    browser.until("the page opens where it was asked for", IS_APP).await;

    // Both passes are kept: what comes next is the app's at once.
    let hindered = edge.metric("temps_edge_requests_hindered_total{reason=\"challenge\"}");
    browser.open(&format!("https://{}:{}/other?a=b", host("shop"), edge.https.port())).await;
    browser
        .until("another page opens", &format!("location.pathname === '/other' && {IS_APP}"))
        .await;
    assert_eq!(edge.metric("temps_edge_requests_hindered_total{reason=\"challenge\"}"), hindered);
    edge.stop(PATIENCE).await;
}
