//! A whole cluster in one thread, from one seed.
//!
//! The nodes are real: their openraft, their log with its files, their snapshots, their state machine, and all that they
//! say to each other, in the octets that it has on the wire. What they stand on is simulated: the clock, the network, and
//! what of a disk is left when a machine loses power. A [`schedule`] breaks that for a while and then leaves it alone; an
//! [`oracle`] is told everything, and says what may not be.
//!
//! A seed has a process of its own, so that it gives the same to the last octet whatever ran before; `docs/decisions/017`.

mod batch;
mod chance;
mod client;
mod cluster;
mod coverage;
mod disk;
mod faults;
mod network;
mod node;
mod oracle;
mod remains;
mod rows;
mod run;
mod schedule;
mod trace;
mod wire;
mod world;
mod writes;

pub use disk::{Disk, hold, shorten, work};
pub use rows::{Rows, await_release, empty};
pub use wire::{Station, Wire};
pub use world::{disk_of, is_on};
