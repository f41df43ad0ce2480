//! Certificates from a real authority, for a real cluster of one with a real edge.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod front;
mod ground;
mod habits;
mod orders;
#[path = "../support/mod.rs"]
mod support;
