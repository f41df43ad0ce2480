//! What a manifest leads to.

use std::collections::BTreeSet;

use super::{BlobDigest, Blobs};
use crate::oci::{ImageManifest, MANIFEST_BYTES_MAX};

/// The deepest that manifests name manifests.
const NESTED_MAX: usize = 4;

impl Blobs {
    /// Adds a manifest and all blobs and manifests that it leads to, whether they are here or not.
    pub fn reach(&self, manifest: &BlobDigest, reached: &mut BTreeSet<BlobDigest>) {
        self.reach_below(manifest, NESTED_MAX, reached);
    }

    fn reach_below(&self, manifest: &BlobDigest, depth: usize, reached: &mut BTreeSet<BlobDigest>) {
        if !reached.insert(manifest.clone()) || depth == 0 {
            return;
        }
        let octets = self.read_small(manifest, MANIFEST_BYTES_MAX).unwrap_or_default();
        if let Some(read) = ImageManifest::read(&octets) {
            reached.extend(read.blobs().map(|blob| blob.digest.clone()));
            for inner in &read.manifests {
                self.reach_below(&inner.digest, depth - 1, reached);
            }
        }
    }
}
