//! Images that people pushed: the state says what their tags mean, and any node gets what it lacks from those who hold it.

use std::collections::BTreeSet;

use bollard::Docker;
use temps_state::{ImageTag, NodeId, State};

use crate::blobs::{MANIFESTS_NESTED_MAX, write_error};
use crate::images::note_pulled;
use crate::oci::MANIFEST_BYTES_MAX;
use crate::pull::ReadyImage;
use crate::{BlobDigest, BuildError, BuildRequest, Builder, ImageManifest, copies};

/// The most manifests of one tag that are looked into.
pub const MANIFESTS_MAX: usize = 1_000;

/// A manifest that is here, with what it says.
type Read = (BlobDigest, ImageManifest);

impl Builder {
    /// Makes sure that this node has everything that a tag leads to, on its disk: `false` when something of it is
    /// neither here nor to be had from anybody.
    pub async fn hold_pushed(
        &self,
        state: &State,
        me: NodeId,
        tag: &ImageTag,
    ) -> Result<bool, BuildError> {
        let Some(manifest) = BlobDigest::read(&tag.manifest) else { return Ok(false) };
        let candidates = copies::candidates(state, me, &tag.holders);
        match self.obtain_pushed(&manifest, &candidates).await {
            Ok(()) if tag.holders.contains(&me) => Ok(true),
            Ok(()) => self.secure(&manifest).await.map(|_| true),
            Err(BuildError::BlobMissing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn obtain_pushed(
        &self,
        manifest: &BlobDigest,
        candidates: &[NodeId],
    ) -> Result<(), BuildError> {
        for (_, read) in self.obtain_manifests(manifest, candidates).await? {
            for blob in read.blobs() {
                if self.blobs().size(&blob.digest).is_some_and(|bytes| bytes != blob.bytes) {
                    self.blobs().remove(&blob.digest).map_err(write_error)?;
                }
                self.obtain(&blob.digest, candidates).await?;
            }
        }
        Ok(())
    }

    /// Gets a manifest, and those that it names, unless they are here.
    pub async fn obtain_manifests(
        &self,
        manifest: &BlobDigest,
        candidates: &[NodeId],
    ) -> Result<Vec<Read>, BuildError> {
        let mut found: Vec<Read> = Vec::new();
        let mut wanted = vec![(manifest.clone(), MANIFESTS_NESTED_MAX)];
        let mut seen = BTreeSet::new();
        while let Some((digest, depth)) = wanted.pop() {
            if seen.len() >= MANIFESTS_MAX || !seen.insert(digest.clone()) {
                continue;
            }
            self.obtain(&digest, candidates).await?;
            let octets = self.blobs().read_small(&digest, MANIFEST_BYTES_MAX).unwrap_or_default();
            let Some(read) = ImageManifest::read(&octets) else { continue };
            if depth > 0 {
                wanted.extend(read.manifests.iter().map(|one| (one.digest.clone(), depth - 1)));
            }
            found.push((digest, read));
        }
        Ok(found)
    }

    /// Returns everything that a manifest leads to when it is safe from a loss of power, as far as it is here.
    pub async fn secure(&self, manifest: &BlobDigest) -> Result<BTreeSet<BlobDigest>, BuildError> {
        let mut reached = BTreeSet::new();
        self.blobs().reach(manifest, &mut reached);
        self.blobs().sync(&reached).await?;
        Ok(reached)
    }

    /// Has the engine get an image of the cluster's own registry, `repository:tag` or `repository@digest`, and gives it
    /// the name that a build would have given it.
    pub(crate) async fn ready_pushed(
        &self,
        docker: &Docker,
        image: &str,
        request: &BuildRequest,
    ) -> Result<ReadyImage, BuildError> {
        let Some(registry) = self.registry() else {
            let detail = "this node has no registry".into();
            return Err(BuildError::ImageNotFound { reference: image.into(), detail });
        };
        let _alone = self.blobs().flights().lock(&format!("pull {image}")).await;
        let (project, tag) = (request.project.as_str(), request.deployment.to_string());
        let ready = registry.pull_pushed(docker, image, project, &tag).await?;
        if let Some(id) = BlobDigest::read(&ready.id) {
            note_pulled(&self.folder("pulled"), &id)?;
        }
        Ok(ready)
    }
}
