//! What is checked before a request is forwarded, over real connections.

mod challenges;
mod lists;
mod passwords;
mod proxies;

use std::collections::BTreeSet;

use temps_state::*;

use crate::support::upstream::Upstream;
use crate::support::{TestEdge, header, host};

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

fn limit(text: &str) -> Option<RateLimit> {
    Some(text.parse().unwrap())
}

/// The cookie that an answer gives, as a client sends it back.
fn cookie(answer: &str) -> String {
    let given = header(answer, "set-cookie").unwrap_or_else(|| panic!("no cookie: {answer}"));
    format!("Cookie: {}\r\n{BROWSER}", given.split(';').next().unwrap())
}
