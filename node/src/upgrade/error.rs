//! Why a node does not run another program. It runs as before.

use std::io;
use std::path::PathBuf;

use temps_api::UpgradeFailure;
use temps_builder::BuildError;
use temps_state::FailureCode;

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
    /// The program that runs cannot be kept, without which there is no way back.
    #[error("the program that runs cannot be kept for the way back: {0}")]
    Unkept(#[source] BuildError),
    /// The new program runs, and the file of the old one could not be replaced.
    #[error("the new program runs, and could not be put in the place of {}: {source}", path.display())]
    NotInstalled {
        /// The file that the node is started from.
        path: PathBuf,
        /// Where the new program is.
        program: PathBuf,
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
        UpgradeFailure { code: self.code().into(), why: self.to_string(), hint: self.hint() }
    }

    /// What kind it is; stable.
    fn code(&self) -> &'static str {
        match self {
            _ if self.is_full() => "disk_full",
            Self::Missing(_) => "binary_missing",
            Self::Unusable { .. } => "binary_unusable",
            Self::TooOld { .. } => "binary_too_old",
            Self::Fixed { .. } | Self::Unkept(_) => "binary_not_replaceable",
            Self::NotInstalled { .. } => "not_installed",
            Self::FirstProcess => "upgrade_in_container",
            Self::WentBack(_) => "went_back",
        }
    }

    /// What to do next.
    fn hint(&self) -> String {
        let text = match self {
            _ if self.is_full() => {
                "free space on that machine (df -h), at least twice the binary's size, then try again"
            }
            Self::Missing(_) => "send it again: temps upgrade --binary FILE",
            Self::Unusable { .. } => {
                "build temps for the machine's architecture; `uname -m` there names it"
            }
            Self::TooOld { .. } => "take a newer binary: every node knows a newer format already",
            Self::Fixed { .. } | Self::Unkept(_) => {
                "let the node write that file and its folder; under systemd that is ReadWritePaths="
            }
            Self::NotInstalled { path, program, .. } => {
                let (program, path) = (program.display(), path.display());
                return format!(
                    "put it there by hand, or the node's next start is one of the old program: install {program} {path}"
                );
            }
            Self::FirstProcess => "start the container anew from an image with the new binary",
            Self::WentBack(_) => {
                "look at the node's log on that machine (journalctl -u temps); nothing was lost"
            }
        };
        text.into()
    }

    /// Whether there was no room for a file, which no permission would change.
    fn is_full(&self) -> bool {
        match self {
            Self::Fixed { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Missing(error) | Self::Unkept(error) => error.code() == FailureCode::DiskFull,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_one_that_may_not_be_written() {
        let fixed = |kind: io::ErrorKind| {
            UpgradeError::Fixed { path: "/usr/bin/temps".into(), source: kind.into() }.failure()
        };
        let full = fixed(io::ErrorKind::StorageFull);
        assert_eq!(full.code, "disk_full");
        assert!(full.hint.contains("df -h") && !full.hint.contains("ReadWritePaths"), "{full:?}");
        let barred = fixed(io::ErrorKind::ReadOnlyFilesystem);
        assert_eq!(barred.code, "binary_not_replaceable");
        assert!(barred.hint.contains("ReadWritePaths"), "{barred:?}");
        let source = io::ErrorKind::StorageFull.into();
        let kept = UpgradeError::Unkept(BuildError::Write { what: "a blob", source }).failure();
        assert_eq!(kept.code, "disk_full");
    }
}
