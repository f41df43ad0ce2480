//! What the API answers, as far as the command line shows it; fields that are missing read as empty.
//!
//! `--json` prints the answer itself and never goes through these.

mod account;
mod avoided;
mod deployment;
mod dns_provider;
mod dns_zone;
mod domain;
mod guard;
mod project;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::account::{ApiKey, User};
pub use self::avoided::Avoided;
pub use self::deployment::{Deployment, Failure, Queue, Replica};
pub use self::dns_provider::DnsProvider;
pub use self::dns_zone::{DnsZone, DnsZoneRecord, DnsZoneServer};
pub use self::domain::{
    Address, Certificate, Domain, HeaderPolicy, Look, Record, Redirect, Verification,
};
pub use self::guard::{Guard, Held};
pub use self::project::{Environment, Lacking, Project, Repository};

use crate::error::CliError;
use crate::when::ago_or_dash;

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
    /// Names whose certificate cannot be had or renewed, or was brought and ends.
    pub failing_certificates: Vec<FailingCertificate>,
    /// Accounts with DNS providers whose records are not as they should be.
    pub failing_dns_providers: Vec<FailingDnsProvider>,
    /// The zones that the nodes answer for.
    pub dns_zones: Vec<DnsZone>,
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

/// An account with a DNS provider whose records are not as they should be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FailingDnsProvider {
    /// Its name.
    pub name: String,
    /// What keeps them from being so.
    pub error: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// A name whose certificate cannot be had or renewed, or was brought and ends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FailingCertificate {
    /// The name.
    pub name: String,
    /// When the certificate ends that is shown meanwhile.
    pub ends: Option<Timestamp>,
    /// Whether somebody brought that certificate, and nobody gets another one.
    pub brought: bool,
    /// How often it failed in a row.
    pub failures: u64,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// When it is tried again; none while it is.
    pub retry_at: Option<Timestamp>,
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
    /// Since when it does not answer, by the node's word to the cluster.
    pub engine_away_since: Option<Timestamp>,
    /// What it is not given for now.
    pub avoided: Vec<Avoided>,
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
        let standing = if self.drained { "drained" } else { &self.standing };
        match (self.lost_since, standing) {
            (Some(at), _) => format!("lost {}", ago_or_dash(Some(at))),
            (None, "ready") if !self.answers() => "no answer".into(),
            (None, "joining" | "drained") => standing.into(),
            (None, _) if !self.answers() => format!("{standing}, no answer"),
            (None, _) if !self.engine_answers() => format!("{standing}, no engine"),
            (None, _) => standing.into(),
        }
    }

    /// Whether it answers the node that was asked.
    fn answers(&self) -> bool {
        self.applied_index.is_some()
    }

    /// Whether its container engine answers, by what it says now and what it told the cluster.
    pub fn engine_answers(&self) -> bool {
        self.engine_problem.is_none() && self.engine_away_since.is_none()
    }

    /// How its container engine is.
    pub fn engine(&self) -> String {
        match (&self.engine_problem, self.engine_away_since) {
            (None, None) => "answers".into(),
            (Some(problem), None) => problem.clone(),
            (problem, Some(since)) => {
                let problem = problem.as_deref().unwrap_or("the container engine does not answer");
                format!("{problem} (noticed {})", ago_or_dash(Some(since)))
            }
        }
    }

    /// What it is not given for now although its engine answers, in words. Without an engine it is given nothing.
    pub fn avoided(&self) -> impl Iterator<Item = String> {
        let avoided = self.avoided.iter().filter(|_| self.engine_answers());
        avoided.map(Avoided::sentence)
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

/// A request that an edge answered, or why some are missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Request {
    /// `request` or `missing`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    pub at: Option<Timestamp>,
    /// The node whose edge it was.
    pub node: u64,
    /// The status of the answer; `None` when the client left before.
    pub status: Option<u16>,
    /// The method.
    pub method: String,
    /// The name that it was sent to.
    pub host: String,
    /// The path.
    pub path: String,
    /// How long it took.
    pub milliseconds: u64,
    /// Who sent it.
    pub client: String,
    /// What went wrong.
    pub error: Option<String>,
    /// Why some are missing.
    pub why: String,
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
    fn a_node_that_does_not_answer_is_not_called_ready() {
        let (answers, no_engine) = (Some(7), Some("it does not answer".to_string()));
        let cases = [
            ("ready", answers, None, "ready"),
            ("ready", answers, no_engine.clone(), "ready, no engine"),
            ("ready", None, None, "no answer"),
            ("draining", None, None, "draining, no answer"),
            ("draining", answers, no_engine, "draining, no engine"),
            ("joining", None, None, "joining"),
        ];
        for (standing, applied_index, engine_problem, shown) in cases {
            let standing = standing.into();
            let node = Node { standing, applied_index, engine_problem, ..Node::default() };
            assert_eq!(node.state(), shown);
        }
    }

    #[test]
    fn kinds_are_read_from_tags_and_from_text() {
        assert_eq!(kind(&json!({"type": "serve"})), "serve");
        assert_eq!(kind(&json!("serve")), "serve");
        assert_eq!(kind(&json!(7)), "");
    }
}
