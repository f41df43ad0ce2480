//! What is being pushed to this node: no tag leads to it yet, and it must stay.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::BlobDigest;
use crate::garbage::GRACE_SECONDS;

/// How many repositories are remembered; the one that was quiet the longest goes first.
pub const PUSHES_MAX: usize = 256;
/// How many blobs of a repository are remembered. What is beyond stays as long as anything that just came.
pub const PUSHED_BLOBS_MAX: usize = 2_000;

/// The pushes; cheap to clone.
#[derive(Clone, Default)]
pub struct Pushes {
    known: Arc<Mutex<HashMap<String, Push>>>,
}

struct Push {
    seen: Instant,
    blobs: BTreeSet<BlobDigest>,
}

impl Push {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.seen) >= Duration::from_secs(GRACE_SECONDS)
    }
}

impl Pushes {
    /// Something is still coming for a repository.
    pub fn go_on(&self, repository: &str) {
        self.note(repository, None, Instant::now());
    }

    /// Whoever pushes to a repository counts on a blob.
    pub fn count_on(&self, repository: &str, digest: &BlobDigest) {
        self.note(repository, Some(digest), Instant::now());
    }

    /// A tag leads to these now, and keeps them.
    pub fn settle(&self, repository: &str, blobs: &BTreeSet<BlobDigest>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(push) = known.get_mut(repository) {
            push.blobs.retain(|digest| !blobs.contains(digest));
        }
    }

    /// All blobs that are counted on.
    pub(crate) fn blobs(&self) -> BTreeSet<BlobDigest> {
        self.blobs_at(Instant::now())
    }

    fn note(&self, repository: &str, digest: Option<&BlobDigest>, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, push| !push.is_over(now));
        if !known.contains_key(repository) && known.len() >= PUSHES_MAX {
            let quiet = known.iter().min_by_key(|(_, push)| push.seen);
            if let Some(quiet) = quiet.map(|(name, _)| name.clone()) {
                known.remove(&quiet);
            }
        }
        let new = || Push { seen: now, blobs: BTreeSet::new() };
        let push = known.entry(repository.into()).or_insert_with(new);
        push.seen = now;
        if push.blobs.len() < PUSHED_BLOBS_MAX {
            push.blobs.extend(digest.cloned());
        }
    }

    fn blobs_at(&self, now: Instant) -> BTreeSet<BlobDigest> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let going_on = known.values().filter(|push| !push.is_over(now));
        going_on.flat_map(|push| push.blobs.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_stays_until_its_repository_was_quiet_for_long() {
        let (pushes, began) = (Pushes::default(), Instant::now());
        let after = |grace: f64| began + Duration::from_secs(GRACE_SECONDS).mul_f64(grace);
        let digest = BlobDigest::of(b"layer");
        pushes.note("a", Some(&digest), began);
        assert!(pushes.blobs_at(after(0.9)).contains(&digest));
        pushes.note("a", None, after(0.9));
        pushes.note("b", None, after(0.9));
        assert!(pushes.blobs_at(after(1.8)).contains(&digest), "a long layer may follow it");
        assert!(pushes.blobs_at(after(2.0)).is_empty());
        let other = BlobDigest::of(b"of another tag");
        for digest in [&digest, &other] {
            pushes.note("a", Some(digest), after(0.9));
        }
        pushes.settle("a", &[digest.clone()].into());
        assert_eq!(pushes.blobs_at(after(0.9)), [other].into());
        for n in 0..2 * PUSHES_MAX {
            pushes.note(&n.to_string(), Some(&digest), after(0.9));
        }
        assert_eq!(pushes.known.lock().unwrap().len(), PUSHES_MAX);
    }
}
