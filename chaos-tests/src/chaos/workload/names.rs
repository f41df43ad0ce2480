//! Names that only one can have: projects' names, which a client of every node claims at about the same time. A claim
//! that got no answer is made again elsewhere, on purpose, with the same idempotency key.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::ask::{PATIENCE, outcome};
use crate::chaos::Field;
use crate::client::{Answer, Request};
use crate::history::{Done, Hand, Op};

/// How long a name is claimed.
const TURN: Duration = Duration::from_millis(600);
/// How often a claim is made that got no answer.
const TRIES_MAX: usize = 3;

/// All names.
#[derive(Debug)]
pub(crate) struct Names;

impl Names {
    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        for node in 1..=field.nodes {
            workers.spawn(work(field.clone(), node));
        }
    }
}

async fn work(field: Field, home: usize) {
    let mut chance = field.chance(&format!("names {home}"));
    let mut hand = field.recorder.hand();
    let mut last = None;
    while !field.is_over() {
        let now = field.recorder.now().since_begin();
        let turn = now.as_millis() / TURN.as_millis();
        if last.replace(turn) != Some(turn) {
            let name = format!("u{turn}");
            claim(&field, &mut hand, home, &name).await;
            let node = usize::try_from(chance.within(1, field.nodes as u64)).unwrap_or(home);
            look(&field, &mut hand, node, &name).await;
        }
        let next = TURN * u32::try_from(turn + 1).unwrap_or(u32::MAX);
        field.pause(next.saturating_sub(field.recorder.now().since_begin())).await;
    }
}

async fn claim(field: &Field, hand: &mut Hand, home: usize, name: &str) {
    let claim = field.number();
    let op = Op::Claim { k: name.into(), v: claim, id: None };
    let (body, key) = (json!({ "name": name }), format!("claim-{claim}"));
    for turn in 0..TRIES_MAX {
        let node = (home - 1 + turn) % field.nodes + 1;
        let asked = async {
            let request = Request::new(node, Method::POST, "/projects");
            let request = Request { body: Some(&body), within: PATIENCE, ..request };
            let request = Request { idempotency_key: Some(&key), ..request };
            outcome(&op, field.client.send(request).await, |answer| {
                Some(Op::Claim { k: name.into(), v: claim, id: Some(id(answer)?) })
            })
        };
        if !matches!(hand.ask(node, op.clone(), asked).await, Done::Unknown(_)) {
            return;
        }
    }
}

async fn look(field: &Field, hand: &mut Hand, node: usize, name: &str) {
    let op = Op::Look { k: name.into(), id: None };
    let asked = async {
        let path = format!("/projects/{name}");
        match field.ask(node, Method::GET, &path, None).await {
            Ok(answer) if answer.status == 404 => Done::Ok { op: op.clone(), rev: answer.applied },
            answer => outcome(&op, answer, |answer| {
                Some(Op::Look { k: name.into(), id: Some(id(answer)?) })
            }),
        }
    };
    hand.ask(node, op.clone(), asked).await;
}

fn id(answer: &Answer) -> Option<String> {
    answer.body["id"].as_str().map(str::to_owned)
}
