//! Why a verb failed, what to try next, and the exit code that says so.

use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::problem::Problem;
use crate::serve_error::ServeError;
use crate::view::Deployment;

/// How the process ends; documented, stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It worked.
    Ok = 0,
    /// It did not.
    Failed = 1,
    /// The command line or a setting is wrong; nothing was tried.
    Usage = 2,
    /// The new version did not become live; the old one is kept.
    DeployFailed = 3,
    /// The cluster has no quorum; nothing can be changed.
    NoQuorum = 4,
}

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No connection, or it broke.
    #[error("cannot reach Temps at {url}")]
    Unreachable {
        /// The API's address.
        url: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The API said no.
    #[error("{}", .0.what())]
    Refused(Box<Problem>),
    /// The answer is not what the API promises.
    #[error("the answer of {url} makes no sense")]
    Unreadable {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// A stream ended before it said what it should.
    #[error("the connection to {url} broke while following")]
    StreamBroke {
        /// What was followed.
        url: String,
        /// Why it ended.
        why: String,
    },
    /// The command line cannot be followed as it is.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// Why.
        why: String,
        /// What to type instead.
        next: String,
    },
    /// There is something else in the way; the command line is right.
    #[error("{what}")]
    Blocked {
        /// What cannot be done.
        what: String,
        /// Why.
        why: String,
        /// What to do first.
        next: String,
    },
    /// A node is just being given another program by somebody else.
    #[error("another upgrade is under way")]
    UpgradeUnderWay {
        /// Which node.
        node: String,
    },
    /// A file or folder of this machine cannot be used.
    #[error("cannot {act} {}", path.display())]
    File {
        /// What was tried: "read", "write", "pack".
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The terminal or standard input cannot be used.
    #[error("cannot {act}")]
    Terminal {
        /// What was tried.
        act: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A deployment did not become live.
    #[error("deployment {} of {} {}", .deployment.number, .deployment.project_name, .deployment.phase)]
    DeployFailed {
        /// The deployment.
        deployment: Box<Deployment>,
        /// What is live in its environment, when anything is.
        live: Option<u64>,
    },
    /// A node did not start, or stopped.
    #[error(transparent)]
    Serve(Box<ServeError>),
    /// Nobody reads standard output any more.
    #[error("standard output was closed")]
    OutputClosed,
}

/// The three lines that people see.
#[derive(Debug, PartialEq, Eq)]
pub struct Advice {
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do next.
    pub next: String,
}

impl CliError {
    /// A command line that cannot be followed.
    pub fn usage(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), why: why.into(), next: next.into() }
    }

    /// Something that stands in the way.
    pub fn blocked(
        what: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::Blocked { what: what.into(), why: why.into(), next: next.into() }
    }

    /// A file that cannot be used; for `map_err`.
    pub fn file(act: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }

    /// How the process shall end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::Serve(error) => error.exit(),
            Self::DeployFailed { .. } => Exit::DeployFailed,
            Self::Refused(problem) if problem.is_no_quorum() => Exit::NoQuorum,
            Self::OutputClosed => Exit::Ok,
            _ => Exit::Failed,
        }
    }

    /// Whether the API said that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.is_not_found())
    }

    /// Whether the API said no with that code.
    pub fn is_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }

    /// What to tell people.
    pub fn advice(&self) -> Advice {
        let (why, next) = match self {
            Self::Unreachable { url, source } => unreachable(url, source),
            Self::Refused(problem) => (refusal(problem), problem.next()),
            Self::Unreadable { why, .. } => {
                (why.clone(), "check that the address is a Temps API: temps login <url>".into())
            }
            Self::StreamBroke { why, .. } => (why.clone(), "temps deployments list".into()),
            Self::Usage { why, next, .. } | Self::Blocked { why, next, .. } => {
                (why.clone(), next.clone())
            }
            Self::UpgradeUnderWay { node } => (
                format!("{node} is just taking another binary; that upgrade goes on, and nothing is put back"),
                "wait until it is over, then the same command again; temps nodes show NODE tells its version".into(),
            ),
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => (
                format!("the disk is full: {source}"),
                "free space (df -h), or set TMPDIR to a folder with more room".into(),
            ),
            Self::File { source, path, .. } => {
                (source.to_string(), format!("ls -ld {}", path.display()))
            }
            Self::Terminal { source, .. } => {
                (source.to_string(), "run the command in a terminal".into())
            }
            Self::DeployFailed { deployment, .. } => failure(deployment),
            Self::Serve(error) => error.advice(),
            Self::OutputClosed => (String::new(), String::new()),
        };
        Advice { what: self.to_string(), why, next }
    }

    /// What programs get: the problem document where the API sent one, and the same fields otherwise.
    pub fn json(&self) -> Value {
        if let Self::Refused(problem) = self {
            return json!(problem);
        }
        let Advice { what, why, next } = self.advice();
        let code = match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Unreadable { .. } | Self::StreamBroke { .. } => "bad_answer",
            Self::Usage { .. } => "usage",
            Self::DeployFailed { .. } => "deploy_failed",
            Self::UpgradeUnderWay { .. } => "upgrade_under_way",
            _ => "failed",
        };
        json!({"title": what, "detail": why, "hint": next, "code": code})
    }
}

