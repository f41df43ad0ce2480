//! One node after the other gets a new program, as the command line asks for it and waits.

use std::time::Duration;

use serde_json::json;
use temps_api::{UpgradeFailure, UpgradeOutcome, UpgradeStage, UpgradeStatus};
use tokio::time::{Instant, sleep};

use crate::client::{Client, path};
use crate::error::CliError;
use crate::steps::Steps;
use crate::view::{self, Node, Status};

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a node may take to hand over or go back: longer than it gives a program to come up, twice.
const NODE_WITHIN: Duration = Duration::from_secs(240);
/// How long it may take to fetch the binary before, too.
const PREPARED_WITHIN: Duration = Duration::from_secs(3_600);
/// How long what is needed for the next node may take to be there.
const THERE_WITHIN: Duration = Duration::from_secs(120);
/// How long something is waited for before people are told of it, and then of the next.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// How many log entries a node may be behind that has caught up: others are written meanwhile.
const LAG_MAX: u64 = 100;

/// The order of the roll: whoever leads comes last, so that the lead moves once.
pub fn order(nodes: &[Node]) -> Vec<&Node> {
    let mut order: Vec<&Node> = nodes.iter().collect();
    order.sort_by_key(|node| (node.leader, node.id.as_u64()));
    order
}

/// What must be there before a node is taken, beside a leader.
#[derive(Clone, Copy)]
pub enum Needed<'a> {
    /// Every node, so that the one that is taken is the only one that is missing.
    Everybody,
    /// That node alone, for the way back: another that is lost must not keep it from a program that works.
    Only(&'a Node),
}

impl Needed<'_> {
    /// What stands in the way.
    fn missing(self, status: &Status) -> Option<String> {
        if !status.quorum || status.leader.is_null() {
            return Some("there is no leader".into());
        }
        match self {
            Self::Everybody => status.nodes.iter().find_map(absent),
            Self::Only(node) => match status.nodes.iter().find(|other| other.id == node.id) {
                Some(now) => absent(now),
                None => Some(format!("{} is not of the cluster any more", node.label())),
            },
        }
    }

    fn refused(self, missing: String) -> CliError {
        match self {
            Self::Everybody => CliError::blocked(
                "the cluster is not whole",
                format!("{missing}, and a node is only upgraded while all others are there"),
                "temps status; then bring that node back, or remove it: temps nodes remove NODE",
            ),
            Self::Only(node) => CliError::blocked(
                format!("{} cannot be given another program", node.label()),
                missing,
                "temps status; once it is there, temps upgrade with the binary that it is to run",
            ),
        }
    }
}

/// Why a node does not count as being there.
fn absent(node: &Node) -> Option<String> {
    let label = node.label();
    match (node.lost_since, node.lag) {
        (Some(_), _) => Some(format!("{label} is lost")),
        (None, None) => Some(format!("{label} does not answer")),
        (None, Some(lag)) if lag > LAG_MAX => Some(format!("{label} is {lag} log entries behind")),
        (None, Some(_)) => None,
    }
}

