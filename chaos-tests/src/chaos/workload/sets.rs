//! Sets that grow: the variables of an environment, one for each element.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::ask::{Series, outcome};
use super::variables;
use crate::chaos::Field;
use crate::client::Answer;
use crate::history::Op;

/// How often a set is used: an environment has 500 variables at most.
const USES: u64 = 400;
/// Milliseconds from one question of a client to the next.
const PACE: (u64, u64) = (30, 90);
/// Of a hundred operations, so many add.
const ADDS: u64 = 75;

/// All sets.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    series: Arc<Series>,
}

impl Sets {
    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        for node in 1..=field.nodes {
            workers.spawn(work(field.clone(), self.series.clone(), node));
        }
    }

    pub async fn read_all(&self, field: &Field) {
        for set in self.series.all() {
            for node in 1..=field.nodes {
                once(
                    field,
                    &mut field.recorder.hand(),
                    node,
                    Op::Members { k: set.clone(), v: None },
                )
                .await;
            }
        }
    }
}

async fn work(field: Field, series: Arc<Series>, node: usize) {
    let mut chance = field.chance(&format!("sets {node}"));
    let mut hand = field.recorder.hand();
    while !field.is_over() {
        let make = async |name: &str| field.make_project(&json!({ "name": name })).await;
        let Some(set) = series.take(USES, |number| format!("s{number}"), make).await else {
            return;
        };
        let op = match chance.percent(ADDS) {
            true => Op::Add { k: set, v: field.number() },
            false => Op::Members { k: set, v: None },
        };
        once(&field, &mut hand, node, op).await;
        field.pause(Duration::from_millis(chance.within(PACE.0, PACE.1))).await;
    }
}

async fn once(field: &Field, hand: &mut crate::history::Hand, node: usize, op: Op) {
    let asked = async {
        match &op {
            Op::Add { k, v } => {
                let element = [(format!("E{v}"), v.to_string())];
                let answer = variables::set(field, node, k, element).await;
                outcome(&op, answer, |_| Some(op.clone()))
            }
            _ => {
                let answer = variables::get(field, node, op.key()).await;
                outcome(&op, answer, |answer| {
                    Some(Op::Members { k: op.key().into(), v: Some(members(answer)?) })
                })
            }
        }
    };
    hand.ask(node, op.clone(), asked).await;
}

fn members(answer: &Answer) -> Option<BTreeSet<u64>> {
    Some(variables::listed(answer)?.into_iter().map(|(_, value)| value).collect())
}
