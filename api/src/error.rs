//! What can go wrong, and how a client is told: one enum, rendered as problem documents (RFC 9457).

mod hint;
mod kind;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use temps_builder::BuildError;
use temps_providers::ProviderError;
use temps_raft::{ProposeError, ReadError, TrustError, WouldLoseQuorum};
use temps_scheduler::SchedulerError;
use temps_state::{NodeId, Permission, SealError, VariableName};
use utoipa::ToSchema;

/// How long a client should wait before it asks a cluster without quorum again, in seconds.
const NO_QUORUM_RETRY_SECONDS: u64 = 1;

/// Why a request did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Neither a session nor an API key came with the request, or none that is known.
    #[error("you are not logged in, or your session or API key is no longer valid")]
    Unauthenticated,
    /// The pair of e-mail address and password is not known.
    #[error("the e-mail address or the password is wrong")]
    WrongLogin,
    /// Too many logins failed from one address or for one account.
    #[error("too many logins failed: try again in {retry_after} seconds")]
    TooManyLogins {
        /// Seconds until the next attempt may be made.
        retry_after: u64,
    },
    /// A browser's change came without the token that proves it was meant.
    #[error("the header X-CSRF-Token is missing or not this session's")]
    Csrf,
    /// A WebSocket with a session cookie came from another site.
    #[error("a page of another origin may not use this session")]
    ForeignOrigin,
    /// The caller may not do that.
    #[error("this needs the permission `{}`, which you do not have", needs.name())]
    Forbidden {
        /// What is missing.
        needs: Permission,
    },
    /// A key may not give away more than it has.
    #[error("the permission `{}` is more than you have yourself", permission.name())]
    Escalation {
        /// What was asked for.
        permission: Permission,
    },
    /// A webhook's signature or token is not the project's.
    #[error("the webhook's signature does not match the project's secret")]
    WrongSignature,
    /// Something that the path or body names is not there.
    #[error("there is no {noun} {id}")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
        /// Under which name or id.
        id: String,
    },
    /// The path is none of the API's.
    #[error("there is nothing at {path}")]
    NoRoute {
        /// The path.
        path: String,
    },
    /// The path is there, but not for that method.
    #[error("{method} is not possible here")]
    Method {
        /// The method.
        method: String,
    },
    /// A parameter of the path or query cannot be read.
    #[error("{why}")]
    Unreadable {
        /// The status that says so.
        status: StatusCode,
        /// What cannot be read, and why.
        why: String,
    },
    /// The body is not JSON.
    #[error("the body is not JSON: {why}")]
    NotJson {
        /// Where it stops being JSON.
        why: String,
    },
    /// A field, parameter or header has no usable value.
    #[error("`{field}`: {why}")]
    Invalid {
        /// The path of the field, such as `source.url`.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// A URL is none that Git can clone.
    #[error("`{field}`: this is not a URL that Git can clone")]
    NotCloneable {
        /// The path of the field.
        field: &'static str,
    },
    /// A variable that Temps sets itself.
    #[error(
        "`variables[{place}].name`: {name} is set by Temps itself, so that another value would never reach the app"
    )]
    ReservedVariable {
        /// Which one of the body it is.
        place: usize,
        /// Its name.
        name: VariableName,
    },
    /// The body is longer than it may be.
    #[error("the body is longer than the {max} bytes it may have")]
    BodyTooLarge {
        /// How long it may be.
        max: u64,
    },
    /// The body did not arrive.
    #[error("the body did not arrive whole or in time")]
    BodyInterrupted,
    /// The body is of a kind that is not understood here.
    #[error("the Content-Type must be {expected}")]
    UnsupportedMedia {
        /// What would be understood.
        expected: &'static str,
    },
    /// The request does not fit how things are.
    #[error("{why}")]
    Conflict {
        /// A stable name for the conflict.
        code: &'static str,
        /// What it does not fit.
        why: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// The node does as much of this at once as it may.
    #[error("this node serves as many {what} at once as it may")]
    Busy {
        /// Of what.
        what: &'static str,
    },
    /// What was asked for is on another node, and that one does not answer.
    #[error("node {node} ({name}) has this, and cannot be reached")]
    NodeUnreachable {
        /// The node.
        node: NodeId,
        /// What people call it.
        name: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The cluster could not agree on anything any more.
    #[error(transparent)]
    WouldLoseQuorum(#[from] WouldLoseQuorum),
    /// A join token could not be drawn.
    #[error("cannot draw a join token")]
    Token(#[from] TrustError),
    /// The cluster did not take the change, or its answer is not known.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The newest state could not be had.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A secret could not be sealed or opened.
    #[error("cannot use the cluster key")]
    Seal(#[from] SealError),
    /// The builder could not take an upload or read a log.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A source that was looked at could not be had, or cannot be built.
    #[error("{}", .0.message())]
    Source(BuildError),
    /// A DNS provider did not do what it was asked for.
    #[error(transparent)]
    DnsProvider(#[from] ProviderError),
    /// A replica could not be reached.
    #[error(transparent)]
    Replica(#[from] SchedulerError),
    /// A password could not be hashed.
    #[error("cannot hash a password")]
    Password(#[source] argon2::password_hash::Error),
    /// A task of this process died.
    #[error("a task did not end")]
    Task(#[from] tokio::task::JoinError),
    /// Git could not be run, or its repository not used.
    #[error("cannot {doing}")]
    Git {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The cluster answered something that does not belong to the question.
    #[error("the cluster's answer does not fit the question")]
    UnexpectedReply,
    /// The metrics could not be written.
    #[error("cannot write the metrics")]
    Metrics(#[from] std::fmt::Error),
}

/// A problem document, RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Problem {
    /// What kind of problem it is, as a URI reference.
    pub r#type: String,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What failed, and why.
    pub detail: String,
    /// The kind of problem; stable.
    pub code: &'static str,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The field of the body, or the parameter, that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The request's id, also in the node's log.
    pub request_id: String,
}

impl ApiError {
    /// An error about a field of the body, a parameter or a header.
    pub fn invalid(field: impl Into<String>, why: impl ToString) -> Self {
        Self::Invalid { field: field.into(), why: why.to_string() }
    }

    pub(crate) fn not_found(noun: &'static str, id: impl ToString) -> Self {
        Self::NotFound { noun, id: id.to_string().chars().take(128).collect() }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Invalid { field, .. } => Some(field.clone()),
            Self::NotCloneable { field } => Some((*field).into()),
            Self::DnsProvider(ProviderError::Kind(_)) => Some("type".into()),
            Self::DnsProvider(ProviderError::ZoneUnknown { .. }) => Some("zones".into()),
            Self::DnsProvider(
                ProviderError::Credentials(_) | ProviderError::Unauthorized { .. },
            ) => Some("credentials".into()),
            Self::ReservedVariable { place, .. } => Some(format!("variables[{place}].name")),
            _ => None,
        }
    }

    /// Seconds after which the same request may succeed.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyLogins { retry_after } => Some(*retry_after),
            Self::Busy { .. }
            | Self::NodeUnreachable { .. }
            | Self::Read(_)
            | Self::Propose(
                ProposeError::NoQuorum | ProposeError::Timeout | ProposeError::Stopped { .. },
            ) => Some(NO_QUORUM_RETRY_SECONDS),
            _ => None,
        }
    }

    /// The document a client gets. Faults of the node show only the request's id: the log has the rest.
    pub(crate) fn problem(&self, request_id: &str) -> Problem {
        let (status, code) = self.kind();
        let detail = match status {
            StatusCode::INTERNAL_SERVER_ERROR => {
                "something failed inside this node; its log tells what, under this request's id"
                    .into()
            }
            // That a disk is full stands among the causes.
            StatusCode::INSUFFICIENT_STORAGE => chain(self),
            _ => self.to_string(),
        };
        Problem {
            r#type: format!("/problems/{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            code,
            hint: self.hint(),
            field: self.field(),
            request_id: request_id.into(),
        }
    }
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl IntoResponse for ApiError {
    /// Only the status: the outermost layer, which knows the request's id, writes the document.
    fn into_response(self) -> Response {
        let mut response = self.kind().0.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_so_and_what_frees_it() {
        let source = std::io::ErrorKind::StorageFull.into();
        let problem = ApiError::from(BuildError::Write { what: "the upload", source }).problem("r");
        assert_eq!((problem.status, problem.code), (507, "disk_full"));
        assert_eq!(problem.detail, "cannot write the upload: no storage space");
        assert!(problem.hint.is_some_and(|hint| hint.contains("df -h")));
    }
}
