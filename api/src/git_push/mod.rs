//! The node as a Git server: `git push` deploys. Smart HTTP (gitprotocol-http(5)), served by git itself.

mod deploy;
mod pkt_line;
mod repository;
mod tasks;

use std::time::Duration;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::TryStreamExt;
use serde::Deserialize;
use temps_state::{Permission, Project};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use utoipa::IntoParams;

use self::deploy::Deploys;
use self::pkt_line::{FLUSH, packet, read_commands};
pub(crate) use self::repository::Repositories;
use self::repository::{PUSH_BYTES_MAX, Repository, Service};
pub(crate) use self::tasks::GitTasks;
use crate::auth::GitCaller;
use crate::context::Shared;
use crate::links::Links;
use crate::{ApiError, ids};

/// How long one Git request may take, without the deployment that follows a push.
pub const GIT_TIMEOUT: Duration = Duration::from_secs(3_600);
/// The most octets of a list of branches.
const REFS_BYTES_MAX: u64 = 16 << 20;
/// How many pieces of an answer wait for a slow client.
const PIECES_AHEAD: usize = 16;
/// The octets of a piece.
const PIECE_BYTES: usize = 32 << 10;

/// Where a git process's answer goes to: the client.
type Answer = mpsc::Sender<std::io::Result<Bytes>>;
/// What a client sends.
type Input = Box<dyn AsyncRead + Send + Unpin>;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ServiceQuery {
    /// `git-receive-pack` or `git-upload-pack`.
    service: Option<String>,
}

/// Tells a Git client which branches are there.
#[utoipa::path(
    get, path = "/git/{repository}/info/refs", tag = "git", params(ServiceQuery), security(("basic" = [])),
    responses((status = 200, description = "Git's list of branches"))
)]
pub(crate) async fn info_refs(
    State(context): State<Shared>,
    GitCaller(caller): GitCaller,
    Path(repository): Path<String>,
    Query(ServiceQuery { service }): Query<ServiceQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let service = service.as_deref().and_then(Service::named).ok_or_else(|| {
        ApiError::invalid("service", "this Git client is too old: smart HTTP is needed")
    })?;
    caller.may(needed(service))?;
    let project = project(&context, &repository).await?;
    let _slot = context.repositories.slot()?;
    let repository = context.repositories.open(project.id).await?;
    let child = repository.serve(service, true, protocol(&headers))?;
    let refs = tokio::time::timeout(GIT_TIMEOUT, all_output(child)).await;
    let refs = refs.map_err(|_| std::io::ErrorKind::TimedOut.into()).flatten();
    let refs = refs.map_err(|source| ApiError::Git { doing: "list branches", source })?;
    let mut body = Vec::new();
    // Version 2 of the protocol, which is for fetching only, has no such head.
    if !refs.starts_with(b"000eversion 2") {
        body = packet(format!("# service={}\n", service.name()).as_bytes());
        body.extend_from_slice(FLUSH);
    }
    body.extend(refs);
    Ok(answer(&format!("application/x-{}-advertisement", service.name()), Body::from(body)))
}

async fn all_output(mut child: Child) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(REFS_BYTES_MAX).read_to_end(&mut octets).await?;
    }
    match child.wait().await?.success() {
        true => Ok(octets),
        false => Err(std::io::Error::other("git failed")),
    }
}

/// Sends commits to a Git client.
#[utoipa::path(
    post, path = "/git/{repository}/git-upload-pack", tag = "git", security(("basic" = [])),
    request_body(content = Vec<u8>, content_type = "application/x-git-upload-pack-request"),
    responses((status = 200, description = "Git's pack"))
)]
pub(crate) async fn upload_pack(
    State(context): State<Shared>,
    GitCaller(caller): GitCaller,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.may(needed(Service::UploadPack))?;
    let project = project(&context, &repository).await?;
    let slot = context.repositories.slot()?;
    let repository = context.repositories.open(project.id).await?;
    let child = repository.serve(Service::UploadPack, false, protocol(request.headers()))?;
    let input = input(request);
    let (answer_to, pieces) = mpsc::channel(PIECES_AHEAD);
    context.git_tasks.spawn(async move {
        let carried = tokio::time::timeout(GIT_TIMEOUT, carry(child, input, &answer_to)).await;
        if let Ok(Ok(Some(end))) = carried {
            let _ = answer_to.send(Ok(end)).await;
        }
        drop(slot);
    });
    let body = Body::from_stream(ReceiverStream::new(pieces));
    Ok(answer("application/x-git-upload-pack-result", body))
}

