//! The audit log: who changed what, when, and from where.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ApiKeyId, NodeId, ProjectId, State, UserId};

/// How many audit records the cluster keeps; the oldest goes first.
pub const AUDIT_RECORDS_MAX: usize = 10_000;

/// Who asked for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// A node, by itself.
    Node {
        /// Which one.
        id: NodeId,
    },
    /// A user with a session.
    User {
        /// Which one.
        id: UserId,
    },
    /// A user's API key.
    ApiKey {
        /// Which one.
        id: ApiKeyId,
        /// Whose it is.
        user: UserId,
    },
    /// A Git server's webhook.
    Webhook {
        /// The project it belongs to.
        project: ProjectId,
    },
}

/// One change that took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// From which address.
    pub from: Option<IpAddr>,
    /// What was done, such as `project.create`.
    pub action: String,
    /// What it was done to: an id or a name.
    pub target: String,
}

impl State {
    pub(crate) fn record_audit(&mut self, index: u64, record: AuditRecord) {
        self.audit.insert(index, record);
        while self.audit.len() > AUDIT_RECORDS_MAX {
            self.audit = self.audit.without_min().1;
        }
    }
}
