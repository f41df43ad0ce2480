//! Keys that are changed together: some variables of an environment, in one request.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::ask::{Series, outcome};
use super::variables;
use crate::chaos::Field;
use crate::chaos::chance::Chance;
use crate::history::{Hand, Op, Values};

/// The keys of a group.
const KEYS: [&str; 4] = ["A", "B", "C", "D"];
/// How often a group is used, which bounds what checkers have to try.
const USES: u64 = 160;
/// Milliseconds from one question of a client to the next.
const PACE: (u64, u64) = (30, 90);
/// Of a hundred operations, so many change something.
const WRITES: u64 = 55;

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    series: Arc<Series>,
}

impl Transactions {
    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        for node in 1..=field.nodes {
            workers.spawn(work(field.clone(), self.series.clone(), node));
        }
    }

    pub async fn read_all(&self, field: &Field) {
        for group in self.series.all() {
            for node in 1..=field.nodes {
                let op = Op::ReadMany { k: group.clone(), v: None };
                once(field, &mut field.recorder.hand(), node, op).await;
            }
        }
    }
}

async fn work(field: Field, series: Arc<Series>, node: usize) {
    let mut chance = field.chance(&format!("transactions {node}"));
    let mut hand = field.recorder.hand();
    while !field.is_over() {
        let make = async |name: &str| field.make_project(&json!({ "name": name })).await;
        let Some(group) = series.take(USES, |number| format!("t{number}"), make).await else {
            return;
        };
        let op = match chance.percent(WRITES) {
            true => Op::WriteMany { k: group, v: values(&field, &mut chance) },
            false => Op::ReadMany { k: group, v: None },
        };
        once(&field, &mut hand, node, op).await;
        field.pause(Duration::from_millis(chance.within(PACE.0, PACE.1))).await;
    }
}

/// The same fresh value for two keys or more.
fn values(field: &Field, chance: &mut Chance) -> Values {
    let mut keys = KEYS;
    chance.shuffle(&mut keys);
    let count = usize::try_from(chance.within(2, KEYS.len() as u64)).unwrap_or(KEYS.len());
    let value = field.number();
    keys.into_iter().take(count).map(|key| (key.to_owned(), value)).collect()
}

async fn once(field: &Field, hand: &mut Hand, node: usize, op: Op) {
    let asked = async {
        match &op {
            Op::WriteMany { k, v } => {
                let values = v.iter().map(|(name, value)| (name.clone(), value.to_string()));
                let answer = variables::set(field, node, k, values).await;
                outcome(&op, answer, |_| Some(op.clone()))
            }
            _ => {
                let answer = variables::get(field, node, op.key()).await;
                outcome(&op, answer, |answer| {
                    let values = variables::listed(answer)?.into_iter().collect();
                    Some(Op::ReadMany { k: op.key().into(), v: Some(values) })
                })
            }
        }
    };
    hand.ask(node, op.clone(), asked).await;
}
