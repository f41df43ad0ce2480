//! What to try next, for each way in which a build fails.

use temps_presets::DetectError;
use temps_state::FailureCode;

use crate::BuildError;

/// The most branches a hint lists.
const BRANCHES_LISTED_MAX: usize = 10;

/// One or two sentences for the person who deployed.
pub(crate) fn hint(error: &BuildError) -> String {
    if error.code() == FailureCode::DiskFull {
        return "Free space on the node, for example with `docker system prune`, and deploy again."
            .into();
    }
    match error {
        BuildError::RevisionNotFound { branches, .. } => branch_hint(branches),
        BuildError::OutOfMemory { memory_mib, .. } => format!(
            "Raise the memory of builds above {memory_mib} MiB in the cluster's settings, or let \
             the step use less."
        ),
        BuildError::TimedOut { .. } => {
            "Look in the log for the step that hangs, or raise the time limit of builds in the \
             cluster's settings."
                .into()
        }
        BuildError::StepFailed { detail, .. } if is_cut_off(detail) => {
            "The step could not reach what it downloads from: check the node's network and its proxy settings. A source \
             that carries its packages needs none: `go mod vendor`, for example."
                .into()
        }
        other => fixed(other).into(),
    }
}

/// Whether a program says that a host was not reached.
fn is_cut_off(detail: &str) -> bool {
    let signs = [
        "no such host",
        "name resolution",
        "resolve host",
        "EAI_AGAIN",
        "ENOTFOUND",
        "ECONNREFUSED",
        "Network is unreachable",
        "i/o timeout",
    ];
    signs.iter().any(|sign| detail.contains(sign))
}

fn branch_hint(branches: &[String]) -> String {
    if branches.is_empty() {
        return "The repository is empty: push a commit first.".into();
    }
    let more = if branches.len() > BRANCHES_LISTED_MAX { ", …" } else { "" };
    let shown: Vec<&str> = branches.iter().take(BRANCHES_LISTED_MAX).map(String::as_str).collect();
    format!("Name one of its branches: {}{more}.", shown.join(", "))
}

fn fixed(error: &BuildError) -> &'static str {
    of_source(error).unwrap_or_else(|| of_build(error))
}

/// What to do about a source that could not be had, or that nobody knows how to build.
fn of_source(error: &BuildError) -> Option<&'static str> {
    Some(match error {
        BuildError::RepositoryNotFound { .. } => {
            "Check the URL. A private repository needs a deploy key in the project's settings, or \
             a token in the URL."
        }
        BuildError::RepositoryUnreachable { .. } | BuildError::CheckoutTimedOut { .. } => {
            "Check the host name in the URL, and that this node may connect to it; then deploy \
             again."
        }
        BuildError::DetectTimedOut { .. } => {
            "Deploy it without looking first: a build may take longer to fetch it."
        }
        BuildError::Checkout { .. } => "Try `git clone` with the same URL on the node.",
        BuildError::UrlRefused { .. } => "Use an https, ssh or file URL.",
        BuildError::GitMissing { .. } => "Install git on the node: `apt-get install git`.",
        BuildError::DirectoryMissing { .. } => {
            "Set the project's directory to a folder of the repository, or leave it empty."
        }
        BuildError::UploadTooLarge { .. } => {
            "List what the build does not need in .dockerignore or .gitignore."
        }
        BuildError::UploadMissing { .. } | BuildError::UploadInterrupted { .. } => {
            "Deploy again: the folder is then uploaded anew."
        }
        BuildError::UploadNotArchive | BuildError::Unpack(_) => {
            "Upload with `temps deploy`, or as a tar.gz or tar.zst archive of plain files."
        }
        BuildError::Config(_) => "Correct temps.json or .temps.yaml and deploy again.",
        BuildError::Detect(DetectError::NothingToRunIn { .. }) => {
            "Correct temps.json or .temps.yaml and deploy again."
        }
        BuildError::Detect(_) => {
            "Add a Dockerfile, or name a preset in temps.json: {\"preset\": \"…\"}."
        }
        _ => return None,
    })
}

/// What to do about anything later.
fn of_build(error: &BuildError) -> &'static str {
    match error {
        BuildError::EngineUnavailable(_) | BuildError::EngineLost { .. } => {
            "Start the container engine on the node (`systemctl start docker`) and deploy again."
        }
        BuildError::ImageMissing { .. } | BuildError::BlobMissing { .. } => {
            "Start a node that has it (`temps nodes list`), or deploy again to build it anew."
        }
        BuildError::BaseImageNotFound { .. } | BuildError::ImageNotFound { .. } => {
            "Check the image's name and tag, and that the node may pull it: `docker pull`. A node that reaches no registry can make \
             common base images: `deploy/base-images.sh NAME`."
        }
        BuildError::ReferenceInvalid { .. } => "Write it as `name:tag`, such as `nginx:stable`.",
        BuildError::PullStalled { .. } => "Check the node's connection to the registry.",
        BuildError::DockerfileMissing { .. } => {
            "Check the path of the Dockerfile in temps.json; it is relative to the app's folder."
        }
        BuildError::DockerfileInvalid { .. } => "Correct the Dockerfile and deploy again.",
        BuildError::OutputMissing { .. } => {
            "Set `build.outputDirectory` in temps.json to the folder that the build writes."
        }
        BuildError::OutputEmpty { .. } => {
            "Check that the build command writes its files into this folder."
        }
        BuildError::SiteTooLarge { .. } => "Serve large files from a container or object storage.",
        BuildError::StepFailed { .. } | BuildError::BuildFailed { .. } => {
            "Read the end of the build log; the same step should fail with `docker build` too."
        }
        BuildError::Cancelled => "Deploy again when you want to.",
        _ => "Look at the node's log, and report this if it happens again.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_was_not_reached_is_recognised() {
        for (detail, expect) in [
            ("exit code 1: dial tcp: lookup proxy.golang.org: no such host", true),
            ("exit code 1: npm error code ENOTFOUND", true),
            ("exit code 2: undefined: x", false),
        ] {
            let error = BuildError::StepFailed { step: "RUN x".into(), detail: detail.into() };
            assert_eq!(hint(&error).contains("could not reach"), expect, "{detail}");
        }
    }
}
