//! What the tags of a repository lead to, and getting it here.

use std::collections::BTreeSet;

use jiff::Timestamp;
use temps_builder::{BlobDigest, BuildError, MANIFEST_BYTES_MAX, copies};
use temps_state::{NodeId, State};

use super::error::Refusal;
use super::{Registry, is_built};

/// Of how many tags the manifests are asked of other nodes for one request, newest tags first.
pub const MANIFESTS_ASKED_MAX: usize = 100;

/// A manifest that a tag means.
struct Root {
    manifest: BlobDigest,
    holders: BTreeSet<NodeId>,
}

impl Registry {
    /// The nodes that have a blob or manifest which a tag of the repository leads to; `None` when none does. Other
    /// blobs, such as sources, are none of its readers' business.
    pub async fn leads_to(
        &self,
        state: &State,
        repository: &str,
        digest: &BlobDigest,
    ) -> Option<BTreeSet<NodeId>> {
        let mut unread = Vec::new();
        for root in self.roots(state, repository) {
            match self.reaches(&root, digest) {
                (true, _) => return Some(root.holders),
                (false, true) => {}
                (false, false) => unread.push(root),
            }
        }
        let me = self.cluster.node_id();
        for root in unread.into_iter().take(MANIFESTS_ASKED_MAX) {
            let candidates = copies::candidates(state, me, &root.holders);
            let read = self.builder.obtain_manifests(&root.manifest, &candidates).await;
            if read.is_ok() && self.reaches(&root, digest).0 {
                return Some(root.holders);
            }
        }
        None
    }

    /// Whether a tag leads to a digest, and whether all its manifests are here to say so.
    fn reaches(&self, root: &Root, digest: &BlobDigest) -> (bool, bool) {
        let mut reached = BTreeSet::new();
        let whole = self.builder.blobs().reach(&root.manifest, &mut reached);
        (reached.contains(digest), whole)
    }

    /// What the tags of a repository mean, newest first.
    fn roots(&self, state: &State, repository: &str) -> Vec<Root> {
        if is_built(repository) {
            let holders = copies::holders_of(state, repository, None);
            let tags = self.builder.tags().of(repository).into_iter();
            return tags
                .map(|tag| Root { manifest: tag.manifest, holders: holders.clone() })
                .collect();
        }
        let mut roots: Vec<(Timestamp, Root)> = Vec::new();
        for (_, tag) in state.tags_of(repository) {
            if let Some(manifest) = BlobDigest::read(&tag.manifest) {
                roots.push((tag.set_at, Root { manifest, holders: tag.holders.clone() }));
            }
        }
        roots.sort_by_key(|(set_at, _)| std::cmp::Reverse(*set_at));
        roots.into_iter().map(|(_, root)| root).collect()
    }

    /// Gets a blob of a tag, unless it is here.
    pub async fn get(
        &self,
        state: &State,
        digest: &BlobDigest,
        holders: &BTreeSet<NodeId>,
    ) -> Result<(), Refusal> {
        let candidates = copies::candidates(state, self.cluster.node_id(), holders);
        match self.builder.obtain(digest, &candidates).await {
            Err(BuildError::BlobMissing { asked, .. }) => {
                Err(Refusal::out_of_reach(digest, &asked))
            }
            obtained => Ok(obtained?),
        }
    }

    /// A manifest that is here.
    pub fn read_manifest(&self, digest: &BlobDigest) -> Result<Vec<u8>, Refusal> {
        let octets = self.builder.blobs().read_small(digest, MANIFEST_BYTES_MAX);
        octets.ok_or_else(|| Refusal::unknown_manifest("the manifest is not here any more"))
    }
}
