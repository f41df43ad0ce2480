//! Builds against a real container engine, a real git and real disks.
//!
//! They need the engine on `/var/run/docker.sock` and the base images of `deploy/base-images.sh`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod bench;
mod git;
mod images;
mod limits;
mod secrets;
mod sites;
