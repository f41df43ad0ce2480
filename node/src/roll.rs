//! One node after the other gets a new program, as the command line asks for it and waits.

use std::time::Duration;

use serde_json::{Value, json};
use temps_api::{UpgradeFailure, UpgradeOutcome, UpgradeStage, UpgradeStatus};
use tokio::time::{Instant, sleep};

use crate::client::{Client, path};
use crate::error::CliError;
use crate::view::{self, Node, Status};

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a node may take to hand over or go back: longer than it gives a program to come up, twice.
const NODE_WITHIN: Duration = Duration::from_secs(240);
/// How long it may take to fetch the binary before, too.
const PREPARED_WITHIN: Duration = Duration::from_secs(3_600);
/// How long the cluster may take to be whole again after a node has.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);
/// How many log entries a node may be behind that has caught up: others are written meanwhile.
const LAG_MAX: u64 = 100;

/// The order of the roll: whoever leads comes last, so that the lead moves once.
pub fn order(nodes: &[Node]) -> Vec<&Node> {
    let mut order: Vec<&Node> = nodes.iter().collect();
    order.sort_by_key(|node| (node.leader, node.id.as_u64()));
    order
}

/// What stands in the way of taking the next node: it must be the only one that is missing.
pub fn missing(status: &Status) -> Option<String> {
    if !status.quorum || status.leader.is_null() {
        return Some("there is no leader".into());
    }
    let behind =
        |node: &&Node| node.lost_since.is_some() || node.lag.is_none_or(|lag| lag > LAG_MAX);
    let node = status.nodes.iter().find(behind)?;
    let label = node.label();
    Some(match (node.lost_since, node.lag) {
        (Some(_), _) => format!("{label} is lost"),
        (None, None) => format!("{label} does not answer"),
        (None, Some(lag)) => format!("{label} is {lag} log entries behind"),
    })
}

/// Whether a node runs the binary by now.
pub fn verdict(now: &UpgradeStatus, before: &UpgradeStatus, binary: &str) -> Verdict {
    let news = now.last.as_ref().filter(|last| Some(*last) != before.last.as_ref());
    match news {
        Some(UpgradeOutcome { binary: tried, failure: Some(failure), .. }) if tried == binary => {
            Verdict::Failed(failure.clone())
        }
        _ if now.binary == binary && now.stage == UpgradeStage::Idle => Verdict::Runs,
        _ if now.stage == UpgradeStage::Preparing => Verdict::Prepares,
        _ => Verdict::Waits,
    }
}

/// What came of a node's upgrade so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fetches the binary.
    Prepares,
    /// One process follows the other.
    Waits,
    /// It runs the binary.
    Runs,
    /// It runs what it ran before.
    Failed(UpgradeFailure),
}

/// What a node runs.
pub async fn running(client: &Client, node: &str) -> Result<UpgradeStatus, CliError> {
    view::read(
        &client.get(&(path(&["nodes", node, "upgrade"]) + "?consistency=stale")).await?.value,
    )
}

/// Has a node run a binary, and waits until it does.
pub async fn upgrade(
    client: &Client,
    node: &Node,
    before: &UpgradeStatus,
    binary: &str,
) -> Result<(), CliError> {
    let id = view::plain(&node.id);
    let asked = json!({"binary": binary});
    client.post(&path(&["nodes", &id, "upgrade"]), &asked).await?;
    let mut until = Instant::now() + NODE_WITHIN;
    let all = Instant::now() + PREPARED_WITHIN;
    while Instant::now() < until.min(all) {
        sleep(LOOK_EVERY).await;
        // It does not answer while one process follows the other.
        let Ok(now) = running(client, &id).await else { continue };
        match verdict(&now, before, binary) {
            Verdict::Runs => return Ok(()),
            Verdict::Failed(failure) => return Err(not_upgraded(node, failure)),
            Verdict::Prepares => until = Instant::now() + NODE_WITHIN,
            Verdict::Waits => {}
        }
    }
    Err(CliError::blocked(
        format!("{} did not come back in time", node.label()),
        "neither the new program nor the one before answers there",
        "look at the node's log on that machine (journalctl -u temps), and start it again",
    ))
}

