//! One question to one node, and what its answer means.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::chaos::Field;
use crate::client::{Answer, Request};
use crate::history::{Done, Op};
use crate::{GroundError, RECOVERY};

/// How long a client waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// How long it waits before it makes the same thing again, where nothing is measured.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Answers that leave open what came of a change.
const OPEN: [&str; 3] = ["outcome_unknown", "stopped", "internal"];

/// What came of an operation. `found` reads what a success says; nothing when that makes no sense.
pub(super) fn outcome(
    op: &Op,
    answer: Result<Answer, GroundError>,
    found: impl FnOnce(&Answer) -> Option<Op>,
) -> Done {
    match answer {
        Ok(answer) if answer.is_success() => match found(&answer) {
            Some(op) => Done::Ok { op, rev: answer.applied },
            None => Done::Unknown(format!("{} without what was asked for", answer.status)),
        },
        Ok(answer) => {
            let code = match answer.code() {
                "" => answer.status.to_string(),
                code => code.to_owned(),
            };
            // Who refuses says that nothing was done; a fault of the server's own says nothing.
            let refuses = answer.status < 500 || answer.status == 503 || answer.status == 507;
            let is_open = !refuses || answer.code().is_empty() || OPEN.contains(&answer.code());
            if op.changes() && is_open { Done::Unknown(code) } else { Done::Failed(code) }
        }
        Err(error) => lost(op, &error),
    }
}

/// Without a connection nothing was sent; else the change may be on its way.
fn lost(op: &Op, error: &GroundError) -> Done {
    match error {
        GroundError::Request { source, .. } if source.is_connect() => {
            Done::Failed("no connection".into())
        }
        GroundError::Request { source, .. } if source.is_timeout() => open(op, "no answer in time"),
        _ => open(op, "the connection broke"),
    }
}

fn open(op: &Op, why: &str) -> Done {
    if op.changes() { Done::Unknown(why.into()) } else { Done::Failed(why.into()) }
}

impl Field {
    /// Asks a node once.
    pub(super) async fn ask(
        &self,
        node: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, GroundError> {
        let request = Request::new(node, method, path);
        self.client.send(Request { body, within: PATIENCE, ..request }).await
    }

    /// Makes a project, whichever node it takes. Whether it did.
    pub(super) async fn make_project(&self, body: &Value) -> bool {
        let key = format!("make-{}", body["name"].as_str().unwrap_or_default());
        for turn in 0.. {
            let node = turn % self.nodes + 1;
            let request = Request::new(node, Method::POST, "/projects");
            let request = Request { body: Some(body), within: PATIENCE, ..request };
            let request = Request { idempotency_key: Some(&key), ..request };
            if self.client.send(request).await.is_ok_and(|answer| answer.is_success()) {
                return true;
            }
            if self.is_over() {
                break;
            }
            self.pause(BETWEEN_TRIES).await;
        }
        false
    }

    /// Makes a project before anything is broken.
    pub(super) async fn need_project(&self, name: &str) -> bool {
        let make = async || self.make_project(&json!({ "name": name })).await;
        tokio::time::timeout(RECOVERY, make()).await.unwrap_or_default()
    }
}

/// Things that are used for a while, one after the other, so that each has a history that can be judged.
#[derive(Debug, Default)]
pub(super) struct Series {
    now: tokio::sync::Mutex<Option<(String, u64)>>,
    all: Mutex<Vec<String>>,
}

impl Series {
    /// The name of the thing that is used now; after so many uses, of another one. Nothing when it is over before one
    /// could be made.
    pub async fn take(
        &self,
        uses: u64,
        next: impl FnOnce(usize) -> String,
        make: impl AsyncFnOnce(&str) -> bool,
    ) -> Option<String> {
        let mut now = self.now.lock().await;
        if let Some((name, used)) = now.as_mut().filter(|(_, used)| *used < uses) {
            *used += 1;
            return Some(name.clone());
        }
        let name = next(self.all().len());
        if !make(&name).await {
            return None;
        }
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        *now = Some((name.clone(), 1));
        Some(name)
    }

    /// All that were ever used.
    pub fn all(&self) -> Vec<String> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> Result<Answer, GroundError> {
        let body = json!({ "code": code });
        Ok(Answer { status, node: None, applied: None, tag: None, body })
    }

    #[test]
    fn what_is_not_known_is_never_called_a_failure() {
        let write = Op::Write { k: "r".into(), v: 1 };
        let read = Op::Read { k: "r".into(), v: None };
        let came = |op: &Op, status, code| outcome(op, answer(status, code), |_| Some(op.clone()));
        assert!(matches!(came(&write, 200, ""), Done::Ok { .. }));
        for (status, code) in
            [(503, "no_quorum"), (412, "changed"), (409, "taken"), (507, "disk_full")]
        {
            assert_eq!(came(&write, status, code), Done::Failed(code.into()));
        }
        for (status, code) in
            [(504, "outcome_unknown"), (503, "stopped"), (500, "internal"), (502, ""), (503, "")]
        {
            assert!(matches!(came(&write, status, code), Done::Unknown(_)), "{status} {code}");
            assert!(matches!(came(&read, status, code), Done::Failed(_)), "a read changes nothing");
        }
    }

    #[tokio::test]
    async fn a_series_goes_on_to_the_next_after_so_many_uses() {
        let series = Series::default();
        let take = async || series.take(2, |number| format!("s{number}"), async |_| true).await;
        let taken = [take().await, take().await, take().await];
        assert_eq!(taken.map(Option::unwrap), ["s0", "s0", "s1"]);
        assert_eq!(series.all(), ["s0", "s1"]);
    }
}
