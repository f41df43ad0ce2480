//! Pages that ask for a password.

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, PasswordHash};
use temps_state::*;

use super::{BROWSER, Guarded, PASSWORD, attack, cookie};
use crate::support::upstream::Upstream;
use crate::support::{body, header, status};

fn with_password(password: &str) -> Guard {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).unwrap();
    let rule = PasswordRule::Asked { hash: hash.to_string() };
    Guard { password: Some(rule), ..Guard::default() }
}

#[tokio::test]
async fn an_environment_opens_to_whoever_knows_its_password() {
    let mut guarded = Guarded::start().await;
    guarded.guard(guarded.project(), with_password("correct horse")).await;
    let page = guarded.get("/a?b=c", "192.0.2.1", BROWSER).await;
    assert_eq!(status(&page), 403);
    assert!(body(&page).contains(&format!("action=\"{}\"", &PASSWORD[1..])), "{page}");
    assert!(body(&page).contains("value=\"/a?b=c\""), "{page}");
    let wrong = guarded.form(PASSWORD, "192.0.2.1", "password=wrong+horse&next=%2Fa").await;
    assert_eq!((status(&wrong), header(&wrong, "set-cookie")), (403, None));
    assert!(body(&wrong).contains("not the password"), "{wrong}");
    let right = "password=correct+horse&next=%2Fa%3Fb%3Dc";
    let right = guarded.form(PASSWORD, "192.0.2.1", right).await;
    assert_eq!((status(&right), header(&right, "location")), (303, Some("/a?b=c")));
    let kept = cookie(&right);
    for client in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(body(&guarded.get("/a?b=c", client, &kept).await), "app", "{client}");
    }
    let away = "password=correct+horse&next=%2F%2Fevil.example";
    let away = guarded.form(PASSWORD, "192.0.2.1", away).await;
    assert_eq!(header(&away, "location"), Some("/"));
    guarded.guard(guarded.project(), with_password("another horse")).await;
    assert_eq!(status(&guarded.get("/", "192.0.2.1", &kept).await), 403, "it was changed");
    guarded.guard(Scope::Environment(guarded.environment), attack(AttackMode::On)).await;
    let unsolved = guarded.form(PASSWORD, "192.0.2.1", "password=another+horse").await;
    assert_eq!(header(&unsolved, "x-challenge-required"), Some("true"), "one after the other");
    let open = Guard { password: Some(PasswordRule::Open), ..Guard::default() };
    guarded.guard(Scope::Environment(guarded.environment), open).await;
    assert_eq!(status(&guarded.get("/", "192.0.2.1", BROWSER).await), 200);
}

#[tokio::test]
async fn each_path_of_a_domain_is_opened_where_it_asks_and_no_app_sees_how() {
    let mut guarded = Guarded::start().await;
    let other = Upstream::start("api").await;
    let api = guarded.edge.app("api", &[other.addr]).await;
    let (front, name) = (guarded.environment, "shop.example.com");
    guarded.edge.domain_with(name, front, None, &[("/api", api)]).await;
    for (environment, password) in [(front, "correct horse"), (api, "another horse")] {
        guarded.guard(Scope::Environment(environment), with_password(password)).await;
    }
    let send = async |method: &str, path: &str, more: &str, sent: &str| {
        guarded.send_to(name, method, path, "192.0.2.1", more, sent).await
    };
    let mut passes = Vec::new();
    for (path, password) in [("/", "correct+horse"), ("/api", "another+horse")] {
        assert_eq!(status(&send("GET", path, BROWSER, "").await), 403, "{path}");
        let door = format!("{path}?_temps=password");
        let wrong = send("POST", &door, BROWSER, "password=wrong+horse").await;
        assert_eq!(status(&wrong), 403, "{path}");
        let entered = send("POST", &door, BROWSER, &format!("password={password}")).await;
        assert_eq!(status(&entered), 303, "{path}");
        let pass = header(&entered, "set-cookie").unwrap();
        passes.push(pass.split(';').next().unwrap().to_owned());
    }
    let all = format!("Cookie: {}; mine=1\r\n{BROWSER}", passes.join("; "));
    assert_eq!(body(&send("GET", "/", &all, "").await), "app");
    assert_eq!(body(&send("GET", "/api", &all, "").await), "api");
    let told = send("GET", "/echo", &all, "").await.to_ascii_lowercase();
    assert!(told.contains("\r\ncookie: mine=1\r\n") && !told.contains("_temps_"), "{told}");
}

#[tokio::test]
async fn passwords_cannot_be_tried_for_ever() {
    let mut guarded = Guarded::start().await;
    guarded.guard(guarded.project(), with_password("correct horse")).await;
    // Too long to be hashed, so that they come faster than new tries are allowed.
    let wrong = format!("password={}", "x".repeat(300));
    let mut tries = 0;
    let late = loop {
        let answer = guarded.form(PASSWORD, "192.0.2.1", &wrong).await;
        match status(&answer) {
            403 => tries += 1,
            _ => break answer,
        }
    };
    assert_eq!((status(&late), header(&late, "retry-after").is_some()), (429, true));
    assert!((10..20).contains(&tries), "{tries}");
    let other = guarded.form(PASSWORD, "192.0.2.2", "password=correct+horse").await;
    assert_eq!(status(&other), 303);
}
