//! The API over HTTP, on a real cluster.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod access;
mod callers;
mod certificates;
mod common;
mod deployments;
mod detections;
mod dns_zones;
mod domains;
mod git_push;
mod guards;
mod nodes;
mod registry;
mod repeated;
mod replicas;
mod resources;
mod settings;
mod streams;
mod webhooks;
