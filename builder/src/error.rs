//! What can go wrong between a source and an artifact, and what to tell people about it.

use std::error::Error;
use std::io;

use temps_presets::{ConfigError, DetectError};
use temps_state::{Failure, FailureCode};

use crate::archive::ArchiveError;
use crate::engine::EngineUnavailable;

/// Why there is no artifact. Variants are named by what failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields hold")]
pub enum BuildError {
    #[error("cannot write {what}")]
    Write { what: &'static str, source: io::Error },
    #[error("cannot read {what}")]
    Read { what: &'static str, source: io::Error },
    #[error("the disk of the container engine is full: {detail}")]
    EngineDiskFull { detail: String },

    #[error("the upload ended before its end")]
    UploadInterrupted { source: Box<dyn Error + Send + Sync> },
    #[error("the upload is larger than {} MiB", max >> 20)]
    UploadTooLarge { max: u64 },
    #[error("the upload is neither a tar.gz nor a tar.zst archive")]
    UploadNotArchive,
    #[error("no node has the upload {digest}: {asked}")]
    UploadMissing { digest: String, asked: String },
    #[error("the upload cannot be unpacked")]
    Unpack(#[from] ArchiveError),

    #[error("the octets are not those of {digest}")]
    BlobMismatch { digest: String },
    #[error("{digest} could not be had: {asked}")]
    BlobMissing { digest: String, asked: String },
    #[error("there is no upload {part} under way")]
    PartUnknown { part: String },
    #[error("the piece does not begin where the last one ended")]
    PartMisplaced,
    #[error("more than {max} blobs are on their way to this node")]
    TooManyParts { max: usize },

    #[error("`{url}` is not a Git URL this node clones from: {why}")]
    UrlRefused { url: String, why: &'static str },
    #[error("the program git cannot be run")]
    GitMissing { source: io::Error },
    #[error("the repository {url} is not there or may not be read: {detail}")]
    RepositoryNotFound { url: String, detail: String },
    #[error("the Git server of {url} cannot be reached: {detail}")]
    RepositoryUnreachable { url: String, detail: String },
    #[error("the repository {url} has no {revision}")]
    RevisionNotFound { url: String, revision: String, branches: Vec<String> },
    #[error("git failed on {url}: {detail}")]
    Checkout { url: String, detail: String },
    #[error("git took more than {seconds} s on {url}")]
    CheckoutTimedOut { url: String, seconds: u64 },
    #[error("fetching the source took more than {seconds} s")]
    DetectTimedOut { seconds: u64 },
    #[error("the source has no folder `{directory}`")]
    DirectoryMissing { directory: String },

    #[error("the configuration is wrong")]
    Config(#[from] ConfigError),
    #[error("this source cannot be built as it is")]
    Detect(#[from] DetectError),

    #[error(transparent)]
    EngineUnavailable(#[from] EngineUnavailable),
    #[error("the container engine failed to {doing}")]
    Engine { doing: &'static str, source: bollard::errors::Error },
    #[error("the connection to the container engine broke while it built: {detail}")]
    EngineLost { detail: String },
    #[error("the container engine refused the build: {detail}")]
    EngineRefused { detail: String },

    #[error("the Dockerfile `{path}` cannot be read")]
    DockerfileMissing { path: String },
    #[error("the Dockerfile is wrong: {detail}")]
    DockerfileInvalid { detail: String },
    #[error("the base image {image} is not there or may not be pulled: {detail}")]
    BaseImageNotFound { image: String, detail: String },
    #[error("the step `{step}` failed: {detail}")]
    StepFailed { step: String, detail: String },
    #[error(
        "the step `{step}` was killed: it needs more than the {memory_mib} MiB that a build may use"
    )]
    OutOfMemory { step: String, memory_mib: u64 },
    #[error("the build failed: {detail}")]
    BuildFailed { detail: String },
    #[error("the build took longer than {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("the build was cancelled")]
    Cancelled,

    #[error("`{reference}` is not an image reference")]
    ReferenceInvalid { reference: String },
    #[error("the image {reference} is not there or may not be pulled: {detail}")]
    ImageNotFound { reference: String, detail: String },
    #[error("the image {image} is not on this node and could not be had: {detail}")]
    ImageMissing { image: String, detail: String },
    #[error("the image {reference} made no progress for {seconds} s")]
    PullStalled { reference: String, seconds: u64 },

    #[error("the build left no folder `{directory}`; there is {}", listed(found))]
    OutputMissing { directory: String, found: Vec<String> },
    #[error("the folder `{directory}` has no files to serve")]
    OutputEmpty { directory: String },
    #[error("the site has more than {max} {unit}")]
    SiteTooLarge { max: u64, unit: &'static str },
    #[error("the deployment takes over the artifact of another: there is nothing to build")]
    NothingToBuild,
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

impl BuildError {
    /// What the deployment's record says of it, with the last lines of the log.
    pub fn failure(&self, log_tail: Vec<String>) -> Failure {
        Failure { code: self.code(), message: self.message(), hint: self.hint(), log_tail }
    }

    /// What to try next.
    pub fn hint(&self) -> String {
        crate::hint::hint(self)
    }

    /// The error and its causes, in one sentence.
    pub fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        message
    }

    /// The kind of failure. A full disk is recognised wherever it shows.
    pub fn code(&self) -> FailureCode {
        use FailureCode as Code;
        if self.is_disk_full() {
            return Code::DiskFull;
        }
        match self {
            Self::UploadInterrupted { .. }
            | Self::UploadTooLarge { .. }
            | Self::UploadNotArchive
            | Self::UploadMissing { .. }
            | Self::BlobMismatch { .. }
            | Self::BlobMissing { .. }
            | Self::PartUnknown { .. }
            | Self::PartMisplaced
            | Self::TooManyParts { .. }
            | Self::Unpack(_)
            | Self::UrlRefused { .. }
            | Self::RepositoryNotFound { .. }
            | Self::RepositoryUnreachable { .. }
            | Self::Checkout { .. }
            | Self::CheckoutTimedOut { .. }
            | Self::DetectTimedOut { .. }
            | Self::DirectoryMissing { .. } => Code::SourceNotFound,
            Self::RevisionNotFound { .. } => Code::RevisionNotFound,
            Self::Config(_) => Code::ConfigInvalid,
            Self::Detect(
                DetectError::UnknownPreset { .. }
                | DetectError::DockerfileMissing { .. }
                | DetectError::NothingToRunIn { .. },
            ) => Code::ConfigInvalid,
            Self::Detect(_) => Code::PresetNotFound,
            Self::EngineUnavailable(_) | Self::EngineLost { .. } => Code::EngineUnavailable,
            Self::Engine { source, .. } if !is_answer(source) => Code::EngineUnavailable,
            Self::DockerfileMissing { .. }
            | Self::DockerfileInvalid { .. }
            | Self::StepFailed { .. }
            | Self::OutOfMemory { .. }
            | Self::BuildFailed { .. }
            | Self::OutputMissing { .. }
            | Self::OutputEmpty { .. }
            | Self::SiteTooLarge { .. } => Code::BuildFailed,
            Self::TimedOut { .. } => Code::BuildTimedOut,
            Self::BaseImageNotFound { .. }
            | Self::ReferenceInvalid { .. }
            | Self::ImageNotFound { .. }
            | Self::ImageMissing { .. }
            | Self::PullStalled { .. } => Code::ImageNotFound,
            Self::Write { .. }
            | Self::Read { .. }
            | Self::EngineDiskFull { .. }
            | Self::GitMissing { .. }
            | Self::Engine { .. }
            | Self::EngineRefused { .. }
            | Self::NothingToBuild
            | Self::Cancelled => Code::Internal,
        }
    }

    fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let io = error.downcast_ref::<io::Error>();
            let full = io.is_some_and(|e| {
                matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            });
            if full || says_disk_full(&error.to_string()) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// Whether the engine answered, if only to refuse.
fn is_answer(error: &bollard::errors::Error) -> bool {
    use bollard::errors::Error;
    matches!(error, Error::DockerResponseServerError { .. } | Error::DockerStreamError { .. })
}

/// Whether a program's message tells of a full disk.
pub(crate) fn says_disk_full(text: &str) -> bool {
    ["no space left on device", "disk quota exceeded", "ENOSPC"]
        .iter()
        .any(|sign| text.to_ascii_lowercase().contains(&sign.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognised_wherever_it_shows() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let write = ArchiveError::Write { path: "a".into(), source: full() };
        let step = BuildError::StepFailed {
            step: "RUN npm ci".into(),
            detail: "write /a: no space left on device".into(),
        };
        for error in [
            BuildError::Write { what: "the upload", source: full() },
            BuildError::Unpack(write),
            BuildError::EngineDiskFull { detail: "No space left on device".into() },
            step,
        ] {
            assert_eq!(error.failure(vec![]).code, FailureCode::DiskFull, "{error}");
            assert!(error.failure(vec![]).hint.contains("space"));
        }
    }

    #[test]
    fn a_failure_tells_the_causes_and_what_to_do() {
        let source = io::Error::other("permission denied");
        let failure = BuildError::Read { what: "the Dockerfile", source }.failure(vec!["x".into()]);
        assert_eq!(failure.message, "cannot read the Dockerfile: permission denied");
        assert_eq!(failure.code, FailureCode::Internal);
        assert_eq!(failure.log_tail, ["x"]);
        assert!(!failure.hint.is_empty());
    }
}
