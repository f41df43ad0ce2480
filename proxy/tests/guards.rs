//! What is checked before a request is forwarded, over real connections.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command as Program, Stdio};
use std::sync::Arc;

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, PasswordHash};
use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};
use support::authority::{client_of_anybody, get};
use support::upstream::Upstream;
use support::{TestEdge, body, header, host, mmdb, order, read_to_end, status};
use temps_proxy::Countries;
use temps_state::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const BROWSER: &str = "Accept: text/html,*/*;q=0.8\r\nUser-Agent: Mozilla/5.0\r\n";
const CAPTCHA: &str = "/?_temps=challenge";
const PASSWORD: &str = "/?_temps=password";

/// An edge on loopback, which believes loopback about whom requests come from, with an app.
struct Guarded {
    edge: TestEdge,
    _app: Upstream,
    environment: EnvironmentId,
}

impl Guarded {
    async fn start() -> Self {
        Self::start_as(|edge| edge).await
    }

    async fn start_as(equip: impl FnOnce(temps_proxy::Edge) -> temps_proxy::Edge) -> Self {
        let trust = |settings: &mut Settings| {
            settings.edge.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        };
        let mut edge = TestEdge::start_as(trust, equip).await;
        let app = Upstream::start("app").await;
        let environment = edge.app("shop", &[app.addr]).await;
        Self { edge, _app: app, environment }
    }

    async fn guard(&mut self, scope: Scope, guard: Guard) {
        self.edge.apply(Command::SetGuard { scope, guard: Some(guard) }).await;
    }

    fn project(&self) -> Scope {
        Scope::Project(self.edge.state().environments[&self.environment].project)
    }

    /// Sends a request of a client, with more header lines.
    async fn send(&self, method: &str, path: &str, client: &str, more: &str, sent: &str) -> String {
        self.send_to(&host("shop"), method, path, client, more, sent).await
    }

    async fn send_to(
        &self,
        host: &str,
        method: &str,
        path: &str,
        client: &str,
        more: &str,
        sent: &str,
    ) -> String {
        let length = sent.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n{more}\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{sent}"
        );
        self.edge.raw(head.as_bytes()).await
    }

    async fn get(&self, path: &str, client: &str, more: &str) -> String {
        self.send("GET", path, client, more, "").await
    }

    async fn form(&self, path: &str, client: &str, form: &str) -> String {
        self.send("POST", path, client, BROWSER, form).await
    }
}

fn networks(texts: &[&str]) -> BTreeSet<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn attack(attack_mode: AttackMode) -> Guard {
    Guard { attack_mode: Some(attack_mode), ..Guard::default() }
}

fn auto(triggers: &[Trigger]) -> AttackMode {
    AttackMode::Auto { triggers: triggers.iter().copied().collect() }
}

fn limit(text: &str) -> Option<RateLimit> {
    Some(text.parse().unwrap())
}

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

