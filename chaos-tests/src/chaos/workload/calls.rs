//! Requests that take a while and must not be done twice: an order that is placed, say. Each is made once. The app writes
//! down which it was asked for, and its log is read like anybody's.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::ask::PATIENCE;
use crate::App;
use crate::chaos::Field;
use crate::history::{Done, Hand, Op, Sight, What};

/// The app that is called. It has a replica less than there are nodes, so that some calls pass from node to node.
pub(super) const CALLED: App = App::new("calls");
/// How long the app takes; well within the time that a replica which goes has for what is under way.
const TAKES_MS: u64 = 700;
/// How long a caller waits: longer than an edge takes to find out that the node of a replica is gone.
const CALL_PATIENCE: Duration = Duration::from_secs(15);
/// From one call to the next.
const BETWEEN_CALLS: Duration = Duration::from_millis(200);
/// From one look at the log to the next.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// How many of its last lines each replica is asked for: more than it writes while it cannot be looked at.
const TAIL: usize = 500;

/// A caller at every edge, and one who reads the log.
pub(super) fn begin(field: &Field, http: &reqwest::Client, workers: &mut JoinSet<()>) {
    for node in 1..=field.nodes {
        workers.spawn(calls(field.clone(), http.clone(), node));
    }
    workers.spawn(looks(field.clone()));
}

async fn calls(field: Field, http: reqwest::Client, node: usize) {
    let mut hand = field.recorder.hand();
    while !field.is_over() {
        call(&field, &http, &mut hand, node).await;
        field.pause(BETWEEN_CALLS).await;
    }
}

async fn call(field: &Field, http: &reqwest::Client, hand: &mut Hand, node: usize) {
    let call = field.number();
    let edge = field.ground.node(node).edge();
    let url = format!("http://{edge}/calls/{call}?ms={TAKES_MS}");
    let op = Op::Call { k: CALLED.project().into(), v: call };
    let asked = async {
        match http.post(&url).timeout(CALL_PATIENCE).header("host", CALLED.host()).send().await {
            Ok(answer) if answer.status().is_success() => Done::Ok { op: op.clone(), rev: None },
            Ok(answer) => Done::Unknown(answer.status().as_u16().to_string()),
            Err(error) if error.is_connect() => Done::Failed("no connection".into()),
            Err(error) if error.is_timeout() => Done::Unknown("no answer in time".into()),
            Err(_) => Done::Unknown("the connection broke".into()),
        }
    };
    hand.ask(node, op.clone(), asked).await;
}

/// Reads the log at one node after the other. What cannot be read now is there the next time, or was never told.
async fn looks(field: Field) {
    let mut known = BTreeSet::new();
    for turn in 0.. {
        look(&field, turn % field.nodes + 1, &mut known).await;
        if field.is_over() {
            return;
        }
        field.pause(BETWEEN_LOOKS).await;
    }
}

async fn look(field: &Field, node: usize, known: &mut BTreeSet<(u64, String, String)>) {
    let path = format!("/projects/{}/environments/production/logs?tail={TAIL}", CALLED.project());
    for line in field.client.lines(node, &path, PATIENCE).await {
        let Some(handled) = handled(&line).filter(|handled| known.insert(handled.clone())) else {
            continue;
        };
        let (call, replica, at) = handled;
        let app = CALLED.project().into();
        field.recorder.note(What::Sight(Sight::Handled { app, call, replica, at })).await;
    }
}

/// The call that a line tells of, who was called, and when.
fn handled(line: &Value) -> Option<(u64, String, String)> {
    let text = |name: &str| line[name].as_str();
    let call = text("text")?.strip_prefix("call ")?.parse().ok()?;
    Some((call, text("replica")?.into(), text("at")?.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_of_a_call() {
        let line =
            |text: &str| json!({ "at": "2026-01-01T00:00:00Z", "replica": "rep_1", "text": text });
        let expected = (17, "rep_1".to_owned(), "2026-01-01T00:00:00Z".to_owned());
        assert_eq!(handled(&line("call 17")), Some(expected));
        assert_eq!(handled(&line("listening on port 3000")), None);
    }
}
