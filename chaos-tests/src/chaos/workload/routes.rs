//! Routes: a domain that sends its visitors elsewhere, again and again, and a client at every edge who follows it.

use std::time::Duration;

use reqwest::Method;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::ask::{PATIENCE, outcome};
use crate::chaos::{ChaosError, Field};
use crate::client::http_builder;
use crate::history::{Done, Hand, Op};

const DOMAIN: &str = "routes.example.test";
const PROJECT: &str = "routes";
/// Milliseconds from one change to the next, and from one look at an edge to the next.
const CHANGES: (u64, u64) = (200, 500);
const LOOKS: Duration = Duration::from_millis(100);

/// The domain.
#[derive(Debug)]
pub(crate) struct Routes {
    http: reqwest::Client,
}

impl Routes {
    pub async fn prepare(field: &Field) -> Result<Self, ChaosError> {
        let failed = |why: String| ChaosError::Workload { workload: "routes", why };
        if !field.need_project(PROJECT).await {
            return Err(failed("no node makes a project".into()));
        }
        // No authority is reached here, and none is needed.
        let mut settings = field.client.get(1, "/settings").await?.body;
        settings["acme"]["enabled"] = false.into();
        let body = json!({ "name": DOMAIN, "project": PROJECT, "redirect": away(0) });
        for answer in [
            field.client.put(1, "/settings", &settings).await?,
            field.client.post(1, "/domains", &body, None).await?,
        ] {
            if !answer.is_success() {
                return Err(failed(format!("{} {}", answer.status, answer.body)));
            }
        }
        let http = http_builder().redirect(Policy::none()).timeout(PATIENCE).build();
        Ok(Self { http: http.map_err(crate::GroundError::HttpClient)? })
    }

    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        workers.spawn(change(field.clone()));
        for node in 1..=field.nodes {
            workers.spawn(follow(field.clone(), self.http.clone(), node));
        }
    }

    pub async fn read_all(&self, field: &Field) {
        for node in 1..=field.nodes {
            once(field, &self.http, &mut field.recorder.hand(), node).await;
        }
    }
}

/// Where version `number` sends visitors.
fn away(number: u64) -> Value {
    json!({ "to": format!("https://example.test/v{number}"), "status": 302 })
}

/// One client, who makes one change after the other, each at any node.
async fn change(field: Field) {
    let mut chance = field.chance("routes");
    let mut hand = field.recorder.hand();
    let path = format!("/domains/{DOMAIN}");
    for number in 1.. {
        if field.is_over() {
            return;
        }
        let node = usize::try_from(chance.within(1, field.nodes as u64)).unwrap_or(1);
        let op = Op::Lead { k: DOMAIN.into(), v: number };
        let body = json!({ "redirect": away(number) });
        let asked = async {
            let answer = field.ask(node, Method::PATCH, &path, Some(&body)).await;
            outcome(&op, answer, |_| Some(op.clone()))
        };
        hand.ask(node, op.clone(), asked).await;
        field.pause(Duration::from_millis(chance.within(CHANGES.0, CHANGES.1))).await;
    }
}

async fn follow(field: Field, http: reqwest::Client, node: usize) {
    let mut hand = field.recorder.hand();
    while !field.is_over() {
        once(&field, &http, &mut hand, node).await;
        field.pause(LOOKS).await;
    }
}

async fn once(field: &Field, http: &reqwest::Client, hand: &mut Hand, node: usize) {
    let url = format!("http://{}/", field.ground.node(node).edge());
    let op = Op::Follow { k: DOMAIN.into(), v: None };
    let asked = async {
        let answer = match http.get(&url).header("host", DOMAIN).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Done::Failed("no connection".into()),
            Err(_) => return Done::Failed("no answer".into()),
        };
        let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
        let number = to.and_then(|to| to.rsplit_once("/v")?.1.parse().ok());
        match number {
            Some(v) => Done::Ok { op: Op::Follow { k: DOMAIN.into(), v: Some(v) }, rev: None },
            None => Done::Failed(format!("{} without a place to go to", answer.status().as_u16())),
        }
    };
    hand.ask(node, op, asked).await;
}
