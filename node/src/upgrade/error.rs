//! Why a node does not run another program. It runs as before.

use std::io;
use std::path::PathBuf;

use temps_api::UpgradeFailure;
use temps_builder::BuildError;

use super::handover::Failed;

/// Why a node was not upgraded.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// No node has the binary.
    #[error("the binary cannot be had: {0}")]
    Missing(#[source] BuildError),
    /// The file is no program of ours for this machine.
    #[error("the file is not a temps binary that runs on this machine: {why}")]
    Unusable {
        /// What came of trying it.
        why: String,
    },
    /// The state is written in a format that the binary does not know.
    #[error("the binary knows the state up to format {knows}, and the cluster uses format {needs}")]
    TooOld {
        /// The newest format that it knows.
        knows: u32,
        /// The format in use.
        needs: u32,
    },
    /// A program cannot be written there.
    #[error("the node cannot write its program at {}: {source}", path.display())]
    Fixed {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node's process is its container's first, so that nothing can outlive it.
    #[error("the node is the first process of a container, which ends with it")]
    FirstProcess,
    /// The new process did not come up.
    #[error("the new program did not take over: {0}")]
    WentBack(#[from] Failed),
}

impl UpgradeError {
    /// The same for whoever asks.
    pub fn failure(&self) -> UpgradeFailure {
        let (code, hint) = match self {
            Self::Missing(_) => ("binary_missing", "send it again: temps upgrade --binary FILE"),
            Self::Unusable { .. } => (
                "binary_unusable",
                "build temps for the machine's architecture; `uname -m` there names it",
            ),
            Self::TooOld { .. } => {
                ("binary_too_old", "take a newer binary: every node knows a newer format already")
            }
            Self::Fixed { .. } => (
                "binary_not_replaceable",
                "let the node write that file and its folder; under systemd that is ReadWritePaths=",
            ),
            Self::FirstProcess => (
                "upgrade_in_container",
                "start the container anew from an image with the new binary",
            ),
            Self::WentBack(_) => (
                "went_back",
                "look at the node's log on that machine (journalctl -u temps); nothing was lost",
            ),
        };
        UpgradeFailure { code: code.into(), why: self.to_string(), hint: hint.into() }
    }
}
