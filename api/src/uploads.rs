//! `/api/uploads`: source archives to deploy.

use std::time::Duration;

use axum::Json as Out;
use axum::body::BodyDataStream;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use futures::StreamExt;
use serde::Serialize;
use temps_builder::{BuildError, UPLOAD_BYTES_MAX};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::MayDeploy;
use crate::context::Shared;

/// How long an upload may take.
pub const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How long the rest of a body is read that is refused.
const SKIP_WITHIN: Duration = Duration::from_secs(10);
/// What is taken.
const ARCHIVES: [&str; 4] =
    ["application/gzip", "application/zstd", "application/x-gzip", "application/octet-stream"];

/// An archive that was received whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub struct UploadOut {
    /// SHA-256 of its octets, in hex: what a deployment names it by.
    pub digest: String,
    /// How many octets it has.
    pub bytes: u64,
}

/// Sends a tar.gz or tar.zst archive of a folder to deploy.
#[utoipa::path(
    post, path = "/api/uploads", tag = "deployments",
    request_body(content = Vec<u8>, content_type = "application/gzip"),
    responses((status = 201, body = UploadOut))
)]
pub(crate) async fn receive(
    State(context): State<Shared>,
    MayDeploy(_): MayDeploy,
    request: Request,
) -> Result<(StatusCode, Out<UploadOut>), ApiError> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !media.is_some_and(|media| ARCHIVES.contains(&media)) {
        return Err(ApiError::UnsupportedMedia {
            expected: "application/gzip or application/zstd",
        });
    }
    let _slot = context.body_slot()?;
    let mut stream = request.into_body().into_data_stream();
    let receiving = context.builder.uploads().receive(&mut stream, UPLOAD_BYTES_MAX);
    let received = tokio::time::timeout(UPLOAD_TIMEOUT, receiving).await;
    let received = received.map_err(|_| ApiError::BodyInterrupted)?;
    if received.is_err() {
        skip(stream).await;
    }
    let upload = received.map_err(refused)?;
    let out = UploadOut { digest: upload.digest, bytes: upload.bytes };
    Ok((StatusCode::CREATED, Out(out)))
}

/// Reads the rest of a body that is of no use: a client that cannot send on may never read why.
async fn skip(mut body: BodyDataStream) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // Who sends for longer finds the connection closed.
    let _ = tokio::time::timeout(SKIP_WITHIN, rest).await;
}

pub(crate) fn refused(error: BuildError) -> ApiError {
    match error {
        BuildError::UploadTooLarge { max } => ApiError::BodyTooLarge { max },
        BuildError::UploadInterrupted { .. } => ApiError::BodyInterrupted,
        BuildError::UploadNotArchive => ApiError::UnsupportedMedia {
            expected: "that of a tar.gz or tar.zst archive, and the body one",
        },
        other => other.into(),
    }
}
