//! What clients ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Values by their keys.
pub type Values = BTreeMap<String, u64>;

/// What a client asks for. What it does not know yet is missing, and there in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "f", rename_all = "kebab-case")]
pub enum Op {
    /// Reads a register, linearizably. Fresh ones hold 0.
    Read {
        /// The register.
        k: String,
        /// What it held.
        v: Option<u64>,
    },
    /// Sets a register. No value is written twice.
    Write {
        /// The register.
        k: String,
        /// To what.
        v: u64,
    },
    /// Sets a register if it holds the first value, to the second.
    Cas {
        /// The register.
        k: String,
        /// From what to what.
        v: [u64; 2],
    },
    /// Adds an element to a set that nothing leaves.
    Add {
        /// The set.
        k: String,
        /// The element.
        v: u64,
    },
    /// Reads a whole set, linearizably.
    Members {
        /// The set.
        k: String,
        /// Its elements.
        v: Option<BTreeSet<u64>>,
    },
    /// Takes a name that only one can have.
    Claim {
        /// The name.
        k: String,
        /// Which claim it is; one that is repeated with the same idempotency key is the same claim.
        v: u64,
        /// What the name means now, by its id.
        id: Option<String>,
    },
    /// Looks what a name means.
    Look {
        /// The name.
        k: String,
        /// Its id; none when nobody has it.
        id: Option<String>,
    },
    /// Sets several keys at once.
    WriteMany {
        /// The keys' group.
        k: String,
        /// What each is set to.
        v: Values,
    },
    /// Reads all keys of a group at once.
    ReadMany {
        /// The group.
        k: String,
        /// What they held.
        v: Option<Values>,
    },
    /// Lets a domain lead elsewhere.
    Lead {
        /// The domain.
        k: String,
        /// The number of where.
        v: u64,
    },
    /// Looks where an edge sends visitors of a domain.
    Follow {
        /// The domain.
        k: String,
        /// The number of where.
        v: Option<u64>,
    },
    /// Deploys a version of an app.
    Deploy {
        /// The app.
        k: String,
        /// The version.
        v: u64,
    },
    /// Visits an app through an edge, by a request that may be repeated.
    Visit {
        /// The app.
        k: String,
        /// The version that answered.
        v: Option<u64>,
    },
    /// Asks an app through an edge for something that takes a while and must not be done twice.
    Call {
        /// The app.
        k: String,
        /// Which call it is.
        v: u64,
    },
    /// Asks for a certificate of a name.
    Certify {
        /// The name.
        k: String,
    },
}

impl Op {
    /// What it is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Read { k, .. }
            | Self::Write { k, .. }
            | Self::Cas { k, .. }
            | Self::Add { k, .. }
            | Self::Members { k, .. }
            | Self::Claim { k, .. }
            | Self::Look { k, .. }
            | Self::WriteMany { k, .. }
            | Self::ReadMany { k, .. }
            | Self::Lead { k, .. }
            | Self::Follow { k, .. }
            | Self::Deploy { k, .. }
            | Self::Visit { k, .. }
            | Self::Call { k, .. }
            | Self::Certify { k } => k,
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read a register",
            Self::Write { .. } => "write a register",
            Self::Cas { .. } => "compare and set",
            Self::Add { .. } => "add to a set",
            Self::Members { .. } => "read a set",
            Self::Claim { .. } => "claim a name",
            Self::Look { .. } => "look a name up",
            Self::WriteMany { .. } => "change several keys",
            Self::ReadMany { .. } => "read several keys",
            Self::Lead { .. } => "change a route",
            Self::Follow { .. } => "follow a route",
            Self::Deploy { .. } => "deploy",
            Self::Visit { .. } => "visit an app",
            Self::Call { .. } => "call an app",
            Self::Certify { .. } => "ask for a certificate",
        }
    }

    /// Whether it changes something, so that it may have taken effect even where nobody was told.
    #[must_use]
    pub const fn changes(&self) -> bool {
        match self {
            Self::Write { .. }
            | Self::Cas { .. }
            | Self::Add { .. }
            | Self::Claim { .. }
            | Self::WriteMany { .. }
            | Self::Lead { .. }
            | Self::Deploy { .. }
            | Self::Call { .. }
            | Self::Certify { .. } => true,
            Self::Read { .. }
            | Self::Members { .. }
            | Self::Look { .. }
            | Self::ReadMany { .. }
            | Self::Follow { .. }
            | Self::Visit { .. } => false,
        }
    }

    /// What kind of question it is, for people: apps and edges answer visitors, the API everybody else.
    #[must_use]
    pub const fn is_visit(&self) -> bool {
        matches!(self, Self::Follow { .. } | Self::Visit { .. } | Self::Call { .. })
    }
}
