//! Registers: the branch that a project follows. It is read linearizably, set, and set where the project still has the
//! tag that it had when it was read.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::ask::{PATIENCE, Series, outcome};
use crate::chaos::Field;
use crate::chaos::chance::Chance;
use crate::client::{Answer, Request};
use crate::history::{Done, Hand, Op};

/// Registers that are used at the same time.
const AT_ONCE: usize = 4;
/// How often one is used, which bounds what checkers have to try.
const USES: u64 = 160;
/// Clients that ask each node.
const CLIENTS: usize = 2;
/// Milliseconds from one question of a client to the next.
const PACE: (u64, u64) = (20, 70);
/// Of a hundred operations, so many read and so many set.
const READS: u64 = 45;
const WRITES: u64 = 35;

/// All registers.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    series: Arc<[Series; AT_ONCE]>,
}

/// What a client has seen of a register.
#[derive(Debug, Clone, Default)]
struct Seen {
    value: u64,
    tag: Option<String>,
}

/// A client.
struct Worker {
    field: Field,
    series: Arc<[Series; AT_ONCE]>,
    chance: Chance,
    hand: Hand,
    node: usize,
    /// What was seen last of which register.
    seen: Option<(String, Seen)>,
}

impl Registers {
    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        for node in 1..=field.nodes {
            for client in 0..CLIENTS {
                let worker = Worker {
                    field: field.clone(),
                    series: self.series.clone(),
                    chance: field.chance(&format!("registers {node} {client}")),
                    hand: field.recorder.hand(),
                    node,
                    seen: None,
                };
                workers.spawn(worker.run());
            }
        }
    }

    pub async fn read_all(&self, field: &Field) {
        for register in self.series.iter().flat_map(Series::all) {
            for node in 1..=field.nodes {
                let mut hand = field.recorder.hand();
                let op = Op::Read { k: register.clone(), v: None };
                let path = format!("/projects/{register}");
                let asked = async {
                    outcome(&op, field.ask(node, Method::GET, &path, None).await, |answer| {
                        read(&register, answer)
                    })
                };
                hand.ask(node, op.clone(), asked).await;
            }
        }
    }
}

impl Worker {
    async fn run(mut self) {
        while !self.field.is_over() {
            let slot =
                usize::try_from(self.chance.within(0, AT_ONCE as u64 - 1)).unwrap_or_default();
            let make = async |name: &str| {
                let body = json!({ "name": name, "repository": repository(0) });
                self.field.make_project(&body).await
            };
            let next = |number| format!("r{slot}-{number}");
            let Some(register) = self.series[slot].take(USES, next, make).await else { return };
            self.once(register).await;
            let pace = self.chance.within(PACE.0, PACE.1);
            self.field.pause(Duration::from_millis(pace)).await;
        }
    }

    async fn once(&mut self, register: String) {
        let seen = self.seen.take().filter(|(name, _)| *name == register).map(|(_, seen)| seen);
        let drawn = self.chance.within(0, 99);
        let tagged = seen.filter(|seen| seen.tag.is_some());
        let (op, tag) = match tagged {
            _ if drawn < READS => (Op::Read { k: register.clone(), v: None }, None),
            _ if drawn < READS + WRITES => {
                (Op::Write { k: register.clone(), v: self.field.number() }, None)
            }
            Some(Seen { value, tag }) => {
                let v = [value, self.field.number()];
                (Op::Cas { k: register.clone(), v }, tag)
            }
            None => (Op::Read { k: register.clone(), v: None }, None),
        };
        let (field, node) = (self.field.clone(), self.node);
        let mut seen = None;
        let asked = async {
            let answer = ask(&field, node, &register, &op, tag.as_deref()).await;
            outcome(&op, answer, |answer| {
                seen = Some(Seen { value: value(answer)?, tag: answer.tag.clone() });
                match &op {
                    Op::Read { .. } => read(&register, answer),
                    _ => Some(op.clone()),
                }
            })
        };
        let done = self.hand.ask(node, op.clone(), asked).await;
        if matches!(done, Done::Ok { .. }) {
            self.seen = seen.map(|seen| (register, seen));
        }
    }
}

async fn ask(
    field: &Field,
    node: usize,
    register: &str,
    op: &Op,
    tag: Option<&str>,
) -> Result<Answer, crate::GroundError> {
    let path = format!("/projects/{register}");
    let request = |method| Request { within: PATIENCE, ..Request::new(node, method, &path) };
    let body = match op {
        Op::Write { v, .. } | Op::Cas { v: [_, v], .. } => json!({ "repository": repository(*v) }),
        _ => return field.client.send(request(Method::GET)).await,
    };
    let request = Request { body: Some(&body), if_match: tag, ..request(Method::PATCH) };
    field.client.send(request).await
}

/// A repository whose branch is this value.
fn repository(value: u64) -> Value {
    json!({ "url": "https://git.example.com/register.git", "branch": format!("v{value}") })
}

fn value(answer: &Answer) -> Option<u64> {
    answer.body["repository"]["branch"].as_str()?.strip_prefix('v')?.parse().ok()
}

fn read(register: &str, answer: &Answer) -> Option<Op> {
    Some(Op::Read { k: register.into(), v: Some(value(answer)?) })
}
