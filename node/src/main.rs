//! The `temps` binary: one command line for the node and for its clients.
//!
//! `temps serve` and `temps join` compose a node ([`node`]); every other verb is an HTTP client of any node ([`cli`]).

#![forbid(unsafe_code)]

mod addresses;
mod answered;
mod attempts;
mod banner;
mod cli;
mod client;
mod config_file;
mod deletion;
mod descriptors;
mod docker_ignore;
mod domains;
mod dotenv;
mod drain;
mod error;
mod folder;
mod follow;
mod housekeeping;
mod joining;
mod logging;
mod machine;
mod node;
mod node_config;
mod output;
mod pack;
mod parts;
mod patience;
mod peers;
mod ports;
mod problem;
mod record;
mod removal;
mod revision;
mod roll;
mod serve_error;
mod service;
mod signals;
mod sites;
mod steps;
mod table;
mod terminal;
mod upgrade;
mod upload;
mod view;
mod when;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// A tenth less processor time for each request than the system's (bench/edge.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::run(cli::Cli::parse())
}
