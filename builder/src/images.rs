//! Images between nodes: from the engine into the node's registry, from there to other nodes, and back into an engine.

use std::fs;
use std::path::Path;

use bollard::Docker;
use temps_state::{Artifact, Deployment, NodeId, State};

use crate::blobs::write_error;
use crate::obtain::ask_each;
use crate::oci::MANIFEST_BYTES_MAX;
use crate::own_registry::repository;
use crate::peers::PeerPath;
use crate::tags::BUILT;
use crate::{BlobDigest, BuildError, Builder, ImageManifest, copies, pull};

impl Builder {
    /// The manifest that a tag of this node's registry means. That of a built image that only the engine has so far is
    /// there when this returns, with its layers. `None` when this node has no such thing.
    pub async fn lend(&self, repository: &str, tag: &str) -> Result<Option<Vec<u8>>, BuildError> {
        if let Some(manifest) = self.manifest(repository, tag) {
            return Ok(Some(manifest));
        }
        let Some(image) = BlobDigest::read(tag).filter(|_| repository.starts_with(BUILT)) else {
            return Ok(None);
        };
        let docker = self.engine().docker().await?;
        if pull::find(&docker, &image.to_string()).await?.is_none() {
            return Ok(None);
        }
        self.publish(&docker, repository, &image).await?;
        Ok(self.manifest(repository, tag))
    }

    /// The manifest that a tag means on any node. What is not here is asked of those who hold it, then of all others.
    pub async fn resolve(
        &self,
        state: &State,
        me: NodeId,
        repository: &str,
        tag: &str,
    ) -> Result<Vec<u8>, BuildError> {
        if let Some(manifest) = self.manifest(repository, tag) {
            return Ok(manifest);
        }
        let missing = |asked: String| BuildError::ImageMissing {
            image: format!("{repository}:{tag}"),
            detail: format!("no node has it; {asked}"),
        };
        let none = || missing("no other node could be asked".into());
        let image = BlobDigest::read(tag).filter(|_| repository.starts_with(BUILT));
        let (Some(peers), Some(image)) = (self.peers(), image) else { return Err(none()) };
        let holders = copies::holders_of(state, repository, Some(tag));
        let candidates = copies::candidates(state, me, &holders);
        let path = PeerPath::Manifest { repository: repository.into(), tag: tag.into() };
        // That the manifest names the image makes it needless to trust whoever sent it.
        let right = |octets: &[u8]| ImageManifest::is_of(octets, &image);
        let manifest = ask_each(peers, &path, &candidates, right).await;
        let manifest = manifest.map_err(|asked| missing(asked.to_string()))?;
        let digest = self.blobs().put_octets(&manifest)?;
        self.tags().set(repository, tag, &digest).map_err(write_error)?;
        Ok(manifest)
    }

    /// Gets a blob of a repository, from those who hold one of its images first.
    pub async fn obtain_of(
        &self,
        state: &State,
        me: NodeId,
        repository: &str,
        digest: &BlobDigest,
    ) -> Result<(), BuildError> {
        let mut holders = copies::holders_of(state, repository, None);
        holders.extend(state.tags_of(repository).flat_map(|(_, tag)| tag.holders.iter().copied()));
        self.obtain(digest, &copies::candidates(state, me, &holders)).await
    }

    /// Makes sure that the engine has a deployment's image, so that a container can be made of it.
    pub async fn provide_image(
        &self,
        state: &State,
        deployment: &Deployment,
    ) -> Result<(), BuildError> {
        let Some((repository, image)) = image_of(state, deployment) else { return Ok(()) };
        let docker = self.engine().docker().await?;
        let _alone = self.blobs().flights().lock(&format!("pull {image}")).await;
        if pull::find(&docker, &image.to_string()).await?.is_some() {
            return Ok(());
        }
        let Some(registry) = self.registry() else {
            let detail = "it is not on this node".into();
            return Err(BuildError::ImageMissing { image: image.to_string(), detail });
        };
        let tag = deployment.id.to_string();
        let pulled = registry.pull(&docker, &repository, &image, &tag).await;
        if pulled.is_err() && self.drop_rotten(&repository, &image).await? {
            registry.pull(&docker, &repository, &image, &tag).await?;
        } else {
            pulled?;
        }
        note_pulled(&self.folder("pulled"), &image)
    }

