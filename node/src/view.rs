//! What the API answers, as far as the command line shows it; fields that are missing read as empty.
//!
//! `--json` prints the answer itself and never goes through these.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::CliError;
use crate::when::ago_or_dash;

/// A project.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Whether it answers 403.
    pub disabled: bool,
    /// Where its source is.
    pub repository: Option<Repository>,
    /// Whether pushes to other branches make preview environments.
    pub previews: bool,
    /// Where `git push` goes.
    pub git_url: Option<String>,
    /// Where it runs.
    pub environments: Vec<Environment>,
}

/// Where a project's source is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Repository {
    /// What to clone.
    pub url: String,
    /// What production follows.
    pub branch: String,
    /// The folder of the app inside it.
    pub directory: String,
    /// Whether there is a key that may read it.
    pub has_deploy_key: bool,
}

/// An environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// `{"type": "production"}`, or a preview with its branch.
    pub kind: Value,
    /// Where it is served.
    pub url: String,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How many answer.
    pub healthy_replicas: u32,
    /// What is live.
    pub current: Option<Current>,
}

/// The live deployment of an environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Current {
    /// Its number.
    pub number: u64,
    /// Its phase.
    pub phase: String,
}

/// A deployment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Its id.
    pub id: String,
    /// Its number in the project.
    pub number: u64,
    /// The project's name.
    pub project_name: String,
    /// The environment's name.
    pub environment_name: String,
    /// What it was made of.
    pub source: Value,
    /// The commit.
    pub revision: Option<Revision>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// Where it stands.
    pub phase: String,
    /// What it waits for while it is queued.
    pub queue: Option<Queue>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Why it was called off.
    pub reason: Option<String>,
    /// When it entered each phase.
    pub history: Vec<Moment>,
    /// How it runs.
    pub config: Value,
    /// Where it is served.
    pub url: String,
    /// Its containers.
    pub replicas: Vec<Replica>,
}

/// What a queued deployment waits for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// How many builds are ahead of it.
    pub ahead: u64,
}

impl Queue {
    /// The same in words.
    pub fn text(&self) -> String {
        match self.ahead {
            1 => "1 build is ahead".into(),
            ahead => format!("{ahead} builds are ahead"),
        }
    }
}

/// The commit of a deployment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Revision {
    /// The branch.
    pub branch: Option<String>,
    /// The hash.
    pub commit: String,
    /// The first line of its message.
    pub message: String,
}

/// Why a deployment or replica failed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// What failed and why.
    pub message: String,
    /// What to try.
    pub hint: String,
    /// The last log lines.
    pub log_tail: Vec<String>,
}

/// When a deployment entered a phase.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Moment {
    /// The phase.
    pub phase: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// A replica.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Replica {
    /// Its id.
    pub id: String,
    /// The node that runs it.
    pub node: Value,
    /// `{"type": "serve"}` and so on.
    pub intent: Value,
    /// `{"type": "healthy", …}` and so on.
    pub observed: Value,
}

impl Replica {
    /// Whether it takes traffic.
    pub fn serves(&self) -> bool {
        kind(&self.intent) == "serve" && kind(&self.observed) == "healthy"
    }
}

/// What the cluster says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The cluster.
    pub cluster_id: String,
    /// The node that answered.
    pub node: Value,
    /// The leader.
    pub leader: Value,
    /// Whether there is a quorum, as far as that node knows.
    pub quorum: bool,
    /// The last applied log entry.
    pub applied_index: u64,
    /// Every node.
    pub nodes: Vec<Node>,
    /// How many projects there are: a number, or counts by kind.
    pub projects: Value,
    /// Replicas wanted and healthy.
    pub replicas: ReplicaCount,
    /// The edge of the node that answered.
    pub edge: Edge,
    /// How many more nodes the cluster may lose.
    pub may_lose: u64,
    /// What the cluster survives, in a sentence.
    pub may_lose_text: String,
    /// The node's version.
    pub version: String,
    /// How long it runs.
    pub uptime_seconds: u64,
}

/// How many replicas there are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReplicaCount {
    /// Wanted.
    pub wanted: u64,
    /// Answering.
    pub healthy: u64,
}

/// A node's edge.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Edge {
    /// The port of plain HTTP.
    pub http_port: u16,
    /// The log entry that its routes are made from.
    pub applied_index: u64,
}

