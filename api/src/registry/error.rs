//! Errors of the registry, as OCI distribution 1.1 words them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use temps_builder::BuildError;
use temps_state::FailureCode;

use crate::ApiError;
use crate::error::chain;

/// How long a client should wait before it asks again what could not be done now, in seconds.
const RETRY_SECONDS: u64 = 1;

/// Why the registry does not do what it was asked for. The codes are those of the specification, "Error codes".
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub fn unauthorized() -> Self {
        let message = "log in with `docker login`: any name and an API key, or e-mail and password";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    pub fn denied(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    pub fn unsupported() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this is not supported here")
    }

    pub fn unknown_path() -> Self {
        let message = "a repository's name has lower-case letters, digits and `.`, `_`, `-`, `/`";
        Self::new(StatusCode::NOT_FOUND, "NAME_INVALID", message)
    }

    pub fn unknown_name() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "there is no such repository here")
    }

    pub fn unknown_blob() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "there is no such blob in the repository")
    }

    pub fn unknown_manifest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
    }

    pub fn invalid_manifest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub fn lacks_blob(digest: &temps_builder::BlobDigest) -> Self {
        let message = format!("{digest} is not here: push it first");
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message)
    }

    /// What the repository does not know either has to be pushed.
    pub fn or_lacks_blob(self, digest: &temps_builder::BlobDigest) -> Self {
        match self.status {
            StatusCode::NOT_FOUND => Self::lacks_blob(digest),
            _ => self,
        }
    }

    pub fn invalid_digest() -> Self {
        let message = "a digest is `sha256:` and 64 lower-case hexadecimal digits";
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub fn wrong_range() -> Self {
        let message = "the blob has no such octets";
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", message)
    }

    /// Those that have something cannot be asked for it now.
    pub fn out_of_reach(digest: &temps_builder::BlobDigest, asked: &str) -> Self {
        let message = format!("{digest} is on nodes that could not send it now: {asked}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
    }

    pub fn disk(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                let message = "this node keeps no more: its disk is full, or it has too many tags";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN", message)
            }
            _ => {
                tracing::error!(%error, "the registry cannot use its files");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "see the node's log")
            }
        }
    }
}

impl From<BuildError> for Refusal {
    fn from(error: BuildError) -> Self {
        let message = error.message();
        let (status, code) = match &error {
            BuildError::BlobMismatch { .. } => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            BuildError::BlobMissing { .. } => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            BuildError::ImageMissing { .. } => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            BuildError::PartUnknown { .. } => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            BuildError::PartMisplaced => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
            BuildError::UploadTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            BuildError::UploadInterrupted { .. } => {
                (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID")
            }
            BuildError::TooManyParts { .. } => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            other if other.code() == FailureCode::DiskFull => {
                (StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN")
            }
            _ => {
                tracing::error!(error = message, "the registry failed");
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "see the log");
            }
        };
        Self::new(status, code, message)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error.kind().0 {
            StatusCode::UNAUTHORIZED => Self::unauthorized(),
            StatusCode::FORBIDDEN => Self::denied(&error.to_string()),
            StatusCode::NOT_FOUND => Self::unknown_manifest(error.to_string()),
            StatusCode::TOO_MANY_REQUESTS => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", error.to_string())
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", error.to_string())
            }
            // What the client can do something about.
            StatusCode::CONFLICT | StatusCode::INSUFFICIENT_STORAGE => {
                let hint = error.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
                let status = error.kind().0;
                Self::new(status, "DENIED", format!("{}{hint}", chain(&error)))
            }
            StatusCode::GATEWAY_TIMEOUT => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", error.to_string())
            }
            status => {
                tracing::error!(error = chain(&error), "the registry failed");
                Self::new(status, "UNKNOWN", "see the node's log")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let errors = json!({"errors": [{"code": self.code, "message": self.message}]});
        let mut response = (self.status, axum::Json(errors)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_SECONDS.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Basic realm=\"temps\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
