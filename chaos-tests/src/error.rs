//! What can go wrong with the ground itself. A test fails on these too, but not because of the cluster.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::disk::Order;

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// There is no binary to test.
    #[error(
        "there is no temps binary at {0}; build it with `cargo build -p temps`, or set TEMPS_BIN"
    )]
    NoBinary(PathBuf),
    /// The ground's folder could not be made or read.
    #[error("{path}: {source}")]
    Folder {
        /// What was made or read.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No node runs that could let a machine in.
    #[error("no node runs that could let n{node} in")]
    NobodyToJoin {
        /// Which machine.
        node: usize,
    },
    /// The script could not be run at all.
    #[error("cluster.sh {command} could not be run: {source}")]
    Script {
        /// Its arguments.
        command: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The script ran and failed.
    #[error("cluster.sh {command} failed:\n{output}")]
    ScriptFailed {
        /// Its arguments.
        command: String,
        /// What it printed.
        output: String,
    },
    /// The script did not end.
    #[error("cluster.sh {command} did not end within {within:?}")]
    ScriptSlow {
        /// Its arguments.
        command: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// A file of the ground does not hold what it should.
    #[error("{path} does not hold {wanted}: {found}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// A disk did not do what it was told.
    #[error("the disk of n{node} did not {order}: {source}")]
    Disk {
        /// Whose.
        node: usize,
        /// What it was told.
        order: Order,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A node does not start, and does not say what to do about it.
    #[error("n{node} does not start, and does not say what to do; the end of its log:\n{log}")]
    Speechless {
        /// Which.
        node: usize,
        /// The end of its log.
        log: String,
    },
    /// A program that stands beside the cluster could not be run.
    #[error("{program} could not be run: {source}; deploy/test.sh installs it")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The certificate authority beside the cluster, or its DNS, did not do what it was asked.
    #[error("the certificate authority did not answer: {0}")]
    Authority(#[source] reqwest::Error),
    /// No HTTP client could be made.
    #[error("no HTTP client: {0}")]
    HttpClient(#[source] reqwest::Error),
    /// A node did not answer, or not as HTTP.
    #[error("node {node} did not answer {method} {path}: {source}")]
    Request {
        /// The node that was asked.
        node: usize,
        /// The method of the request.
        method: String,
        /// The path of the request.
        path: String,
        /// Why there is no answer.
        #[source]
        source: reqwest::Error,
    },
    /// A fault was made, and nothing came of it.
    #[error("it changed nothing: {0}")]
    NoEffect(String),
    /// A condition did not come true.
    #[error("waited {within:?} in vain until {what}")]
    NeverHappened {
        /// The condition, in words.
        what: String,
        /// How long it was waited for.
        within: Duration,
    },
}
