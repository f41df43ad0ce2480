//! From desired state to running containers.
//!
//! What thinks is pure: [`rollout::next`] says what the leader proposes so that deployments become live, [`plan::plan`]
//! what this node does so that its containers are what the state wants, [`report::reports`] what it tells the cluster
//! of them. Around them are loops that are woken by changes and by a timer, that take no input, and whose next round is
//! the retry of everything that failed.

mod act;
pub mod backoff;
mod build_loop;
pub mod container;
mod copies;
pub mod cron;
mod engine_events;
mod error;
mod exec;
pub mod faults;
pub mod health;
pub mod leader;
pub mod leftovers;
mod log_line;
mod logs;
mod memory;
mod network;
pub mod placement;
pub mod plan;
mod prepare;
mod probe;
mod prober;
mod proposer;
mod reconcile;
pub mod report;
pub mod rollout;
pub mod room;
mod runtime;
mod scheduler;
pub mod shortage;
mod spec;
mod stats;
mod work;

pub use error::SchedulerError;
pub use exec::{ExecOutput, ExecRequest, ExecSession};
pub use log_line::ReplicaLine;
pub use logs::LogQuery;
pub use memory::{Ended, Memory};
pub use network::{NETWORK, Nameservers, Network};
pub use scheduler::{LocalEndpoints, Residents, Scheduler, SchedulerConfig};
pub use stats::Stats;