fn refusal(problem: &Problem) -> String {
    match &problem.request_id {
        Some(id) if problem.status >= 500 => format!("{} (request {id})", problem.detail),
        _ => problem.detail.clone(),
    }
}

fn failure(deployment: &Deployment) -> (String, String) {
    match &deployment.failure {
        Some(failure) => {
            let Deployment { number, project_name, .. } = deployment;
            let log = match failure.log_tail.is_empty() {
                true => format!("`temps logs --build {number} -p {project_name}`"),
                false => "the lines above".into(),
            };
            let hint = failure.hint.replace("the log below", &log);
            (format!("{} ({})", failure.message, failure.code), hint)
        }
        None => (
            deployment.reason.clone().unwrap_or_else(|| "it was called off".into()),
            "temps deployments list".into(),
        ),
    }
}

fn unreachable(url: &str, source: &reqwest::Error) -> (String, String) {
    let why = innermost(source);
    let next = if source.is_connect() {
        "start a node with `temps serve`, or name another one with --url or TEMPS_API_URL".into()
    } else if source.is_timeout() {
        format!("curl {url}/healthz")
    } else {
        "try again".into()
    };
    (why, next)
}

/// The cause at the bottom, which is the one that people can act on.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, status: u16) -> CliError {
        CliError::Refused(Box::new(Problem { code: code.into(), status, ..Problem::default() }))
    }

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        let failed = CliError::DeployFailed { deployment: Box::default(), live: None };
        assert_eq!(CliError::blocked("a", "b", "c").exit(), Exit::Failed);
        assert_eq!(CliError::usage("a", "b", "c").exit(), Exit::Usage);
        assert_eq!(failed.exit(), Exit::DeployFailed);
        assert_eq!(refused("no_quorum", 503).exit(), Exit::NoQuorum);
        assert_eq!(refused("not_found", 404).exit(), Exit::Failed);
        assert_eq!(CliError::OutputClosed.exit(), Exit::Ok);
    }

    #[test]
    fn a_full_disk_is_called_so_here_and_there() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let Advice { why, next, .. } = CliError::file("pack", "a")(full()).advice();
        assert!(why.contains("the disk is full") && next.contains("df -h"), "{why} {next}");
        assert_eq!(refused("disk_full", 507).advice().what, "the node's disk is full");
    }

    #[test]
    fn a_failed_deployment_tells_its_code_and_hint() {
        let mut deployment = Deployment { number: 7, phase: "failed".into(), ..Default::default() };
        deployment.project_name = "shop".into();
        deployment.failure = serde_json::from_value(json!({
            "code": "build_failed", "message": "npm ended with 1", "hint": "npm run build"
        }))
        .unwrap();
        let error = CliError::DeployFailed { deployment: Box::new(deployment), live: Some(6) };
        let Advice { what, why, next } = error.advice();
        assert_eq!(what, "deployment 7 of shop failed");
        assert_eq!(why, "npm ended with 1 (build_failed)");
        assert_eq!(next, "npm run build");
    }

    #[test]
    fn a_hint_names_the_log_where_it_is() {
        let next = |tail: Value| {
            let failure = json!({"hint": "read the log below; it tells", "log_tail": tail});
            let deployment = json!({"number": 7, "project_name": "shop", "failure": failure});
            let deployment = Box::new(serde_json::from_value(deployment).unwrap());
            CliError::DeployFailed { deployment, live: None }.advice().next
        };
        assert_eq!(next(json!(["x"])), "read the lines above; it tells");
        assert_eq!(next(json!([])), "read `temps logs --build 7 -p shop`; it tells");
    }
}
