//! Manifests: by tag or by digest.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::IntoResponse;
use temps_builder::tags::BUILT;
use temps_builder::{BlobDigest, ImageManifest, MANIFEST_BYTES_MAX};

use super::error::Refusal;
use super::route::Reference;
use super::{Answer, DIGEST_HEADER, Registry, digest_value, location};

impl Registry {
    pub async fn manifest(
        &self,
        repository: &str,
        reference: &Reference,
        method: &Method,
    ) -> Answer {
        let octets = self.find_manifest(repository, reference).await?;
        let unreadable = || Refusal::unknown_manifest("what is here is no manifest");
        let manifest = ImageManifest::read(&octets).ok_or_else(unreadable)?;
        let (digest, length) = (BlobDigest::of(&octets), octets.len());
        let body = if *method == Method::HEAD { Body::empty() } else { Body::from(octets) };
        let mut response = (StatusCode::OK, body).into_response();
        let headers = response.headers_mut();
        let media = HeaderValue::from_str(&manifest.media_type);
        headers.insert(header::CONTENT_TYPE, media.map_err(|_| unreadable())?);
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(DIGEST_HEADER, digest_value(&digest));
        Ok(response)
    }

    async fn find_manifest(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Result<Vec<u8>, Refusal> {
        let unknown = || Refusal::unknown_manifest("the repository has no such manifest here");
        match reference {
            Reference::Tag(tag) if self.is_local() => {
                let (state, me) = (self.cluster.state(), self.cluster.node_id());
                Ok(self.builder.resolve(&state, me, repository, tag).await?)
            }
            Reference::Tag(tag) => {
                let digest = self.builder.tags().find(repository, tag).ok_or_else(unknown)?;
                self.read_manifest(&digest).map(|(octets, _)| octets).ok_or_else(unknown)
            }
            Reference::Digest(digest) => {
                let known = self.is_local() || self.reachable(repository).contains(digest);
                let read = known.then(|| self.read_manifest(digest)).flatten();
                read.map(|(octets, _)| octets).ok_or_else(unknown)
            }
        }
    }

    /// Takes a manifest whose blobs are all here, and lets a tag mean it.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &Reference,
        request: Request,
    ) -> Answer {
        let octets = to_bytes(request.into_body(), MANIFEST_BYTES_MAX as usize).await;
        let octets = octets.map_err(|_| Refusal::invalid_manifest("it is too long or was cut"))?;
        let manifest = ImageManifest::read(&octets)
            .ok_or_else(|| Refusal::invalid_manifest("it is neither an image's nor an index"))?;
        let blobs = self.builder.blobs();
        for part in manifest.blobs().chain(&manifest.manifests) {
            if blobs.size(&part.digest) != Some(part.bytes) {
                return Err(Refusal::lacks_blob(&part.digest));
            }
        }
        self.check_name(repository, reference, &octets, &manifest)?;
        let digest = blobs.put_octets(&octets)?;
        if let Reference::Tag(tag) = reference {
            let set = self.builder.tags().set(repository, tag, &digest);
            set.map_err(|error| Refusal::disk(&error))?;
        }
        let mut response = StatusCode::CREATED.into_response();
        let at = location(&format!("/v2/{repository}/manifests/{digest}"));
        response.headers_mut().insert(header::LOCATION, at);
        response.headers_mut().insert(DIGEST_HEADER, digest_value(&digest));
        Ok(response)
    }

    /// A digest must be the manifest's; and a built image's tag its id, for nodes start what has that id.
    fn check_name(
        &self,
        repository: &str,
        reference: &Reference,
        octets: &[u8],
        manifest: &ImageManifest,
    ) -> Result<(), Refusal> {
        let digest = BlobDigest::of(octets);
        let config = manifest.config.as_ref().map(|config| &config.digest);
        let right = match reference {
            Reference::Digest(expected) => *expected == digest,
            Reference::Tag(tag) if repository.starts_with(BUILT) => {
                digest.hex() == tag || config.is_some_and(|config| config.hex() == tag)
            }
            Reference::Tag(_) => true,
        };
        right.then_some(()).ok_or_else(Refusal::invalid_digest)
    }

    /// Lets a tag mean nothing any more; the next garbage collection removes what only it led to.
    pub fn untag(&self, repository: &str, tag: &str) -> Answer {
        match self.builder.tags().remove(repository, tag) {
            Ok(true) => Ok(StatusCode::ACCEPTED.into_response()),
            Ok(false) => Err(Refusal::unknown_manifest("the repository has no such tag here")),
            Err(error) => Err(Refusal::disk(&error)),
        }
    }
}
