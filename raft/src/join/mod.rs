//! How a new machine becomes a node: it shows a member a join token, and gets an id, a certificate and the cluster's key.

mod admission;
mod client;
mod error;
mod files;
mod pinned;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use temps_state::{Node, NodeId};

pub use client::join;
pub use error::JoinError;
pub use server::{Proposer, server};

/// The version of Temps that this is.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a machine needs to be told to join.
#[derive(Clone)]
pub struct JoinConfig {
    /// Its data folder; made if missing.
    pub data_dir: PathBuf,
    /// Any member: host and peer port.
    pub peer: String,
    /// The text that `temps nodes token` printed. Secret.
    pub token: String,
    /// What the machine is. Id, key, address, standing and time of joining are not taken from here.
    pub facts: Node,
    /// Where it will listen for peers.
    pub listen: SocketAddr,
    /// Where other nodes reach it, when that is not the address its calls come from.
    pub advertise: Option<SocketAddr>,
}

impl fmt::Debug for JoinConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinConfig({} into {})", self.peer, self.data_dir.display())
    }
}

/// A machine that is a node now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its id.
    pub node: NodeId,
    /// The cluster it belongs to.
    pub cluster_id: String,
    /// Whether it was one before.
    pub already: bool,
}

/// How far a join has come; its text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinStep {
    /// The machine has a key of its own.
    KeyReady,
    /// The member answered, and belongs to the token's cluster.
    Reached {
        /// Which one.
        peer: SocketAddr,
    },
    /// The token was accepted.
    Admitted {
        /// The id that the cluster gave.
        node: NodeId,
    },
    /// Keys and certificates are on the disk.
    Kept,
    /// There was nothing to do.
    Already {
        /// The id that it has.
        node: NodeId,
    },
}

impl fmt::Display for JoinStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyReady => write!(f, "This machine has a key of its own"),
            Self::Reached { peer } => {
                write!(f, "Reached {peer}, which belongs to the token's cluster")
            }
            Self::Admitted { node } => {
                write!(f, "The token was accepted: this machine is node {node}")
            }
            Self::Kept => write!(f, "Keys and certificates are written"),
            Self::Already { node } => {
                write!(f, "This machine has joined before: it is node {node}")
            }
        }
    }
}
