//! Real nodes with real disks, over real links.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;
mod crash;
mod damage;
mod full_disk;
mod handover;
mod join;
mod restart;
mod several_nodes;
mod slow_links;
mod strangers;
mod sync_errors;
