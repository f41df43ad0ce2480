//! Blobs: is one there, and what is in it.

use std::ops::RangeInclusive;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use temps_builder::BlobDigest;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::error::Refusal;
use super::{Answer, DIGEST_HEADER, Registry, digest_value};

/// The octets of a piece of a blob.
const PIECE_BYTES: usize = 64 << 10;

impl Registry {
    /// Whether a blob is here, or becomes so: whoever finds one counts on it. Engines ask for what they have just sent,
    /// before any tag leads to it.
    pub async fn has_blob(&self, repository: &str, digest: &BlobDigest) -> Answer {
        let blobs = self.builder.blobs();
        if !blobs.has(digest) && !self.is_local() {
            self.ensure_blob(repository, digest).await?;
        }
        blobs.touch(digest);
        self.builder.pushes().count_on(repository, digest);
        let bytes = blobs.size(digest).ok_or_else(Refusal::unknown_blob)?;
        Ok(described((StatusCode::OK, Body::empty()).into_response(), digest, bytes))
    }

    pub async fn blob(&self, repository: &str, digest: &BlobDigest, headers: &HeaderMap) -> Answer {
        self.ensure_blob(repository, digest).await?;
        let blobs = self.builder.blobs();
        let bytes = blobs.size(digest).ok_or_else(Refusal::unknown_blob)?;
        let range = wanted(headers, bytes)?;
        let from = range.as_ref().map_or(0, |range| *range.start());
        let opened = blobs.read_from(digest, from).await.map_err(|error| Refusal::disk(&error))?;
        let (file, bytes) = opened.ok_or_else(Refusal::unknown_blob)?;
        let length = range.as_ref().map_or(bytes, |range| range.end() - range.start() + 1);
        let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), PIECE_BYTES));
        let Some(range) = range else {
            return Ok(described((StatusCode::OK, body).into_response(), digest, length));
        };
        let told = format!("bytes {}-{}/{bytes}", range.start(), range.end());
        let response = (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, told)], body);
        Ok(described(response.into_response(), digest, length))
    }

    /// Gets what is not here; from outside, shows of a repository what its tags lead to.
    pub async fn ensure_blob(&self, repository: &str, digest: &BlobDigest) -> Result<(), Refusal> {
        let (state, me) = (self.cluster.state(), self.cluster.node_id());
        if self.is_local() {
            return Ok(self.builder.obtain_of(&state, me, repository, digest).await?);
        }
        if let Some(holders) = self.leads_to(&state, repository, digest).await {
            return self.get(&state, digest, &holders).await;
        }
        // The tag may be younger than what this node knew.
        let newest = self.newest().await;
        let state = match newest.state.index == state.index {
            true => return Err(newest.lacks(Refusal::unknown_blob())),
            false => newest.state.clone(),
        };
        let holders = self.leads_to(&state, repository, digest).await;
        let unknown = || newest.lacks(Refusal::unknown_blob());
        self.get(&state, digest, &holders.ok_or_else(unknown)?).await
    }
}

fn described(mut response: Response, digest: &BlobDigest, length: u64) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(DIGEST_HEADER, digest_value(digest));
    response
}

/// The range of octets that is asked for (RFC 9110 §14.2); several at once count as none.
fn wanted(headers: &HeaderMap, bytes: u64) -> Result<Option<RangeInclusive<u64>>, Refusal> {
    let text = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = text.and_then(|text| text.strip_prefix("bytes=")) else { return Ok(None) };
    let Some((from, to)) = range.split_once('-').filter(|_| !range.contains(',')) else {
        return Ok(None);
    };
    let last = bytes.saturating_sub(1);
    let range = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => from..=to.min(last),
        (Ok(from), Err(_)) if to.is_empty() => from..=last,
        (Err(_), Ok(tail)) if from.is_empty() && tail > 0 => bytes.saturating_sub(tail)..=last,
        _ => return Ok(None),
    };
    match *range.start() < bytes {
        true => Ok(Some(range)),
        false => Err(Refusal::wrong_range()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_means_them() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]);
            wanted(&headers, 10)
        };
        for (text, range) in [
            ("bytes=0-3", Some(0..=3)),
            ("bytes=4-", Some(4..=9)),
            ("bytes=4-100", Some(4..=9)),
            ("bytes=-3", Some(7..=9)),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
            ("bytes=3-1", None),
        ] {
            assert_eq!(of(text).unwrap(), range, "{text}");
        }
        assert!(of("bytes=10-").is_err());
    }
}
