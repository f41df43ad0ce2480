//! Deployments and what runs of them.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::kind;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
