//! Uploads of blobs: whole, in pieces, or taken over from another repository.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use temps_builder::BlobDigest;
use temps_state::is_repository;

use super::error::Refusal;
use super::route::digest;
use super::{Answer, DIGEST_HEADER, Registry, digest_value, location, parameter};

/// The id of an upload.
const UPLOAD_HEADER: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Registry {
    /// Begins an upload, or ends it at once when the blob comes along or is known in another repository.
    pub async fn begin(&self, repository: &str, request: Request) -> Answer {
        self.builder.pushes().go_on(repository);
        if let Some(mounted) = self.mounted(request.uri()).await {
            self.builder.blobs().touch(&mounted);
            self.builder.pushes().count_on(repository, &mounted);
            return Ok(created(repository, &mounted));
        }
        let upload = self.builder.blobs().begin_part()?;
        match expected(request.uri())? {
            None => Ok(accepted(repository, &upload, 0)),
            Some(expected) => self.finish(repository, &upload, &expected, request).await,
        }
    }

    /// A blob that the client may read in another repository and wants in this one.
    async fn mounted(&self, uri: &Uri) -> Option<BlobDigest> {
        let digest = digest(&parameter(uri, "mount")?)?;
        let from = parameter(uri, "from").filter(|from| is_repository(from))?;
        if !self.is_local() {
            self.ensure_blob(&from, &digest).await.ok()?;
        }
        self.builder.blobs().has(&digest).then_some(digest)
    }

    pub async fn upload(
        &self,
        repository: &str,
        upload: &str,
        method: Method,
        request: Request,
    ) -> Answer {
        match method {
            Method::GET => Ok(no_content(repository, upload, self.received(upload)?)),
            Method::PATCH => {
                let bytes = self.append(repository, upload, request).await?;
                Ok(accepted(repository, upload, bytes))
            }
            Method::PUT => {
                let expected = expected(request.uri())?.ok_or_else(Refusal::invalid_digest)?;
                self.finish(repository, upload, &expected, request).await
            }
            Method::DELETE => {
                self.received(upload)?;
                self.builder.blobs().abandon_part(upload);
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            _ => Err(Refusal::unsupported()),
        }
    }

    async fn finish(
        &self,
        repository: &str,
        upload: &str,
        expected: &BlobDigest,
        request: Request,
    ) -> Answer {
        self.append(repository, upload, request).await?;
        self.builder.blobs().finish_part(upload, expected).await?;
        self.builder.pushes().count_on(repository, expected);
        Ok(created(repository, expected))
    }

    async fn append(
        &self,
        repository: &str,
        upload: &str,
        request: Request,
    ) -> Result<u64, Refusal> {
        let from = beginning(request.headers());
        // A layer may take long, and those before it must stay.
        let going_on = |_: &_| self.builder.pushes().go_on(repository);
        let stream = request.into_body().into_data_stream().inspect(going_on);
        Ok(self.builder.blobs().append_part(upload, from, stream).await?)
    }

    fn received(&self, upload: &str) -> Result<u64, Refusal> {
        let unknown =
            || temps_builder::BuildError::PartUnknown { part: upload.chars().take(64).collect() };
        Ok(self.builder.blobs().part_bytes(upload).ok_or_else(unknown)?)
    }
}

fn expected(uri: &Uri) -> Result<Option<BlobDigest>, Refusal> {
    let text = parameter(uri, "digest");
    text.map(|text| digest(&text).ok_or_else(Refusal::invalid_digest)).transpose()
}

/// Where a piece says that it begins: `0-1023`, without the unit that HTTP would want.
fn beginning(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    text.trim_start_matches("bytes ").split('-').next()?.parse().ok()
}

fn created(repository: &str, digest: &BlobDigest) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location(&format!("/v2/{repository}/blobs/{digest}")));
    headers.insert(DIGEST_HEADER, digest_value(digest));
    response
}

fn accepted(repository: &str, upload: &str, bytes: u64) -> Response {
    under_way(StatusCode::ACCEPTED, repository, upload, bytes)
}

fn no_content(repository: &str, upload: &str, bytes: u64) -> Response {
    under_way(StatusCode::NO_CONTENT, repository, upload, bytes)
}

fn under_way(status: StatusCode, repository: &str, upload: &str, bytes: u64) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location(&format!("/v2/{repository}/blobs/uploads/{upload}")));
    headers.insert(header::RANGE, location(&format!("0-{}", bytes.saturating_sub(1))));
    headers.insert(UPLOAD_HEADER, location(upload));
    response
}
