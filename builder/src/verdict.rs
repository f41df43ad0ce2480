//! Says what a failed build failed of, from the engine's words and the steps so far. Pure.

use crate::BuildError;
use crate::error::says_disk_full;
use crate::progress::{FailedStep, Progress};

/// The vertex by which BuildKit looks up a base image.
const LOAD_METADATA: &str = "[internal] load metadata for ";
/// The vertex of an image that only files are copied from.
const FROM: &str = "FROM ";
/// What a process that was killed leaves.
const KILLED: &str = "137";

/// What is known when a build has failed.
pub(crate) struct Ending<'a> {
    /// What the engine says.
    pub(crate) message: &'a str,
    pub(crate) progress: &'a Progress,
    /// Where the Dockerfile is.
    pub(crate) dockerfile: &'a str,
    /// Whether the kernel ended a process of the build over its memory.
    pub(crate) out_of_memory: bool,
    /// The memory that the build may use.
    pub(crate) memory_mib: u64,
}

impl Ending<'_> {
    /// The error to report.
    pub(crate) fn verdict(&self) -> BuildError {
        let failed = self.progress.failed();
        let message = self.message;
        if says_disk_full(message) {
            return BuildError::EngineDiskFull { detail: last_part(message).into() };
        }
        if message.contains("failed to read dockerfile")
            || message.contains("Cannot locate specified Dockerfile")
        {
            return BuildError::DockerfileMissing { path: self.dockerfile.into() };
        }
        let image = |f: &FailedStep<'_>| {
            [LOAD_METADATA, FROM]
                .iter()
                .find_map(|start| Some(f.name.strip_prefix(start)?.to_owned()))
        };
        if let Some(image) = failed.as_ref().and_then(image) {
            return BuildError::BaseImageNotFound { image, detail: tidy(message) };
        }
        if let Some(at) = message.find("dockerfile parse error") {
            return BuildError::DockerfileInvalid { detail: tidy(&message[at..]) };
        }
        match failed {
            Some(failed) if !failed.name.starts_with("[internal]") => self.failed_step(&failed),
            _ if message.contains("failed to create LLB definition") => {
                BuildError::DockerfileInvalid { detail: tidy(message) }
            }
            _ => BuildError::BuildFailed { detail: tidy(message) },
        }
    }

    fn failed_step(&self, failed: &FailedStep<'_>) -> BuildError {
        let step = instruction(failed.name).to_owned();
        let code = exit_code(failed.error);
        if self.out_of_memory || code == Some(KILLED) {
            return BuildError::OutOfMemory { step, memory_mib: self.memory_mib };
        }
        if failed.last_line.is_some_and(says_disk_full) {
            return BuildError::EngineDiskFull { detail: failed.last_line.unwrap_or("").into() };
        }
        let why = match code {
            Some(code) => format!("exit code {code}"),
            None => tidy(failed.error),
        };
        let detail = match failed.last_line {
            Some(line) => format!("{why}: {line}"),
            None => why,
        };
        BuildError::StepFailed { step, detail }
    }
}

/// A step's instruction without its number: `RUN npm ci` of `[build 2/3] RUN npm ci`.
fn instruction(name: &str) -> &str {
    match name.split_once("] ") {
        Some((number, instruction)) if number.starts_with('[') => instruction,
        _ => name,
    }
}

fn exit_code(error: &str) -> Option<&str> {
    let rest = error.rsplit_once("exit code: ")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|code| !code.is_empty())
}

fn last_part(message: &str) -> &str {
    message.rsplit_once(": ").map_or(message, |(_, last)| last)
}

/// BuildKit's message without the layers of wrapping in front.
fn tidy(message: &str) -> String {
    let mut rest = message.trim();
    for wrapping in [
        "failed to solve with frontend dockerfile.v0: ",
        "failed to solve with frontend gateway.v0: ",
        "failed to solve: ",
        "failed to create LLB definition: ",
        "rpc error: code = Unknown desc = ",
        "dockerfile parse error ",
    ] {
        rest = rest.strip_prefix(wrapping).unwrap_or(rest);
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::tests::failed_at;

    fn verdict(message: &str, progress: &Progress, out_of_memory: bool) -> String {
        let dockerfile = "Dockerfile";
        let ending = Ending { message, progress, dockerfile, out_of_memory, memory_mib: 64 };
        format!("{:?}", ending.verdict())
    }

    #[test]
    fn the_engines_words_are_told_apart() {
        let none = Progress::default();
        for (message, expected) in [
            ("failed to solve: write /x: no space left on device", "EngineDiskFull"),
            (
                "failed to solve with frontend dockerfile.v0: failed to read dockerfile: open x",
                "DockerfileMissing",
            ),
            (
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: FOO",
                "DockerfileInvalid { detail: \"line 2: unknown instruction: FOO\" }",
            ),
            (
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: circular dependency detected on stage: a",
                "DockerfileInvalid",
            ),
            ("failed to solve: something new", "BuildFailed { detail: \"something new\" }"),
        ] {
            assert!(verdict(message, &none, false).starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_failed_step_is_named_with_its_last_line() {
        let error = "executor failed running [/bin/sh -c exit 3]: exit code: 3";
        let progress = failed_at("[build 2/3] RUN npm ci", error, "oh\nno\n");
        let expected = "StepFailed { step: \"RUN npm ci\", detail: \"exit code 3: no\" }";
        assert_eq!(verdict(error, &progress, false), expected);
        let expected = "OutOfMemory { step: \"RUN npm ci\", memory_mib: 64 }";
        assert_eq!(verdict(error, &progress, true), expected);
        let error = "process \"/bin/sh\" did not complete successfully: exit code: 137";
        let progress = failed_at("[2/2] RUN x", error, "");
        assert!(verdict(error, &progress, false).starts_with("OutOfMemory"));
    }

    #[test]
    fn a_missing_base_image_is_named() {
        let error = "pull access denied, repository does not exist";
        let name = "[internal] load metadata for docker.io/library/nope:1";
        let progress = failed_at(name, error, "");
        assert!(verdict(error, &progress, false).contains("image: \"docker.io/library/nope:1\""));
        let progress = failed_at("FROM ghcr.io/a/b:1", error, "");
        assert!(verdict(error, &progress, false).contains("image: \"ghcr.io/a/b:1\""));
    }
}