/// Takes commits from a Git client, and deploys them; the client shows what happens.
#[utoipa::path(
    post, path = "/git/{repository}/git-receive-pack", tag = "git", security(("basic" = [])),
    request_body(content = Vec<u8>, content_type = "application/x-git-receive-pack-request"),
    responses((status = 200, description = "Git's report, and the deployment's progress"))
)]
pub(crate) async fn receive_pack(
    State(context): State<Shared>,
    GitCaller(caller): GitCaller,
    Path(repository): Path<String>,
    links: Links,
    request: Request,
) -> Result<Response, ApiError> {
    caller.may(needed(Service::ReceivePack))?;
    let project = project(&context, &repository).await?;
    let slot = context.repositories.slot()?;
    let body_slot = context.body_slot()?;
    let repository = context.repositories.open(project.id).await?;
    let child = repository.serve(Service::ReceivePack, false, None)?;
    let mut input = input(request);
    let commands = read_commands(&mut input).await;
    let commands = commands.map_err(|_| ApiError::BodyInterrupted)?;
    let input = Box::new(std::io::Cursor::new(commands.raw).chain(input));
    let (answer_to, pieces) = mpsc::channel(PIECES_AHEAD);
    let mut deploys = Deploys {
        context: context.clone(),
        links,
        caller,
        project,
        repository,
        updates: commands.updates,
        show: commands.side_band.then(|| answer_to.clone()),
    };
    // Not part of the answer: what was received is deployed even when the client goes away.
    context.git_tasks.spawn(async move {
        let carried = tokio::time::timeout(GIT_TIMEOUT, carry(child, input, &answer_to)).await;
        drop(slot);
        if let Ok(Ok(Some(end))) = carried {
            deploys.all().await;
            let _ = answer_to.send(Ok(end)).await;
        }
        drop(body_slot);
    });
    let body = Body::from_stream(ReceiverStream::new(pieces));
    Ok(answer("application/x-git-receive-pack-result", body))
}

/// Carries a request to a git process and its answer back, all but the last packet, which is returned when git went well.
async fn carry(mut child: Child, input: Input, to: &Answer) -> std::io::Result<Option<Bytes>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(mut stdout)) = (stdin, stdout) else { return Ok(None) };
    let sending = async move {
        // Git that reads no further has its reason, and tells it in its answer.
        let _ = tokio::io::copy(&mut input.take(PUSH_BYTES_MAX), &mut stdin).await;
        let _ = stdin.shutdown().await;
    };
    let answering = async move {
        let mut held = Vec::with_capacity(PIECE_BYTES + FLUSH.len());
        while stdout.read_buf(&mut held).await? > 0 {
            let last = held.split_off(held.len().saturating_sub(FLUSH.len()));
            let piece = std::mem::replace(&mut held, last);
            // A client that went away gets no answer, but its push still counts.
            let _ = to.send(Ok(piece.into())).await;
            held.reserve(PIECE_BYTES);
        }
        Ok::<_, std::io::Error>(Bytes::from(held))
    };
    let ((), end) = tokio::join!(sending, answering);
    let end = end?;
    Ok(child.wait().await?.success().then_some(end))
}

fn needed(service: Service) -> Permission {
    match service {
        Service::ReceivePack => Permission::Deploy,
        Service::UploadPack => Permission::Read,
    }
}

async fn project(context: &Shared, repository: &str) -> Result<Project, ApiError> {
    let state = context.cluster.read_latest().await?;
    let name = repository.strip_suffix(".git").unwrap_or(repository);
    ids::project(&state, name).cloned()
}

/// The version of the protocol the client would like.
fn protocol(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("git-protocol").and_then(|value| value.to_str().ok())?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "=:-_.".contains(c);
    text.chars().all(plain).then_some(text)
}

/// A request's body, decompressed if need be.
fn input(request: Request) -> Input {
    let gzip = request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| {
        value.as_bytes().eq_ignore_ascii_case(b"gzip") || value.as_bytes() == b"x-gzip"
    });
    let stream = request.into_body().into_data_stream().map_err(std::io::Error::other);
    let reader = BufReader::new(StreamReader::new(stream));
    if gzip { Box::new(GzipDecoder::new(reader)) } else { Box::new(reader) }
}

fn answer(media: &str, body: Body) -> Response {
    let headers: [(HeaderName, String); 2] =
        [(header::CONTENT_TYPE, media.into()), (header::CACHE_CONTROL, "no-cache".into())];
    let mut response = (headers, body).into_response();
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
