//! Detection, written Dockerfiles and the configuration file, seen from outside the crate.

mod common;
mod config;
mod folder;
mod languages;
mod node;
mod sites;
