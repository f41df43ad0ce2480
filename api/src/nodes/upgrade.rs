//! `/api/binaries` and `/api/nodes/{n}/upgrade`: another program for the nodes, one after the other.

use std::io;

use axum::Json as Out;
use axum::body::Body;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_builder::BlobDigest;
use temps_state::Command;
use utoipa::ToSchema;

use super::find;
use crate::ApiError;
use crate::auth::{MayAdmin, MayRead};
use crate::body::Json;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::relay::{is_elsewhere, send_on};
use crate::uploads::{UPLOAD_TIMEOUT, UploadOut, refused};

/// The most octets of a binary.
pub const BINARY_BYTES_MAX: u64 = 1 << 30;

/// Replaces the program of the node that the API belongs to.
pub trait Upgrades: Send + Sync + 'static {
    /// What runs, how far an upgrade is, and what came of the last one.
    fn status(&self) -> BoxFuture<'_, io::Result<UpgradeStatus>>;

    /// Begins an upgrade, or joins in one that takes the same binary; `false` while another binary is taken. What comes
    /// of it is told by [`status`](Self::status), in the end of whichever process then runs the node.
    fn begin(&self, binary: BlobDigest) -> BoxFuture<'_, bool>;
}

/// The program of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpgradeStatus {
    /// SHA-256 of the program that runs, in hex.
    pub binary: String,
    /// Its version.
    pub version: String,
    /// The newest format of the replicated state that it knows.
    pub format: u32,
    /// How far an upgrade is.
    pub stage: UpgradeStage,
    /// SHA-256 of the program that is to run next, in hex, until a process of it does.
    #[serde(default)]
    pub target: Option<String>,
    /// What came of the last upgrade, if there was one.
    pub last: Option<UpgradeOutcome>,
}

/// How far the upgrade of a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeStage {
    /// None is under way.
    Idle,
    /// The binary is fetched and tried out; the node runs as ever.
    Preparing,
    /// A new process takes over.
    HandingOver,
}

/// What came of an upgrade of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpgradeOutcome {
    /// SHA-256 of the program that was to run, in hex.
    pub binary: String,
    /// When it was over.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why the node runs the program it had before; nothing when the new one runs.
    pub failure: Option<UpgradeFailure>,
    /// What is left to do by hand, though the new one runs.
    #[serde(default)]
    pub warning: Option<UpgradeFailure>,
}

/// Why a node was not upgraded and runs as before, or what did not work though it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpgradeFailure {
    /// What kind of failure; stable.
    pub code: String,
    /// What happened.
    pub why: String,
    /// What to do next.
    pub hint: String,
}

/// Sends a temps binary, for upgrades.
#[utoipa::path(
    post, path = "/api/binaries/{digest}", tag = "cluster",
    params(("digest" = String, Path, description = "SHA-256 of the file, in hex")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = UploadOut))
)]
pub(crate) async fn receive_binary(
    State(context): State<Shared>,
    MayAdmin(_): MayAdmin,
    Path(digest): Path<String>,
    request: Request,
) -> Result<(StatusCode, Out<UploadOut>), ApiError> {
    let digest = read_digest("digest", &digest)?;
    let _slot = context.body_slot()?;
    let stream = request.into_body().into_data_stream();
    let receiving = context.builder.blobs().put(stream, &digest, BINARY_BYTES_MAX);
    let received = tokio::time::timeout(UPLOAD_TIMEOUT, receiving).await;
    let bytes = received.map_err(|_| ApiError::BodyInterrupted)?.map_err(refused)?;
    Ok((StatusCode::CREATED, Out(UploadOut { digest: digest.hex().into(), bytes })))
}

/// Which binary a node shall run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Upgrade)]
pub struct UpgradeIn {
    /// SHA-256 of a binary that was sent to any node, in hex.
    pub binary: String,
}

/// Shows what a node runs, and what came of its last upgrade.
#[utoipa::path(
    get, path = "/api/nodes/{n}/upgrade", tag = "cluster", responses((status = 200, body = UpgradeStatus))
)]
pub(crate) async fn upgrade_status(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path(n): Path<String>,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let node = find(&state, &n)?.id;
    if is_elsewhere(&context, &parts, node) {
        return send_on(&context, node, Request::from_parts(parts, Body::empty())).await;
    }
    Ok(Out(status(&context).await?).into_response())
}

/// Has a node run another binary. It fetches it and tries it out first; then it hands its sockets to the new process, and
/// goes back if that does not come up.
#[utoipa::path(
    post, path = "/api/nodes/{n}/upgrade", tag = "cluster", request_body = UpgradeIn,
    responses((status = 202, body = UpgradeStatus))
)]
pub(crate) async fn upgrade(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    Path(n): Path<String>,
    Seen(state): Seen,
    request: Request,
) -> Result<Response, ApiError> {
    let node = find(&state, &n)?.id;
    let (parts, body) = request.into_parts();
    let elsewhere = is_elsewhere(&context, &parts, node);
    let request = Request::from_parts(parts, body);
    if elsewhere {
        return send_on(&context, node, request).await;
    }
    let Json(UpgradeIn { binary }) = Json::from_request(request, &context).await?;
    let binary = read_digest("binary", &binary)?;
    let upgrades = upgrades(&context)?;
    // The audit log has it before it happens. Asked for two binaries, the node refuses one by itself.
    let told = Command::UpgradeNode { id: node, binary: binary.hex().into() };
    let is_repeated = caller.was_answered(&*context.cluster.read_latest().await?);
    context.change(caller.asks(told)).await?;
    // What was asked before may not have begun, or be over: then it does not begin anew.
    let is_outcome = |last: &UpgradeOutcome| last.binary == binary.hex();
    let is_over = is_repeated && status(&context).await?.last.as_ref().is_some_and(is_outcome);
    if !is_over && !upgrades.begin(binary).await {
        return Err(ApiError::Conflict {
            code: "upgrade_under_way",
            why: "the node is just taking another binary".into(),
            hint: "wait until that is over, then: temps upgrade --binary FILE",
        });
    }
    Ok((StatusCode::ACCEPTED, Out(status(&context).await?)).into_response())
}

async fn status(context: &Context) -> Result<UpgradeStatus, ApiError> {
    let unreadable = |source| format!("the program that runs cannot be read: {source}");
    let status = upgrades(context)?.status().await;
    status.map_err(|source| ApiError::invalid("binary", unreadable(source)))
}

fn upgrades(context: &Context) -> Result<&dyn Upgrades, ApiError> {
    context.upgrades.as_deref().ok_or_else(|| ApiError::not_found("upgrade", "here"))
}

fn read_digest(field: &str, text: &str) -> Result<BlobDigest, ApiError> {
    let why = "it is the SHA-256 of a file: 64 hexadecimal digits";
    BlobDigest::read(text).ok_or_else(|| ApiError::invalid(field, why))
}
