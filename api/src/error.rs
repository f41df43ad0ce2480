//! What can go wrong, and how a client is told: one enum, rendered as problem documents (RFC 9457).

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use temps_builder::BuildError;
use temps_raft::{ProposeError, ReadError, TrustError, WouldLoseQuorum};
use temps_scheduler::SchedulerError;
use temps_state::{FailureCode, Name, NodeId, Permission, Rejected, SealError, VariableName};
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

    /// The status and the stable code.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::WrongLogin => (StatusCode::UNAUTHORIZED, "wrong_login"),
            Self::WrongSignature => (StatusCode::UNAUTHORIZED, "wrong_signature"),
            Self::TooManyLogins { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_logins"),
            Self::Csrf => (StatusCode::FORBIDDEN, "csrf"),
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "foreign_origin"),
            Self::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Escalation { .. } => (StatusCode::FORBIDDEN, "escalation"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::NoRoute { .. } => (StatusCode::NOT_FOUND, "no_route"),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Unreadable { status, .. } => (*status, "bad_request"),
            Self::NotJson { .. } => (StatusCode::BAD_REQUEST, "not_json"),
            Self::Invalid { .. } | Self::NotCloneable { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
            }
            Self::ReservedVariable { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "reserved_variable")
            }
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::BodyInterrupted => (StatusCode::REQUEST_TIMEOUT, "body_interrupted"),
            Self::UnsupportedMedia { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::Conflict { code, .. } => (StatusCode::CONFLICT, code),
            Self::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::NodeUnreachable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "node_unreachable"),
            Self::WouldLoseQuorum(_) => (StatusCode::CONFLICT, "would_lose_quorum"),
            Self::Token(TrustError::NoAuthority) => (StatusCode::CONFLICT, "alone"),
            Self::Propose(error) => propose_kind(error),
            Self::Read(error) => read_kind(error),
            Self::Build(error) => build_kind(error),
            Self::Replica(error) => replica_kind(error),
            Self::Seal(_)
            | Self::Token(_)
            | Self::Password(_)
            | Self::Task(_)
            | Self::Git { .. }
            | Self::UnexpectedReply
            | Self::Metrics(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// What the caller may try next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotFound { noun, id } => return not_found_hint(noun, id),
            Self::Unauthenticated => {
                "log in with `temps login`, or send an API key as `Authorization: Bearer tk_…`"
            }
            Self::Csrf => "send the `csrf_token` of GET /api/user/me as the header X-CSRF-Token",
            Self::Forbidden { .. } => {
                "ask an admin for another role, or use an API key with that permission"
            }
            Self::WrongSignature => {
                "set the secret of POST /api/projects/{p}/webhook-secret at your Git server"
            }
            Self::NoRoute { .. } => "GET /api-docs/openapi.json lists every path",
            Self::NotCloneable { .. } => {
                "use https://host/path, ssh://git@host/path, git@host:path or file:///path: `temps deploy --help` lists them"
            }
            Self::ReservedVariable { name, .. } if name.as_str() == "PORT" => {
                "let the app listen on the port in PORT, or say where it listens with `port` in temps.json"
            }
            Self::ReservedVariable { .. } => "choose another name for the app's own variable",
            Self::BodyTooLarge { .. } => {
                "leave out what the app does not need, for example with .dockerignore"
            }
            Self::Busy { .. } => "try again in a few seconds",
            Self::NodeUnreachable { .. } => {
                "see `temps status`; start Temps there again, or wait: what ran there is moved when it stays away"
            }
            Self::WouldLoseQuorum(_) => {
                "`?force=true` (`temps nodes remove --force`) removes it all the same, for when it will never come back"
            }
            Self::Token(TrustError::NoAuthority) => {
                "start the node with --peer ADDRESS, where others reach it"
            }
            _ if self.kind().1 == "disk_full" => {
                "free space on the node, then try again: `df -h` shows its disks, `docker system df` what the engine uses"
            }
            Self::Conflict { hint, .. } => hint,
            Self::Propose(ProposeError::Rejected(rejected)) => return rejected_hint(rejected),
            Self::Propose(ProposeError::NoQuorum) | Self::Read(ReadError::NoQuorum) => {
                "more than half of the voting nodes must be up: see `temps status`; `?consistency=stale` reads what this node last knew"
            }
            Self::Propose(ProposeError::TooNew { .. }) => {
                "finish the upgrade with `temps upgrade`, then try again: `temps nodes list` shows every node's version"
            }
            Self::Propose(ProposeError::Timeout) => {
                "repeat the request with the same Idempotency-Key, or look before you repeat it"
            }
            _ => return None,
        };
        Some(text.into())
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Invalid { field, .. } => Some(field.clone()),
            Self::NotCloneable { field } => Some((*field).into()),
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
            | Self::Propose(ProposeError::NoQuorum | ProposeError::Stopped { .. }) => {
                Some(NO_QUORUM_RETRY_SECONDS)
            }
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

