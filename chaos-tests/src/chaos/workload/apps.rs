//! Apps that are deployed again and again while clients of every edge visit the one and call the other.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ask::PATIENCE;
use super::calls::{self, CALLED};
use crate::App;
use crate::chaos::{ChaosError, Field};
use crate::client::http_client;
use crate::history::{Done, Hand, Op};

/// The app that has a replica at each node.
const APP: App = App::new("app");
/// All of them.
pub(crate) const APPS: [App; 2] = [APP, CALLED];
/// How long a deploy may take.
const DEPLOY_MAX: Duration = Duration::from_secs(90);
/// From one deploy to the next.
const BETWEEN_DEPLOYS: Duration = Duration::from_secs(20);
/// How long each visitor waits from one visit to the next. Every edge has one for each app.
const BETWEEN_VISITS: Duration = Duration::from_millis(60);

/// The app, and how it is visited.
#[derive(Debug)]
pub(crate) struct Apps {
    http: reqwest::Client,
}

impl Apps {
    pub async fn prepare(field: &Field) -> Result<Self, ChaosError> {
        let mut hand = field.recorder.hand();
        for (app, replicas) in [(APP, field.nodes), (CALLED, field.nodes - 1)] {
            deploy(field, &mut hand, app, 1).await;
            app.scale(&field.ground, replicas.max(1)).await?;
            for node in field.ground.nodes() {
                app.serves(&field.ground, node.number).await?;
            }
        }
        Ok(Self { http: http_client(PATIENCE)? })
    }

    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        for app in APPS {
            workers.spawn(deploys(field.clone(), app));
        }
        for node in 1..=field.nodes {
            for app in APPS {
                workers.spawn(visits(field.clone(), self.http.clone(), app, node));
            }
        }
        calls::begin(field, &self.http, workers);
    }

    pub async fn read_all(&self, field: &Field) {
        for node in 1..=field.nodes {
            for app in APPS {
                visit(field, &self.http, &mut field.recorder.hand(), app, node).await;
            }
        }
    }
}

async fn deploys(field: Field, app: App) {
    let mut hand = field.recorder.hand();
    for version in 2.. {
        field.pause(BETWEEN_DEPLOYS).await;
        if field.is_over() {
            return;
        }
        deploy(&field, &mut hand, app, version).await;
    }
}

/// The command line repeats what got no answer, with the same idempotency key; a deploy that it says has failed may have
/// gone far, so that it counts as unknown.
async fn deploy(field: &Field, hand: &mut Hand, app: App, version: u64) {
    let op = Op::Deploy { k: app.project().into(), v: version };
    let asked = async {
        let name = format!("v{version}");
        match timeout(DEPLOY_MAX, app.deploy_version(&field.ground, &name)).await {
            Ok(Ok(())) => Done::Ok { op: op.clone(), rev: None },
            Ok(Err(error)) => {
                Done::Unknown(error.to_string().lines().last().unwrap_or_default().to_owned())
            }
            Err(_) => Done::Unknown("it took too long".into()),
        }
    };
    hand.ask(1, op.clone(), asked).await;
}

async fn visits(field: Field, http: reqwest::Client, app: App, node: usize) {
    let mut hand = field.recorder.hand();
    while !field.is_over() {
        visit(&field, &http, &mut hand, app, node).await;
        field.pause(BETWEEN_VISITS).await;
    }
}

async fn visit(field: &Field, http: &reqwest::Client, hand: &mut Hand, app: App, node: usize) {
    let url = format!("http://{}/", field.ground.node(node).edge());
    let name = || app.project().to_owned();
    let asked = async {
        let answer = match http.get(&url).header("host", app.host()).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Done::Failed("no connection".into()),
            Err(error) if error.is_timeout() => return Done::Failed("no answer in time".into()),
            Err(_) => return Done::Failed("the connection broke".into()),
        };
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        match body.trim().strip_prefix('v').and_then(|version| version.parse().ok()) {
            Some(v) if status.is_success() => {
                Done::Ok { op: Op::Visit { k: name(), v: Some(v) }, rev: None }
            }
            _ => Done::Failed(format!("{} {}", status.as_u16(), first_line(&body))),
        }
    };
    hand.ask(node, Op::Visit { k: name(), v: None }, asked).await;
}

/// The beginning of what came, which may be a page.
fn first_line(body: &str) -> String {
    const SHOWN: usize = 80;
    body.lines().next().unwrap_or_default().chars().take(SHOWN).collect()
}