/// The cookie that an answer gives, as a client sends it back.
fn cookie(answer: &str) -> String {
    let given = header(answer, "set-cookie").unwrap_or_else(|| panic!("no cookie: {answer}"));
    format!("Cookie: {}\r\n{BROWSER}", given.split(';').next().unwrap())
}

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
async fn an_app_hears_who_asks_through_proxies_that_are_trusted() {
    let mut guarded = Guarded::start().await;
    let echo = |answer: String| body(&answer).to_ascii_lowercase();
    let told = echo(guarded.get("/echo", "198.51.100.1, 203.0.113.7", "").await);
    assert!(told.contains("\r\nx-real-ip: 203.0.113.7\r\n"), "{told}");
    assert!(told.contains("\r\nx-forwarded-for: 198.51.100.1, 203.0.113.7, 127.0.0.1\r\n"));
    assert!(told.contains("\r\nx-forwarded-proto: http\r\n"), "{told}");
    let https = "X-Forwarded-Proto: https\r\n";
    assert!(echo(guarded.get("/echo", "203.0.113.7", https).await).contains("-proto: https"));
    let settings = Settings::default();
    guarded.edge.apply(Command::ChangeSettings { settings }).await;
    let told = echo(guarded.get("/echo", "203.0.113.7", https).await);
    assert!(told.contains("\r\nx-real-ip: 127.0.0.1\r\n") && told.contains("-proto: http\r\n"));
    assert!(told.contains("\r\nx-forwarded-for: 203.0.113.7, 127.0.0.1\r\n"), "{told}");
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
async fn proxies_speak_for_their_clients() {
    let mut guarded = Guarded::start().await;
    let mut settings = guarded.edge.state().settings();
    settings.edge.proxy_protocol = true;
    settings.edge.connections_per_client_max = 1;
    guarded.edge.apply(Command::ChangeSettings { settings }).await;
    let deny = Guard { deny: networks(&["203.0.113.0/24"]), ..Guard::default() };
    guarded.guard(Scope::Cluster, deny).await;
    let request =
        format!("GET /echo HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host("shop"));
    let ask = async |header: &[u8]| guarded.edge.raw(&[header, request.as_bytes()].concat()).await;
    let first = ask(b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n").await;
    assert!(body(&first).to_ascii_lowercase().contains("x-real-ip: 192.0.2.1\r\n"), "{first}");
    let denied = ask(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n").await;
    assert_eq!(status(&denied), 403);
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x12\x67\0\x50";
    assert_eq!(status(&ask(second).await), 403);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert_eq!(status(&ask(local).await), 200, "the proxy speaks for itself");
    for broken in [&b""[..], b"PROXY TCP4 1 2 3 4\r\n", b"PROXY nonsense\r\n"] {
        let answer = ask(broken).await;
        assert_eq!(status(&answer), 400, "{}", broken.escape_ascii());
    }
    // Each client may have one connection, however many the proxy has.
    let open = async |client: &str| {
        let mut stream = TcpStream::connect(guarded.edge.http).await.unwrap();
        let header = format!("PROXY TCP4 {client} 127.0.0.1 4711 80\r\n{request}");
        stream.write_all(header.as_bytes()).await.unwrap();
        stream
    };
    let held = {
        let mut stream = TcpStream::connect(guarded.edge.http).await.unwrap();
        stream.write_all(b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 80\r\nGET /slow").await.unwrap();
        stream
    };
    let refused = async || read_to_end(&mut open("192.0.2.9").await).await.is_empty();
    while !refused().await {}
    assert_eq!(status(&read_to_end(&mut open("192.0.2.8").await).await), 200);
    drop(held);
}

#[tokio::test]
async fn a_handshake_follows_what_a_proxy_says() {
    let mut guarded = Guarded::start().await;
    let mut settings = guarded.edge.state().settings();
    settings.edge.proxy_protocol = true;
    guarded.edge.apply(Command::ChangeSettings { settings }).await;
    let deny = Guard { deny: networks(&["203.0.113.0/24"]), ..Guard::default() };
    guarded.guard(Scope::Cluster, deny).await;
    let name = host("shop");
    let client = TlsConnector::from(Arc::new(client_of_anybody()));
    for (from, code) in [("192.0.2.1", "200"), ("203.0.113.7", "403")] {
        let mut stream = TcpStream::connect(guarded.edge.https).await.unwrap();
        let header = format!("PROXY TCP4 {from} 127.0.0.1 4711 443\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        let server = ServerName::try_from(name.clone()).unwrap();
        let mut stream = client.connect(server, stream).await.expect("a handshake");
        let answer = get(&mut stream, &name).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{from}: {answer}");
    }
}

#[tokio::test]
async fn strangers_do_not_speak_for_others() {
    let mut edge = TestEdge::start_with(|settings| {
        settings.edge.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()];
        settings.edge.proxy_protocol = true;
    })
    .await;
    let app = Upstream::start("app").await;
    edge.app("shop", &[app.addr]).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host("shop"));
    assert_eq!(status(&edge.raw(request.as_bytes()).await), 200);
    for header in [
        &b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x12\x67\0\x50",
    ] {
        let answer = edge.raw(&[header, request.as_bytes()].concat()).await;
        assert_eq!(status(&answer), 400, "{}", header.escape_ascii());
    }
}
