//! Pages that only a browser answers.

use std::io::Write;
use std::process::{Command as Program, Stdio};

use sha2::{Digest, Sha256};
use temps_state::*;

use super::{BROWSER, CAPTCHA, Guarded, attack, cookie, limit};
use crate::support::{body, header, status};

/// What stands between quotes after a name in a page's script.
fn quoted<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("{name} = \"")).expect("the page has it");
    rest.split('"').next().unwrap()
}

/// The form that answers a challenge page.
fn solve(page: &str) -> String {
    let (challenge, token) = (quoted(page, "challenge"), quoted(page, "token"));
    let begun = Sha256::new().chain_update(challenge);
    let mut digits = [0; 8];
    let solves = |n: &u32| {
        hex::encode_to_slice(n.to_be_bytes(), &mut digits).unwrap();
        let hash = begun.clone().chain_update(digits).finalize();
        hash[0] == 0 && hash[1] == 0 && hash[2] < 16
    };
    let nonce = (0_u32..).find(solves).unwrap();
    format!("token={token}&nonce={nonce:08x}")
}

fn auto(triggers: &[Trigger]) -> AttackMode {
    AttackMode::Auto { triggers: triggers.iter().copied().collect() }
}

#[tokio::test]
async fn a_challenge_is_solved_once_by_whom_it_was_given() {
    let mut guarded = Guarded::start().await;
    guarded.guard(guarded.project(), attack(AttackMode::On)).await;
    let page = guarded.get("/a?b=c", "192.0.2.1", BROWSER).await;
    assert_eq!((status(&page), header(&page, "x-challenge-required")), (403, Some("true")));
    assert_eq!(header(&page, "cache-control"), Some("no-store"));
    let form = solve(body(&page));
    let elsewhere = guarded.form(CAPTCHA, "192.0.2.2", &form).await;
    assert_eq!((status(&elsewhere), header(&elsewhere, "set-cookie")), (403, None));
    let solved = guarded.form(CAPTCHA, "192.0.2.1", &form).await;
    assert_eq!(status(&solved), 200);
    let again = guarded.form(CAPTCHA, "192.0.2.1", &form).await;
    assert_eq!(status(&again), 403, "a token is taken once");
    let cookie = cookie(&solved);
    assert_eq!(body(&guarded.get("/a?b=c", "192.0.2.1", &cookie).await), "app");
    assert_eq!(status(&guarded.get("/", "192.0.2.2", &cookie).await), 403, "it is not theirs");
    let long = "token=".to_owned() + &"x".repeat(5_000);
    assert_eq!(status(&guarded.form(CAPTCHA, "192.0.2.1", &long).await), 413);
}

#[tokio::test]
async fn programs_are_told_that_it_takes_a_browser() {
    let mut guarded = Guarded::start().await;
    guarded.guard(Scope::Cluster, attack(AttackMode::On)).await;
    for accept in ["", "Accept: */*\r\n", "Accept: application/json\r\n"] {
        let answer = guarded.get("/", "192.0.2.1", accept).await;
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"), "{accept}");
        let document: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!((status(&answer), &document["code"]), (403, &"challenge_required".into()));
    }
}

#[tokio::test]
async fn the_script_of_the_page_finds_the_answer_and_sends_it() {
    let mut guarded = Guarded::start().await;
    guarded.guard(guarded.project(), attack(AttackMode::On)).await;
    let page = guarded.get("/", "192.0.2.1", BROWSER).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/solve.mjs");
    let mut node = Program::new("node");
    node.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().expect("deploy/test.sh installs Node.js");
    node.stdin.take().unwrap().write_all(body(&page).as_bytes()).unwrap();
    let done = tokio::task::spawn_blocking(move || node.wait_with_output().unwrap()).await.unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&done.stdout).expect("it sent something");
    assert_eq!((&sent["path"], &sent["method"]), (&CAPTCHA[1..].into(), &"POST".into()));
    let solved = guarded.form(CAPTCHA, "192.0.2.1", sent["body"].as_str().unwrap()).await;
    assert_eq!(status(&solved), 200, "{solved}");
}

#[tokio::test]
async fn some_clients_give_a_reason_for_a_challenge() {
    let mut guarded = Guarded::start().await;
    let rates = Guard { rate_per_client: limit("2/1h"), ..attack(auto(&[Trigger::RateLimit])) };
    guarded.guard(guarded.project(), rates).await;
    let asked = async |guarded: &Guarded, path: &str, client: &str| {
        status(&guarded.get(path, client, BROWSER).await)
    };
    assert_eq!(asked(&guarded, "/.env", "192.0.2.1").await, 200, "patterns are no reason here");
    assert_eq!(asked(&guarded, "/", "192.0.2.1").await, 200);
    let page = guarded.get("/", "192.0.2.1", BROWSER).await;
    assert_eq!((status(&page), header(&page, "x-challenge-required")), (403, Some("true")));
    let solved = guarded.form(CAPTCHA, "192.0.2.1", &solve(body(&page))).await;
    assert_eq!(status(&guarded.get("/", "192.0.2.1", &cookie(&solved)).await), 429);

    guarded.guard(guarded.project(), attack(auto(&[Trigger::SuspiciousPattern]))).await;
    assert_eq!(asked(&guarded, "/", "192.0.2.3").await, 200);
    assert_eq!(asked(&guarded, "/.git/config", "192.0.2.3").await, 403);
    assert_eq!(asked(&guarded, "/", "192.0.2.3").await, 403, "it is remembered for a while");
    assert_eq!(asked(&guarded, "/", "192.0.2.4").await, 200, "the others go on");

    guarded.guard(guarded.project(), attack(auto(&[Trigger::FirstRequest]))).await;
    let page = guarded.get("/", "192.0.2.5", BROWSER).await;
    assert_eq!(status(&page), 403);
    let solved = guarded.form(CAPTCHA, "192.0.2.5", &solve(body(&page))).await;
    assert_eq!(status(&solved), 200);
    assert_eq!(asked(&guarded, "/", "192.0.2.5").await, 200, "the address is known, cookie or not");
    assert_eq!(asked(&guarded, "/", "192.0.2.6").await, 403);
}

#[tokio::test]
async fn whoever_is_only_shown_a_page_uses_up_nobodys_rate() {
    let mut guarded = Guarded::start().await;
    let guard = Guard { rate_in_all: limit("2/1h"), ..attack(AttackMode::On) };
    guarded.guard(guarded.project(), guard).await;
    let page = guarded.get("/", "192.0.2.1", BROWSER).await;
    for _ in 0..5 {
        assert_eq!(status(&guarded.get("/", "192.0.2.2", BROWSER).await), 403);
    }
    let solved = guarded.form(CAPTCHA, "192.0.2.1", &solve(body(&page))).await;
    let cookie = cookie(&solved);
    for code in [200, 200, 429] {
        assert_eq!(status(&guarded.get("/", "192.0.2.1", &cookie).await), code);
    }
}
