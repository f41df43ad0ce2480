//! The status and the stable code of every error.

use axum::http::StatusCode;
use temps_builder::BuildError;
use temps_providers::ProviderError;
use temps_raft::{ProposeError, ReadError, TrustError};
use temps_scheduler::SchedulerError;
use temps_state::{FailureCode, Rejected};

use crate::ApiError;

impl ApiError {
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
            Self::Source(error) => source_kind(error),
            Self::DnsProvider(error) => provider_kind(error),
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

/// A source is its owner's: what is wrong with it is told by the code that a failed deployment has.
fn source_kind(error: &BuildError) -> (StatusCode, &'static str) {
    let code = match error.code() {
        FailureCode::SourceNotFound => "source_not_found",
        FailureCode::RevisionNotFound => "revision_not_found",
        FailureCode::ConfigInvalid => "config_invalid",
        FailureCode::PresetNotFound => "preset_not_found",
        _ => return build_kind(error),
    };
    (StatusCode::UNPROCESSABLE_ENTITY, code)
}

fn provider_kind(error: &ProviderError) -> (StatusCode, &'static str) {
    match error {
        ProviderError::Kind(_)
        | ProviderError::Credentials(_)
        | ProviderError::Unauthorized { .. }
        | ProviderError::ZoneUnknown { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ProviderError::Refused { .. } => (StatusCode::CONFLICT, "provider_refused"),
        ProviderError::Limited { .. } | ProviderError::Locked => {
            (StatusCode::SERVICE_UNAVAILABLE, "provider_busy")
        }
        ProviderError::Unreachable { .. }
        | ProviderError::Failing { .. }
        | ProviderError::Garbled { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "provider_unreachable")
        }
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
        Rejected::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
        Rejected::LastNode => (StatusCode::CONFLICT, "last_node"),
        Rejected::Leased { .. } => (StatusCode::CONFLICT, "leased"),
        Rejected::Fenced { .. } => (StatusCode::CONFLICT, "fenced"),
    }
}