/// Whether a node that was asked to runs the binary by now.
pub fn verdict(now: &UpgradeStatus, before: &UpgradeStatus, binary: &str) -> Verdict {
    let news = now.last.as_ref().filter(|last| Some(*last) != before.last.as_ref());
    match news {
        Some(UpgradeOutcome { binary: tried, failure: Some(failure), .. }) if tried == binary => {
            Verdict::Failed(failure.clone())
        }
        _ if now.target.as_ref().is_some_and(|target| target != binary) => Verdict::Other,
        _ if now.binary == binary && now.stage == UpgradeStage::Idle => Verdict::Runs,
        _ if now.stage == UpgradeStage::Preparing => Verdict::Prepares,
        _ if now.stage == UpgradeStage::Idle => Verdict::Forgotten,
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
    /// Somebody else is giving it another binary.
    Other,
    /// It runs another binary, and knows nothing of the wish.
    Forgotten,
}

/// What a node runs, as soon as it answers.
pub async fn running(
    client: &Client,
    steps: &Steps,
    node: &Node,
) -> Result<UpgradeStatus, CliError> {
    answered(steps, node, async || look(client, node).await).await
}

async fn look(client: &Client, node: &Node) -> Result<UpgradeStatus, CliError> {
    let path = path(&["nodes", &view::plain(&node.id), "upgrade"]) + "?consistency=stale";
    view::read(&client.get(&path).await?.value)
}

/// Refuses to begin while a node is being given another binary.
pub async fn check_free(
    client: &Client,
    steps: &Steps,
    nodes: &[Node],
    binary: &str,
) -> Result<(), CliError> {
    for node in nodes {
        let now = running(client, steps, node).await?;
        if now.target.is_some_and(|target| target != binary) {
            return Err(CliError::UpgradeUnderWay { node: node.label() });
        }
    }
    Ok(())
}

/// Has a node run a binary, and waits until it does; what it runs then.
pub async fn upgrade(
    client: &Client,
    steps: &Steps,
    node: &Node,
    before: &UpgradeStatus,
    binary: &str,
) -> Result<UpgradeStatus, CliError> {
    if before.binary != binary {
        ask(client, steps, node, binary).await?;
    }
    let mut until = Instant::now() + NODE_WITHIN;
    let all = Instant::now() + PREPARED_WITHIN;
    while Instant::now() < until.min(all) {
        // It does not answer while one process follows the other.
        if let Ok(now) = look(client, node).await {
            match verdict(&now, before, binary) {
                Verdict::Runs => return Ok(now),
                Verdict::Failed(failure) => return Err(not_upgraded(node, failure)),
                Verdict::Other => return Err(CliError::UpgradeUnderWay { node: node.label() }),
                Verdict::Forgotten => return Err(forgotten(node)),
                Verdict::Prepares => until = Instant::now() + NODE_WITHIN,
                Verdict::Waits => {}
            }
        }
        sleep(LOOK_EVERY).await;
    }
    Err(CliError::blocked(
        format!("{} did not come back in time", node.label()),
        "neither the new program nor the one before answers there",
        "look at the node's log on that machine (journalctl -u temps), and start it again",
    ))
}

/// Asks a node to take a binary.
async fn ask(client: &Client, steps: &Steps, node: &Node, binary: &str) -> Result<(), CliError> {
    let path = path(&["nodes", &view::plain(&node.id), "upgrade"]);
    let body = json!({"binary": binary});
    let asked = answered(steps, node, async || client.post(&path, &body).await).await;
    match asked {
        Err(error) if error.is_code("upgrade_under_way") => {
            Err(CliError::UpgradeUnderWay { node: node.label() })
        }
        asked => asked.map(drop),
    }
}

/// Repeats a request until the node answers: somebody else may just have made it change its process.
async fn answered<T>(
    steps: &Steps,
    node: &Node,
    request: impl AsyncFn() -> Result<T, CliError>,
) -> Result<T, CliError> {
    let mut waiting = Waiting::begin();
    let until = Instant::now() + NODE_WITHIN;
    loop {
        match request().await {
            Err(error) if error.is_code("node_unreachable") && Instant::now() < until => {
                waiting.tell(steps, &format!("{} does not answer", node.label()));
            }
            answer => return answer,
        }
        sleep(LOOK_EVERY).await;
    }
}

fn forgotten(node: &Node) -> CliError {
    CliError::blocked(
        format!("{} was started anew, and does not run the binary", node.label()),
        "its process ended before another one could follow it",
        "look at the node's log on that machine (journalctl -u temps), then the same command again",
    )
}

fn not_upgraded(node: &Node, failure: UpgradeFailure) -> CliError {
    let UpgradeFailure { code, why, hint } = failure;
    let what = match code.as_str() {
        "went_back" => format!("{} went back to the program it had", node.label()),
        _ => format!("{} was not upgraded, and runs on", node.label()),
    };
    CliError::blocked(what, why, hint)
}

/// Waits until everything that is needed is there and has caught up, and says what it waits for.
pub async fn wait_for(
    client: &Client,
    steps: &Steps,
    needed: Needed<'_>,
) -> Result<Status, CliError> {
    let until = Instant::now() + THERE_WITHIN;
    let mut waiting = Waiting::begin();
    loop {
        let status: Status = view::read(&client.get(&path(&["status"])).await?.value)?;
        let Some(missing) = needed.missing(&status) else { return Ok(status) };
        if Instant::now() >= until {
            return Err(needed.refused(missing));
        }
        waiting.tell(steps, &missing);
        sleep(LOOK_EVERY).await;
    }
}

/// What people were told of a wait.
struct Waiting {
    told: String,
    next: Instant,
}

impl Waiting {
    /// Nothing yet: what is over in a moment is not told of.
    fn begin() -> Self {
        Self { told: String::new(), next: Instant::now() + TELL_EVERY }
    }

    /// Says what is waited for, unless it was said or something else was only just.
    fn tell(&mut self, steps: &Steps, what: &str) {
        if Instant::now() >= self.next && self.told != what {
            steps.wait_for(what);
            *self = Self { told: what.into(), next: Instant::now() + TELL_EVERY };
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

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
            warning: None,
        });
        let (version, stage) = ("1.0.0".into(), UpgradeStage::Idle);
        UpgradeStatus { binary: binary.into(), version, format: 1, stage, target: None, last }
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
        let missing = |status: &Status| Needed::Everybody.missing(status);
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
    fn a_node_goes_back_while_others_are_lost() {
        let lost = Node { lost_since: Some(Timestamp::UNIX_EPOCH), ..node(2, false) };
        let nodes = vec![node(1, true), lost];
        let status = Status { quorum: true, leader: json!(1), nodes, ..Status::default() };
        assert_eq!(Needed::Only(&node(1, true)).missing(&status), None);
        assert!(Needed::Only(&node(2, false)).missing(&status).unwrap().contains("lost"));
        assert!(Needed::Only(&node(3, false)).missing(&status).unwrap().contains("any more"));
        let headless = Status { leader: Value::Null, ..status };
        assert!(Needed::Only(&node(1, true)).missing(&headless).unwrap().contains("leader"));
    }

    #[test]
    fn only_news_of_this_binary_counts() {
        let before = status("old", Some(("new", Some("it crashed"))));
        assert_eq!(verdict(&before, &before, "new"), Verdict::Forgotten);
        let busy = |stage| UpgradeStatus { stage, ..status("old", None) };
        assert_eq!(verdict(&busy(UpgradeStage::HandingOver), &before, "new"), Verdict::Waits);
        assert_eq!(verdict(&busy(UpgradeStage::Preparing), &before, "new"), Verdict::Prepares);
        assert_eq!(verdict(&status("new", None), &before, "new"), Verdict::Runs);
        let failed = status("old", Some(("new", Some("no disk"))));
        assert_eq!(verdict(&failed, &before, "new"), Verdict::Failed(failure("no disk")));
        let other = status("old", Some(("other", Some("no disk"))));
        assert_eq!(verdict(&other, &before, "new"), Verdict::Forgotten);
        let taking = |target: &str| UpgradeStatus {
            target: Some(target.into()),
            ..busy(UpgradeStage::Preparing)
        };
        assert_eq!(verdict(&taking("new"), &before, "new"), Verdict::Prepares);
        assert_eq!(verdict(&taking("other"), &before, "new"), Verdict::Other);
    }
}
