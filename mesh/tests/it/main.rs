//! Nodes that reach each other over loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[path = "../common/mod.rs"]
mod common;
mod failure;
mod garbage;
mod handover;
mod streams;
mod trust;
