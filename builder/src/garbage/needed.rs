//! What deployments need to stay, and what they have at all.

use std::collections::{BTreeMap, BTreeSet};

use temps_state::{Artifact, Deployment, EnvironmentId, Phase, Source, State};

/// Of each environment, how many deployments that are out of service keep their artifact, for later rollbacks.
pub const RETIRED_KEPT: usize = 5;

/// What must stay, or may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needed {
    /// Images by id.
    pub images: BTreeSet<String>,
    /// Static sites by digest.
    pub sites: BTreeSet<String>,
    /// Uploads by digest.
    pub uploads: BTreeSet<String>,
    /// Logs by the name of their file.
    pub logs: BTreeSet<String>,
    /// Manifests that the tags of pushed images mean, by digest.
    pub manifests: BTreeSet<String>,
}

impl Needed {
    /// What the deployments of a state need, and its tags.
    pub fn of(state: &State) -> Self {
        let mut needed = Self { manifests: manifests(state), ..Self::default() };
        let mut out_of_service: BTreeMap<EnvironmentId, usize> = BTreeMap::new();
        for deployment in state.deployments.values().rev() {
            needed.logs.insert(format!("{}.jsonl", deployment.id));
            if let (Source::Upload { digest }, true) =
                (&deployment.source, deployment.phase.is_under_way())
            {
                needed.uploads.insert(digest.clone());
            }
            if let Some(artifact) = &deployment.artifact {
                let seen = out_of_service.entry(deployment.environment).or_default();
                if is_needed(deployment, seen) {
                    needed.insert(artifact);
                }
            }
        }
        needed
    }

    /// Everything that the deployments of a state were made of and made, needed or not, and what its tags mean.
    pub fn mentioned(state: &State) -> Self {
        let mut mentioned = Self { manifests: manifests(state), ..Self::default() };
        for deployment in state.deployments.values() {
            mentioned.logs.insert(format!("{}.jsonl", deployment.id));
            if let Source::Upload { digest } = &deployment.source {
                mentioned.uploads.insert(digest.clone());
            }
            deployment.artifact.iter().for_each(|artifact| mentioned.insert(artifact));
        }
        mentioned
    }

    /// What is here and not in another one.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            images: &self.images - &other.images,
            sites: &self.sites - &other.sites,
            uploads: &self.uploads - &other.uploads,
            logs: &self.logs - &other.logs,
            manifests: &self.manifests - &other.manifests,
        }
    }

    /// What is here or in another one.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.images.extend(other.images);
        self.sites.extend(other.sites);
        self.uploads.extend(other.uploads);
        self.logs.extend(other.logs);
        self.manifests.extend(other.manifests);
        self
    }

    /// Whether an artifact is here.
    pub fn has(&self, artifact: &Artifact) -> bool {
        match artifact {
            Artifact::Image { id } => self.images.contains(id),
            Artifact::Static { digest, .. } => self.sites.contains(digest),
        }
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn insert(&mut self, artifact: &Artifact) {
        match artifact {
            Artifact::Image { id } => self.images.insert(id.clone()),
            Artifact::Static { digest, .. } => self.sites.insert(digest.clone()),
        };
    }
}

fn manifests(state: &State) -> BTreeSet<String> {
    state.image_tags.values().map(|tag| tag.manifest.clone()).collect()
}

/// Newest first; `seen` counts an environment's deployments that are out of service.
fn is_needed(deployment: &Deployment, seen: &mut usize) -> bool {
    if deployment.phase.is_under_way() || deployment.phase.holds_replicas() {
        return true;
    }
    if deployment.phase != Phase::Retired {
        return false;
    }
    *seen += 1;
    *seen <= RETIRED_KEPT
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deployment, image};
    use super::*;

    fn upload(n: u64) -> Source {
        Source::Upload { digest: format!("{n}") }
    }

    #[test]
    fn what_serves_may_serve_or_is_on_its_way_is_needed() {
        let mut state = State::default();
        let cancelled = || Phase::Cancelled { reason: String::new() };
        for n in 1..=8 {
            let retired = deployment(n, Phase::Retired, upload(n), image(n));
            state.deployments.insert(retired.id, retired);
        }
        let site = Artifact::Static { digest: "site".into(), single_page: false };
        for other in [
            deployment(20, cancelled(), upload(20), image(20)),
            deployment(21, Phase::Kept, upload(21), Some(site)),
            deployment(22, Phase::Live, upload(22), image(22)),
            deployment(23, Phase::Starting, upload(23), image(23)),
            deployment(24, Phase::Queued, upload(24), None),
        ] {
            state.deployments.insert(other.id, other);
        }
        let needed = Needed::of(&state);
        let images: Vec<_> = needed.images.iter().map(String::as_str).collect();
        let expected =
            ["sha256:22", "sha256:23", "sha256:4", "sha256:5", "sha256:6", "sha256:7", "sha256:8"];
        assert_eq!(images, expected);
        assert_eq!(needed.sites, BTreeSet::from(["site".into()]));
        assert_eq!(needed.uploads, BTreeSet::from(["23".into(), "24".into()]));
        assert_eq!(needed.logs.len(), 13);
    }
}
