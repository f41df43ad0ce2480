//! How the cluster agrees: every change is an entry of one replicated log, applied in the same order on every node.
//!
//! [`Cluster`] is the one handle. [`Cluster::propose`] puts a command in the log and answers once it is applied here;
//! [`Cluster::state`] is what this node has applied; [`Cluster::watch`] tells of every change.
//!
//! An entry is acknowledged only when it is on disk in the log. The state in sled and the snapshots can be had again
//! from the log, or from each other, and are checked against it at every start.

mod cluster;
mod config;
mod content;
mod error;
mod folder;
mod heard;
mod identity;
mod ids;
mod join;
mod liveness;
mod log;
mod machine;
mod membership;
mod network;
mod parts;
mod peer;
mod planted;
mod proposal;
mod room;
#[cfg(test)]
mod simulation;
mod snapshot;
mod snapshots;
mod status;
mod store;
#[cfg(test)]
mod suite;
mod tail;
mod trust;
mod types;
mod wal;

pub use cluster::{Cluster, MayLose, PeerTls, WouldLoseQuorum};
pub use config::{Config, PeerConfig};
pub use error::{HandOverError, ProposeError, RaftError, ReadError};
pub use ids::fresh_id;
pub use join::{JoinConfig, JoinError, JoinStep, Joined, join};
pub use peer::PeerError;
pub use proposal::{Applied, Committed, Proposal};
pub use room::{ROOM_FOR_CHANGES_BYTES, ROOM_FOR_REPORTS_BYTES};
pub use status::{Member, PeerStatus, Status};
pub use trust::{PeerIdentity, SEED_LEN, TokenError, TrustError};
