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
mod identity;
mod ids;
mod log;
mod machine;
mod network;
mod parts;
mod proposal;
mod room;
mod snapshot;
mod status;
mod store;
#[cfg(test)]
mod suite;
mod types;
mod wal;

pub use cluster::Cluster;
pub use config::Config;
pub use error::{ProposeError, RaftError, ReadError};
pub use ids::fresh_id;
pub use proposal::{Applied, Committed, Proposal};
pub use room::{ROOM_FOR_CHANGES_BYTES, ROOM_FOR_REPORTS_BYTES};
pub use status::{Member, Status};
