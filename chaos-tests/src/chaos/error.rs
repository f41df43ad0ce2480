//! Why a run cannot be made, or its history cannot be used.

use std::io;
use std::path::PathBuf;

use crate::GroundError;
use crate::history::{FaultKind, HistoryError};

/// What failed. Violations are none of these: they are what runs are made for.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// The ground or something on it.
    #[error(transparent)]
    Ground(#[from] GroundError),
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A file of the run.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A node did not take what a workload needs before anything was broken.
    #[error("the {workload} workload cannot begin: {why}")]
    Workload {
        /// The workload.
        workload: &'static str,
        /// What the node said.
        why: String,
    },
    /// Faults that were chosen have no place in the time.
    #[error(
        "there is no room for {} in so short a run: give it more --minutes, or choose fewer faults with --nemesis",
        names(.0)
    )]
    TooShort(Vec<FaultKind>),
    /// Faults need what this machine does not have.
    #[error(
        "this machine cannot make {}, for it lacks {lacks}; leave them out: --without {}",
        names(faults),
        faults.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",")
    )]
    Lacks {
        /// What it does not have.
        lacks: String,
        /// The faults.
        faults: Vec<FaultKind>,
    },
    /// A fault needs more nodes.
    #[error("{} needs at least 4 nodes: give --nodes 5, or leave it out of --nemesis", .0.name())]
    TooFewNodes(FaultKind),
    /// A fault needs an authority, which one workload brings along.
    #[error("{} needs the certificates workload: add it to --workload", .0.name())]
    NoAuthority(FaultKind),
}

fn names(kinds: &[FaultKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}