fn propose_kind(error: &ProposeError) -> (StatusCode, &'static str) {
    match error {
        ProposeError::Rejected(rejected) => rejected_kind(rejected),
        ProposeError::NoQuorum => (StatusCode::SERVICE_UNAVAILABLE, "no_quorum"),
        ProposeError::Timeout => (StatusCode::GATEWAY_TIMEOUT, "outcome_unknown"),
        ProposeError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        ProposeError::DiskFull { .. } => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        ProposeError::TooNew { .. } => (StatusCode::CONFLICT, "upgrade_unfinished"),
        ProposeError::Stopped { .. } => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
    }
}

fn read_kind(error: &ReadError) -> (StatusCode, &'static str) {
    match error {
        ReadError::NoQuorum => (StatusCode::SERVICE_UNAVAILABLE, "no_quorum"),
        ReadError::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        ReadError::Stopped { .. } => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
    }
}

/// What of the builder shows here: uploads and logs. A full disk and an engine that is away are said to be so.
fn build_kind(error: &BuildError) -> (StatusCode, &'static str) {
    match error.code() {
        FailureCode::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        FailureCode::EngineUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "engine_unavailable"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn replica_kind(error: &SchedulerError) -> (StatusCode, &'static str) {
    match error {
        SchedulerError::ReplicaUnknown { .. } => (StatusCode::NOT_FOUND, "not_found"),
        SchedulerError::NotRunning { .. } => (StatusCode::CONFLICT, "not_running"),
        SchedulerError::ReplicaElsewhere { .. } => {
            (StatusCode::MISDIRECTED_REQUEST, "replica_elsewhere")
        }
        SchedulerError::Engine(_) => (StatusCode::SERVICE_UNAVAILABLE, "engine_unavailable"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn rejected_kind(rejected: &Rejected) -> (StatusCode, &'static str) {
    match rejected {
        Rejected::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
        Rejected::Taken { .. } => (StatusCode::CONFLICT, "taken"),
        Rejected::Changed { .. } => (StatusCode::PRECONDITION_FAILED, "changed"),
        Rejected::TooMany { .. } => (StatusCode::CONFLICT, "too_many"),
        Rejected::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        Rejected::Disabled { .. } => (StatusCode::FORBIDDEN, "project_disabled"),
        Rejected::Finished { .. } => (StatusCode::CONFLICT, "finished"),
        Rejected::NotKept { .. } => (StatusCode::CONFLICT, "not_kept"),
        Rejected::NothingBuilt { .. } => (StatusCode::CONFLICT, "nothing_built"),
        Rejected::LastAdmin => (StatusCode::CONFLICT, "last_admin"),
        Rejected::TokenUnknown => (StatusCode::FORBIDDEN, "token_unknown"),
        Rejected::TokenExpired { .. } => (StatusCode::FORBIDDEN, "token_expired"),
        Rejected::TokenUsed => (StatusCode::FORBIDDEN, "token_used"),
        Rejected::NodeJoining { .. } => (StatusCode::CONFLICT, "node_joining"),
        Rejected::LastNode => (StatusCode::CONFLICT, "last_node"),
    }
}

fn rejected_hint(rejected: &Rejected) -> Option<String> {
    let text = match rejected {
        Rejected::NotFound { noun, id } => return not_found_hint(noun, id),
        Rejected::Taken { noun, .. } => return Some(taken_hint(noun)),
        Rejected::TooMany { noun, .. } => {
            let list = list_command(noun.trim_end_matches('s'));
            return list.map(|list| format!("delete what is of no more use: `{list}` shows all"));
        }
        Rejected::Disabled { project } => {
            return Some(format!("enable the project first: temps projects enable {project}"));
        }
        Rejected::Changed { .. } => "read it again, and repeat the change with its new ETag",
        Rejected::NothingBuilt { .. } => "deploy its source again instead: temps deploy",
        Rejected::LastAdmin => "make somebody else an admin first: temps users role USER admin",
        Rejected::TokenUnknown | Rejected::TokenExpired { .. } | Rejected::TokenUsed => {
            "make a new one with `temps nodes token`"
        }
        Rejected::NodeJoining { .. } => "wait until `temps nodes list` shows it as ready",
        Rejected::LastNode => "stop `temps serve` instead: a cluster needs one node at least",
        Rejected::Finished { .. } => {
            "`temps deployments list` shows those under way, which alone can be called off"
        }
        Rejected::NotKept { .. } => "`temps deployments list` shows those that can be gone back to",
        _ => return None,
    };
    Some(text.into())
}

fn taken_hint(noun: &str) -> String {
    match list_command(noun) {
        Some(list) => format!("choose another name: `{list}` shows those that are taken"),
        None => "choose another name".into(),
    }
}

fn not_found_hint(noun: &str, id: &str) -> Option<String> {
    let list = list_command(noun)?;
    let name = id.strip_suffix(".git").unwrap_or(id);
    match (noun, name.parse::<Name>()) {
        ("project", Ok(name)) => {
            Some(format!("temps projects create {name}, or `{list}` for those that are there"))
        }
        _ => Some(format!("`{list}` shows what is there")),
    }
}

/// The command that lists things of a kind.
fn list_command(noun: &str) -> Option<&'static str> {
    Some(match noun {
        "project" => "temps projects list",
        "environment" => "temps environments list",
        "deployment" => "temps deployments list",
        "variable" => "temps env list",
        "user" => "temps users list",
        "node" => "temps nodes list",
        "join token" => "temps nodes tokens list",
        "api key" | "API key" => "temps apikeys list",
        _ => return None,
    })
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
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
            // What was not read of the body cannot be told from a next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_listed_or_made_by_the_next_command() {
        for (noun, id, hint) in [
            ("project", "shop", Some("temps projects create shop, or `temps projects list`")),
            ("project", "shop.git", Some("temps projects create shop, or")),
            ("project", "No Name", Some("`temps projects list` shows")),
            ("environment", "x", Some("`temps environments list` shows")),
            ("blob", "x", None),
        ] {
            let told = ApiError::not_found(noun, id).hint();
            assert!(told.as_deref().unwrap_or_default().starts_with(hint.unwrap_or_default()));
            assert_eq!(told.is_some(), hint.is_some(), "{noun} {id}: {told:?}");
        }
    }

    #[test]
    fn a_full_disk_says_so_and_what_frees_it() {
        let source = std::io::ErrorKind::StorageFull.into();
        let problem = ApiError::from(BuildError::Write { what: "the upload", source }).problem("r");
        assert_eq!((problem.status, problem.code), (507, "disk_full"));
        assert_eq!(problem.detail, "cannot write the upload: no storage space");
        assert!(problem.hint.is_some_and(|hint| hint.contains("df -h")));
    }
}
