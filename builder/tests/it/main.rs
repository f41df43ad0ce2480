//! Builds and images, with a real container engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod builds;
mod copies;
mod exchange;