    /// Makes sure that other nodes can get a deployment's artifact from this one: `false` when it is neither here nor
    /// to be had from anybody. A node that is alone keeps images in its engine only, to spare its disk.
    pub async fn hold(
        &self,
        state: &State,
        me: NodeId,
        deployment: &Deployment,
    ) -> Result<bool, BuildError> {
        let held = match &deployment.artifact {
            Some(Artifact::Static { digest, .. }) => {
                let candidates = copies::candidates(state, me, &deployment.holders);
                self.provide_site(digest, &candidates).await
            }
            _ => match image_of(state, deployment) {
                Some((repository, image)) => self.hold_image(state, me, &repository, &image).await,
                None => return Ok(false),
            },
        };
        match held {
            Ok(()) => Ok(true),
            Err(BuildError::BlobMissing { .. } | BuildError::ImageMissing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn hold_image(
        &self,
        state: &State,
        me: NodeId,
        repository: &str,
        image: &BlobDigest,
    ) -> Result<(), BuildError> {
        if self.is_whole(repository, image) {
            return Ok(());
        }
        // An engine that is away may have it: then nothing is known.
        let docker = self.engine().docker().await?;
        let alone = copies::is_alone(state, me);
        match (pull::find(&docker, &image.to_string()).await?, self.registry()) {
            (Some(_), Some(_)) if !alone => self.publish(&docker, repository, image).await,
            (Some(_), _) => Ok(()),
            (None, _) => self.obtain_image(state, me, repository, image).await,
        }
    }

    async fn obtain_image(
        &self,
        state: &State,
        me: NodeId,
        repository: &str,
        image: &BlobDigest,
    ) -> Result<(), BuildError> {
        let octets = self.resolve(state, me, repository, image.hex()).await?;
        let manifest = ImageManifest::read(&octets);
        let blobs = manifest.iter().flat_map(ImageManifest::blobs);
        for blob in blobs {
            if self.blobs().size(&blob.digest).is_some_and(|bytes| bytes != blob.bytes) {
                self.blobs().remove(&blob.digest).map_err(write_error)?;
            }
            self.obtain_of(state, me, repository, &blob.digest).await?;
        }
        Ok(())
    }

    /// Has the engine hand an image over to the node's registry, unless it is there.
    async fn publish(
        &self,
        docker: &Docker,
        repository: &str,
        image: &BlobDigest,
    ) -> Result<(), BuildError> {
        let Some(registry) = self.registry() else { return Ok(()) };
        let _alone = self.blobs().flights().lock(&format!("push {image}")).await;
        match self.is_whole(repository, image) {
            true => Ok(()),
            false => registry.push(docker, repository, image).await,
        }
    }

    /// Takes away the names that a push or a pull which was cut off has left in the engine. One that is under way ends
    /// before, and leaves none.
    pub(crate) async fn drop_passing_names(&self) -> Result<(), BuildError> {
        let Some(registry) = self.registry() else { return Ok(()) };
        let docker = self.engine().docker().await?;
        for (image, repository) in registry.passing(&docker).await? {
            let _no_pull = self.blobs().flights().lock(&format!("pull {image}")).await;
            let _no_push = self.blobs().flights().lock(&format!("push {image}")).await;
            registry.drop_passing(&docker, &repository, &image).await?;
        }
        Ok(())
    }

    /// The manifest of a tag that is here; of a built image with all its blobs, whatever its project is called now.
    fn manifest(&self, repository: &str, tag: &str) -> Option<Vec<u8>> {
        let built = repository.starts_with(BUILT);
        let elsewhere = || {
            let tags = self.tags().list().ok()?;
            let same = tags.into_iter().find(|t| built && t.tag == tag && is_built(&t.repository));
            same.map(|tag| tag.manifest)
        };
        let digest = self.tags().find(repository, tag).or_else(elsewhere)?;
        let octets = self.blobs().read_small(&digest, MANIFEST_BYTES_MAX)?;
        (!built || self.has_all(&octets)).then_some(octets)
    }

    fn is_whole(&self, repository: &str, image: &BlobDigest) -> bool {
        self.manifest(repository, image.hex()).is_some()
    }

    fn has_all(&self, manifest: &[u8]) -> bool {
        let here = |manifest: ImageManifest| {
            manifest.blobs().all(|blob| self.blobs().size(&blob.digest) == Some(blob.bytes))
        };
        ImageManifest::read(manifest).is_some_and(here)
    }

    /// Removes what the disk has changed of an image's blobs; tells whether there was any.
    async fn drop_rotten(&self, repository: &str, image: &BlobDigest) -> Result<bool, BuildError> {
        let Some(digest) = self.tags().find(repository, image.hex()) else { return Ok(false) };
        let octets = self.blobs().read_small(&digest, MANIFEST_BYTES_MAX).unwrap_or_default();
        let mut rotten = self.blobs().drop_if_rotten(&digest).await?;
        for blob in ImageManifest::read(&octets).iter().flat_map(ImageManifest::blobs) {
            rotten |= self.blobs().drop_if_rotten(&blob.digest).await?;
        }
        Ok(rotten)
    }
}

fn is_built(repository: &str) -> bool {
    repository.starts_with(BUILT)
}

/// The image of a deployment, and the repository that it has in every node's registry.
fn image_of(state: &State, deployment: &Deployment) -> Option<(String, BlobDigest)> {
    let Some(Artifact::Image { id }) = &deployment.artifact else { return None };
    let project = state.projects.get(&deployment.project)?;
    Some((repository(project.name.as_str()), BlobDigest::read(id)?))
}

/// Remembers that it was Temps that put an image into the engine, and may remove it.
pub(crate) fn note_pulled(folder: &Path, image: &BlobDigest) -> Result<(), BuildError> {
    let noted = fs::create_dir_all(folder).and_then(|()| fs::write(folder.join(image.hex()), ""));
    noted.map_err(|source| BuildError::Write { what: "which images were pulled", source })
}