fn not_upgraded(node: &Node, failure: UpgradeFailure) -> CliError {
    let UpgradeFailure { code, why, hint } = failure;
    let what = match code.as_str() {
        "went_back" => format!("{} went back to the program it had", node.label()),
        _ => format!("{} was not upgraded, and runs on", node.label()),
    };
    CliError::blocked(what, why, hint)
}

/// Waits until every node is there and has caught up.
pub async fn whole(client: &Client) -> Result<Status, CliError> {
    let until = Instant::now() + WHOLE_WITHIN;
    loop {
        let status: Value = client.get(&path(&["status"])).await?.value;
        let status: Status = view::read(&status)?;
        let Some(missing) = missing(&status) else { return Ok(status) };
        if Instant::now() >= until {
            return Err(CliError::blocked(
                "the cluster is not whole",
                format!("{missing}, and a node is only upgraded while all others are there"),
                "temps status; then bring that node back, or remove it: temps nodes remove NODE",
            ));
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn node(id: u64, leader: bool) -> Node {
        Node { id: json!(id), leader, lag: Some(0), ..Node::default() }
    }

    fn failure(why: &str) -> UpgradeFailure {
        UpgradeFailure { code: "went_back".into(), why: why.into(), hint: String::new() }
    }

    fn status(binary: &str, last: Option<(&str, Option<&str>)>) -> UpgradeStatus {
        let last = last.map(|(binary, why)| UpgradeOutcome {
            binary: binary.into(),
            at: Timestamp::UNIX_EPOCH,
            failure: why.map(failure),
        });
        let (version, stage) = ("1.0.0".into(), UpgradeStage::Idle);
        UpgradeStatus { binary: binary.into(), version, format: 1, stage, last }
    }

    #[test]
    fn the_leader_comes_last() {
        let nodes = [node(3, false), node(1, true), node(10, false)];
        let ids: Vec<_> = order(&nodes).iter().map(|node| node.id.as_u64().unwrap()).collect();
        assert_eq!(ids, [3, 10, 1]);
    }

    #[test]
    fn a_node_is_taken_only_while_all_others_are_there() {
        let nodes = |second| vec![node(1, true), second];
        let status = |second| Status {
            quorum: true,
            leader: json!(1),
            nodes: nodes(second),
            ..Status::default()
        };
        assert_eq!(missing(&status(node(2, false))), None);
        let lost = Node { lost_since: Some(Timestamp::UNIX_EPOCH), ..node(2, false) };
        assert!(missing(&status(lost)).unwrap().contains("lost"));
        let silent = Node { lag: None, ..node(2, false) };
        assert!(missing(&status(silent)).unwrap().contains("does not answer"));
        let slow = Node { lag: Some(LAG_MAX + 1), ..node(2, false) };
        assert!(missing(&status(slow)).unwrap().contains("behind"));
        let headless = Status { leader: Value::Null, ..status(node(2, false)) };
        assert!(missing(&headless).is_some());
    }

    #[test]
    fn only_news_of_this_binary_counts() {
        let before = status("old", Some(("new", Some("it crashed"))));
        assert_eq!(verdict(&before, &before, "new"), Verdict::Waits);
        let busy = |stage| UpgradeStatus { stage, ..status("old", None) };
        assert_eq!(verdict(&busy(UpgradeStage::HandingOver), &before, "new"), Verdict::Waits);
        assert_eq!(verdict(&busy(UpgradeStage::Preparing), &before, "new"), Verdict::Prepares);
        assert_eq!(verdict(&status("new", None), &before, "new"), Verdict::Runs);
        let failed = status("old", Some(("new", Some("no disk"))));
        assert_eq!(verdict(&failed, &before, "new"), Verdict::Failed(failure("no disk")));
        let other = status("old", Some(("other", Some("no disk"))));
        assert_eq!(verdict(&other, &before, "new"), Verdict::Waits);
    }
}
