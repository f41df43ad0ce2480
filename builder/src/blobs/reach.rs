//! What a manifest leads to.

use std::collections::BTreeSet;

use super::{BlobDigest, Blobs};
use crate::oci::{ImageManifest, MANIFEST_BYTES_MAX};

/// The deepest that manifests name manifests.
pub(crate) const MANIFESTS_NESTED_MAX: usize = 4;

impl Blobs {
    /// Adds a manifest and all blobs and manifests that it leads to, whether they are here or not. `false` when a
    /// manifest is not here, so that there may be more.
    pub fn reach(&self, manifest: &BlobDigest, reached: &mut BTreeSet<BlobDigest>) -> bool {
        self.reach_below(manifest, MANIFESTS_NESTED_MAX, reached)
    }

    fn reach_below(
        &self,
        manifest: &BlobDigest,
        depth: usize,
        reached: &mut BTreeSet<BlobDigest>,
    ) -> bool {
        if !reached.insert(manifest.clone()) || depth == 0 {
            return true;
        }
        let Some(octets) = self.read_small(manifest, MANIFEST_BYTES_MAX) else { return false };
        let Some(read) = ImageManifest::read(&octets) else { return true };
        reached.extend(read.blobs().map(|blob| blob.digest.clone()));
        let mut whole = true;
        for inner in &read.manifests {
            whole &= self.reach_below(&inner.digest, depth - 1, reached);
        }
        whole
    }
}
