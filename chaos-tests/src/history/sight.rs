//! What is seen of a cluster from outside.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What somebody has seen who only looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum Sight {
    /// A node, by its own word.
    Node(EdgeSight),
    /// A node that did not say anything.
    Silence {
        /// Which.
        node: usize,
    },
    /// The replicas of an app, as the state has them.
    Replicas {
        /// The app.
        app: String,
        /// How many are wanted.
        wanted: usize,
        /// All there are.
        replicas: Vec<ReplicaSight>,
    },
    /// A replica that was called, by its own log.
    Handled {
        /// The app.
        app: String,
        /// Which call.
        call: u64,
        /// The replica.
        replica: String,
        /// When, by the engine's clock: a replica that is called twice says so twice.
        at: String,
    },
    /// What the certificate authority did, by its own log.
    Authority {
        /// The names that it was asked for certificates of.
        names: usize,
        /// Certificates that it gave.
        certificates: usize,
        /// How many of each name.
        #[serde(default)]
        given: BTreeMap<String, usize>,
    },
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeSight {
    /// Which.
    pub node: usize,
    /// Who leads, as it knows; nobody without a quorum.
    pub leader: Option<usize>,
    /// The id of whoever leads: of two leaders in one term, the one with the higher id came last.
    #[serde(default)]
    pub leader_id: Option<u64>,
    /// The term.
    pub term: u64,
    /// The log entry that it has applied.
    pub applied: u64,
    /// The log entry that its edge serves from.
    pub edge: u64,
}

/// A replica, as the state has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaSight {
    /// Its id.
    pub id: String,
    /// The id of its node; nodes that come back empty get another one.
    pub node: u64,
    /// The number of that node's machine, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<usize>,
    /// What it runs.
    pub deployment: String,
    /// Whether it is to take requests.
    pub serves: bool,
    /// Where it is healthy; nowhere when it is not.
    pub endpoint: Option<String>,
    /// Whether its node is drained, so that another one takes its place before it goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaves: bool,
}
