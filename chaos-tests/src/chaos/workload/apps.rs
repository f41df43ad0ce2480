//! An app with a replica for each node, which is deployed again and again while clients of every edge visit it.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ask::PATIENCE;
use crate::App;
use crate::chaos::{ChaosError, Field};
use crate::client::http_client;
use crate::history::{Done, Hand, Op};

/// The app.
pub(crate) const APP: App = App::new("app");
/// How long a deploy may take.
const DEPLOY_MAX: Duration = Duration::from_secs(90);
/// From one deploy to the next.
const BETWEEN_DEPLOYS: Duration = Duration::from_secs(20);
/// Visitors of each edge, and how long each waits from one visit to the next.
const VISITORS: usize = 2;
const BETWEEN_VISITS: Duration = Duration::from_millis(60);

/// The app, and how it is visited.
#[derive(Debug)]
pub(crate) struct Apps {
    http: reqwest::Client,
}

impl Apps {
    pub async fn prepare(field: &Field) -> Result<Self, ChaosError> {
        let mut hand = field.recorder.hand();
        deploy(field, &mut hand, 1).await;
        APP.scale(&field.ground, field.nodes).await?;
        for node in field.ground.nodes() {
            APP.serves(&field.ground, node.number).await?;
        }
        Ok(Self { http: http_client(PATIENCE)? })
    }

    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        workers.spawn(deploys(field.clone()));
        for node in 1..=field.nodes {
            for _ in 0..VISITORS {
                workers.spawn(visits(field.clone(), self.http.clone(), node));
            }
        }
    }

    pub async fn read_all(&self, field: &Field) {
        for node in 1..=field.nodes {
            visit(field, &self.http, &mut field.recorder.hand(), node).await;
        }
    }
}

async fn deploys(field: Field) {
    let mut hand = field.recorder.hand();
    for version in 2.. {
        field.pause(BETWEEN_DEPLOYS).await;
        if field.is_over() {
            return;
        }
        deploy(&field, &mut hand, version).await;
    }
}

/// The command line repeats what got no answer, with the same idempotency key; a deploy that it says has failed may have
/// gone far, so that it counts as unknown.
async fn deploy(field: &Field, hand: &mut Hand, version: u64) {
    let op = Op::Deploy { k: APP.project().into(), v: version };
    let asked = async {
        let name = format!("v{version}");
        match timeout(DEPLOY_MAX, APP.deploy_version(&field.ground, &name)).await {
            Ok(Ok(())) => Done::Ok { op: op.clone(), rev: None },
            Ok(Err(error)) => {
                Done::Unknown(error.to_string().lines().last().unwrap_or_default().to_owned())
            }
            Err(_) => Done::Unknown("it took too long".into()),
        }
    };
    hand.ask(1, op.clone(), asked).await;
}

async fn visits(field: Field, http: reqwest::Client, node: usize) {
    let mut hand = field.recorder.hand();
    while !field.is_over() {
        visit(&field, &http, &mut hand, node).await;
        field.pause(BETWEEN_VISITS).await;
    }
}

async fn visit(field: &Field, http: &reqwest::Client, hand: &mut Hand, node: usize) {
    let url = format!("http://{}/", field.ground.node(node).edge());
    let app = || APP.project().to_owned();
    let asked = async {
        let answer = match http.get(&url).header("host", APP.host()).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Done::Failed("no connection".into()),
            Err(error) if error.is_timeout() => return Done::Failed("no answer in time".into()),
            Err(_) => return Done::Failed("the connection broke".into()),
        };
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        match body.trim().strip_prefix('v').and_then(|version| version.parse().ok()) {
            Some(v) if status.is_success() => {
                Done::Ok { op: Op::Visit { k: app(), v: Some(v) }, rev: None }
            }
            _ => Done::Failed(format!("{} {}", status.as_u16(), first_line(&body))),
        }
    };
    hand.ask(node, Op::Visit { k: app(), v: None }, asked).await;
}

/// The beginning of what came, which may be a page.
fn first_line(body: &str) -> String {
    const SHOWN: usize = 80;
    body.lines().next().unwrap_or_default().chars().take(SHOWN).collect()
}
