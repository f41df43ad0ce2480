//! What nodes answer each other: blobs, static sites and manifests. Whoever mounts it lets nobody but nodes in.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use temps_builder::{BlobDigest, PeerPath};
use tokio_util::io::ReaderStream;

use crate::ApiError;
use crate::context::{Context, Shared};

/// The octets of a piece.
const PIECE_BYTES: usize = 64 << 10;

#[derive(Deserialize)]
struct From {
    /// How many octets the asking node has already.
    #[serde(default)]
    from: u64,
}

/// The paths of [`PeerPath`] below `/internal/`.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/internal/blobs/{*rest}", get(answer))
        .route("/internal/sites/{*rest}", get(answer))
        .route("/internal/registry/{*rest}", get(answer))
        .layer(DefaultBodyLimit::disable())
}

async fn answer(
    State(context): State<Shared>,
    uri: axum::http::Uri,
    Path(_): Path<String>,
    Query(From { from }): Query<From>,
) -> Result<Response, ApiError> {
    let path = uri.path().trim_start_matches("/internal/");
    let missing = || ApiError::not_found("artifact", path);
    let body = match PeerPath::read(path).ok_or_else(missing)? {
        PeerPath::Blob(digest) => blob(&context, &digest, from).await?,
        PeerPath::Site(site) => context.builder.lend_site(&site, from).map(Body::from_stream),
        PeerPath::Manifest { repository, tag } => {
            context.builder.lend(&repository, &tag).await?.map(Body::from)
        }
    };
    Ok((StatusCode::OK, body.ok_or_else(missing)?).into_response())
}

async fn blob(context: &Context, digest: &BlobDigest, from: u64) -> Result<Option<Body>, ApiError> {
    let opened = context.builder.blobs().read_from(digest, from).await;
    let opened =
        opened.map_err(|source| temps_builder::BuildError::Read { what: "a blob", source })?;
    Ok(opened.map(|(file, _)| Body::from_stream(ReaderStream::with_capacity(file, PIECE_BYTES))))
}
