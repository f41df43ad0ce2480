//! Builds against a real container engine, a real git and real disks.
//!
//! They need the engine on `/var/run/docker.sock` and the base images of `deploy/base-images.sh`.

mod bad_input;
mod bench;
mod git;
mod images;
mod limits;
mod secrets;
mod sites;