/// A node.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Its id.
    pub id: Value,
    /// Its name.
    pub name: String,
    /// `joining`, `ready` or `draining`.
    pub standing: String,
    /// Since when nobody hears of it.
    pub lost_since: Option<Timestamp>,
    /// Whether it leads.
    pub leader: bool,
    /// Whether it votes.
    pub voter: bool,
    /// Its last applied log entry.
    pub applied_index: Option<u64>,
    /// How many log entries it is behind.
    pub lag: Option<u64>,
    /// What its edge serves from.
    pub edge_applied_index: Option<u64>,
    /// Why its container engine cannot be used.
    pub engine_problem: Option<String>,
    /// How many replicas run there.
    pub replicas: u64,
    /// Whether it drains, and has nothing to wait for any more.
    pub drained: bool,
    /// What it waits for while it drains.
    pub blocked_by: Vec<String>,
    /// What people say about it.
    pub labels: BTreeMap<String, String>,
    /// Where other nodes reach it.
    pub address: Option<String>,
    /// The ports of its edge.
    pub http_port: Option<u16>,
    /// The same for HTTPS.
    pub https_port: Option<u16>,
    /// Whether it builds.
    pub builds: bool,
    /// Its processor.
    pub architecture: String,
    /// What its containers may use.
    pub capacity: Capacity,
    /// Its version of Temps.
    pub version: String,
    /// When it joined.
    pub joined_at: Option<Timestamp>,
}

impl Node {
    /// `node 7 (n3)`.
    pub fn label(&self) -> String {
        format!("node {} ({})", plain(&self.id), self.name)
    }

    /// How it is, in a word or two.
    pub fn state(&self) -> String {
        match (self.lost_since, self.drained) {
            (Some(at), _) => format!("lost {}", ago_or_dash(Some(at))),
            (None, true) => "drained".into(),
            (None, false) if self.engine_problem.is_some() => {
                format!("{}, no engine", self.standing)
            }
            (None, false) => self.standing.clone(),
        }
    }

    /// What it is for the others.
    pub fn role(&self) -> &'static str {
        match (self.leader, self.voter) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "learner",
        }
    }

    /// How many processors its containers may use.
    pub fn cores(&self) -> f64 {
        self.capacity.cpu_millis as f64 / 1_000.0
    }
}

/// A join token; the token itself is shown once only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct JoinToken {
    /// Its id.
    pub id: String,
    /// How many nodes may join with it.
    pub uses: u32,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The line to run, in the answer that creates it.
    pub command: String,
}

/// What a node's containers may use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Mebibytes.
    pub memory_mib: u64,
}

/// A user.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct User {
    /// Their id.
    pub id: String,
    /// Their address.
    pub email: String,
    /// Their role.
    pub role: String,
    /// When they were added.
    pub created_at: Option<Timestamp>,
}

/// An API key; the key itself is shown once only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it permits.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The key, in the answer that creates it.
    pub key: Option<String>,
}

/// A variable of an environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; a secret's is never told.
    pub value: Option<String>,
    /// Whether it is a secret.
    pub secret: bool,
    /// When it was set.
    pub updated_at: Option<Timestamp>,
}

/// A line of a build's or a container's log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LogLine {
    /// When.
    pub at: Option<Timestamp>,
    /// The build step it belongs to.
    pub step: String,
    /// The replica it comes from.
    pub replica: String,
    /// The text.
    pub text: String,
}

/// One change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditRecord {
    /// When.
    pub at: Option<Timestamp>,
    /// Who.
    pub actor: Value,
    /// From where.
    pub from: Option<String>,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
}

/// The `type` of a tagged value, or the value itself when it is plain text.
pub fn kind(value: &Value) -> &str {
    value.as_str().or_else(|| value["type"].as_str()).unwrap_or_default()
}

/// A number or text, as people write it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

/// Reads one answer.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, CliError> {
    T::deserialize(value)
        .map_err(|error| CliError::Unreadable { url: "the API".into(), why: error.to_string() })
}

/// Reads the items of a list.
pub fn items<T: DeserializeOwned>(value: &Value) -> Result<Vec<T>, CliError> {
    let items = value.get("items").unwrap_or(value);
    read(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_read_with_and_without_an_envelope() {
        for value in
            [json!([{"name": "a"}]), json!({"items": [{"name": "a"}], "next_cursor": null})]
        {
            let projects: Vec<Project> = items(&value).unwrap();
            assert_eq!(projects[0].name, "a");
        }
    }

    #[test]
    fn a_replica_serves_when_it_should_and_is_healthy() {
        let replica = |intent: &str, observed: &str| Replica {
            intent: json!({"type": intent}),
            observed: json!({"type": observed, "endpoint": "10.0.0.2:3000"}),
            ..Replica::default()
        };
        assert!(replica("serve", "healthy").serves());
        assert!(!replica("keep", "healthy").serves());
        assert!(!replica("serve", "starting").serves());
    }

    #[test]
    fn kinds_are_read_from_tags_and_from_text() {
        assert_eq!(kind(&json!({"type": "serve"})), "serve");
        assert_eq!(kind(&json!("serve")), "serve");
        assert_eq!(kind(&json!(7)), "");
    }
}
