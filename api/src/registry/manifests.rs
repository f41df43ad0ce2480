//! Manifests: by tag or by digest.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::IntoResponse;
use temps_builder::{BlobDigest, Descriptor, ImageManifest, MANIFEST_BYTES_MAX};
use temps_state::{Command, ImageTag, TagName};

use super::access::Asker;
use super::error::Refusal;
use super::route::Reference;
use super::{Answer, DIGEST_HEADER, Registry, digest_value, is_built, location};
use crate::ApiError;

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
        let me = self.cluster.node_id();
        match reference {
            Reference::Tag(tag) if is_built(repository) => {
                let state = self.cluster.state();
                Ok(self.builder.resolve(&state, me, repository, tag).await?)
            }
            Reference::Tag(tag) => {
                let newest = self.newest().await;
                let state = newest.state.clone();
                let name = tag_name(repository, tag)?;
                let tag = state.image_tags.get(&name);
                let tag = tag.ok_or_else(|| newest.lacks(unknown_tag(&name)))?;
                let digest = manifest_of(tag)?;
                self.get(&state, &digest, &tag.holders).await?;
                self.read_manifest(&digest)
            }
            Reference::Digest(digest) => {
                self.ensure_blob(repository, digest).await?;
                self.read_manifest(digest)
            }
        }
    }

    /// Takes a manifest whose blobs are all here, and lets a tag mean it: for all nodes, once this one has everything
    /// on its disk.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &Reference,
        request: Request,
        asker: &Asker,
    ) -> Answer {
        let octets = to_bytes(request.into_body(), MANIFEST_BYTES_MAX as usize).await;
        let octets = octets.map_err(|_| Refusal::invalid_manifest("it is too long or was cut"))?;
        let manifest = ImageManifest::read(&octets)
            .ok_or_else(|| Refusal::invalid_manifest("it is neither an image's nor an index"))?;
        for part in manifest.blobs().chain(&manifest.manifests) {
            self.ensure_part(repository, part).await?;
        }
        self.check_name(repository, reference, &octets, &manifest)?;
        let digest = self.builder.blobs().put_octets(&octets)?;
        self.builder.pushes().count_on(repository, &digest);
        match reference {
            Reference::Tag(tag) if is_built(repository) => {
                let set = self.builder.tags().set(repository, tag, &digest);
                set.map_err(|error| Refusal::disk(&error))?;
            }
            Reference::Tag(tag) => {
                self.set_tag(tag_name(repository, tag)?, &digest, asker).await?;
            }
            Reference::Digest(_) => {}
        }
        let mut response = StatusCode::CREATED.into_response();
        let at = location(&format!("/v2/{repository}/manifests/{digest}"));
        response.headers_mut().insert(header::LOCATION, at);
        response.headers_mut().insert(DIGEST_HEADER, digest_value(&digest));
        Ok(response)
    }

    /// A part of a manifest must be here. The client may have found it in the repository through another node.
    async fn ensure_part(&self, repository: &str, part: &Descriptor) -> Result<(), Refusal> {
        let blobs = self.builder.blobs();
        if !blobs.has(&part.digest) && !self.is_local() {
            let sought = self.ensure_blob(repository, &part.digest).await;
            sought.map_err(|refusal| refusal.or_lacks_blob(&part.digest))?;
        }
        match blobs.size(&part.digest) {
            Some(bytes) if bytes == part.bytes => {
                self.builder.pushes().count_on(repository, &part.digest);
                Ok(())
            }
            _ => Err(Refusal::lacks_blob(&part.digest)),
        }
    }

    async fn set_tag(
        &self,
        name: TagName,
        digest: &BlobDigest,
        asker: &Asker,
    ) -> Result<(), Refusal> {
        let reached = self.builder.secure(digest).await?;
        let (repository, holder) = (name.repository().to_owned(), self.cluster.node_id());
        let manifest = digest.hex().to_owned();
        self.propose(asker, Command::SetImageTag { name, manifest, holder }).await?;
        self.builder.pushes().settle(&repository, &reached);
        Ok(())
    }

    async fn propose(&self, asker: &Asker, command: Command) -> Result<(), Refusal> {
        let proposed = self.cluster.propose(asker.asks(command)).await;
        proposed.map(drop).map_err(|error| ApiError::from(error).into())
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
            Reference::Tag(tag) if is_built(repository) => {
                digest.hex() == tag || config.is_some_and(|config| config.hex() == tag)
            }
            Reference::Tag(_) => true,
        };
        right.then_some(()).ok_or_else(Refusal::invalid_digest)
    }

    /// Lets a tag, or every tag of a manifest, mean nothing any more: what only they led to is removed on every node.
    pub async fn untag(&self, repository: &str, reference: &Reference, asker: &Asker) -> Answer {
        if let (true, Reference::Tag(tag)) = (is_built(repository), reference) {
            return match self.builder.tags().remove(repository, tag) {
                Ok(true) => Ok(StatusCode::ACCEPTED.into_response()),
                Ok(false) => Err(Refusal::unknown_manifest("there is no such tag on this node")),
                Err(error) => Err(Refusal::disk(&error)),
            };
        }
        let names = self.names_of(repository, reference).await?;
        for name in names {
            let known = || self.cluster.state().image_tags.contains_key(&name);
            let removed = self.propose(asker, Command::RemoveImageTag { name: name.clone() }).await;
            if let (Err(refusal), true) = (removed, known()) {
                return Err(refusal);
            }
        }
        Ok(StatusCode::ACCEPTED.into_response())
    }

    /// The tags that are meant: one, or all of a manifest.
    async fn names_of(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Result<Vec<TagName>, Refusal> {
        let state = self.cluster.read_latest().await.map_err(ApiError::from)?;
        let is_meant = |name: &TagName, tag: &ImageTag| match reference {
            Reference::Tag(meant) => name.tag() == meant,
            Reference::Digest(meant) => tag.manifest == meant.hex(),
        };
        let names = state.tags_of(repository).filter(|(name, tag)| is_meant(name, tag));
        let names: Vec<TagName> = names.map(|(name, _)| name.clone()).collect();
        match (names.is_empty(), reference) {
            (false, _) => Ok(names),
            (true, Reference::Tag(tag)) => Err(unknown_tag(&tag_name(repository, tag)?)),
            (true, Reference::Digest(_)) => {
                Err(Refusal::unknown_manifest("the repository has no tag of this manifest"))
            }
        }
    }
}

fn tag_name(repository: &str, tag: &str) -> Result<TagName, Refusal> {
    TagName::new(repository, tag).ok_or_else(Refusal::unknown_path)
}

fn unknown_tag(name: &TagName) -> Refusal {
    let (repository, tag) = (name.repository(), name.tag());
    Refusal::unknown_manifest(format!(
        "{repository} has no tag {tag}: push it, or see its tags/list"
    ))
}

fn manifest_of(tag: &ImageTag) -> Result<BlobDigest, Refusal> {
    BlobDigest::read(&tag.manifest).ok_or_else(Refusal::invalid_digest)
}
