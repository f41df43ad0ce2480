//! Removes blobs and tags that nothing here needs.

use std::collections::BTreeSet;
use std::io;
use std::time::SystemTime;

use temps_state::{Artifact, NodeId, State};

use super::{Grace, Needed};
use crate::tags::BUILT;
use crate::{BlobDigest, Blobs, Tag, Tags};

/// What may have become needless.
pub(crate) struct Garbage<'a> {
    pub(crate) blobs: &'a Blobs,
    pub(crate) tags: &'a Tags,
    pub(crate) grace: Grace,
    /// What is known to be forgotten.
    pub(crate) gone: &'a Needed,
}

impl Garbage<'_> {
    /// Removes the tags of built images that are needless here, then all blobs that no tag and no source leads to. What
    /// people pushed stays until they remove its tag.
    pub(crate) fn sweep(&self, needed: &Needed, state: &State, me: NodeId) -> io::Result<()> {
        let kept = kept(needed, state, me);
        let mut reached: BTreeSet<BlobDigest> =
            needed.uploads.iter().filter_map(|digest| BlobDigest::read(digest)).collect();
        // What was only of use for what is forgotten.
        let mut loose: BTreeSet<BlobDigest> =
            self.gone.uploads.iter().filter_map(|digest| BlobDigest::read(digest)).collect();
        for tag in self.tags.list()? {
            if self.is_needless(&tag, &kept) {
                self.blobs.reach(&tag.manifest, &mut loose);
                self.tags.remove(&tag.repository, &tag.tag)?;
            } else {
                self.blobs.reach(&tag.manifest, &mut reached);
            }
        }
        for (digest, at) in self.blobs.list()? {
            if !reached.contains(&digest) && self.is_old(at, loose.contains(&digest)) {
                self.blobs.remove(&digest)?;
            }
        }
        Ok(())
    }

    fn is_needless(&self, tag: &Tag, kept: &BTreeSet<&str>) -> bool {
        let built = tag.repository.starts_with(BUILT);
        let is_gone = self.gone.images.contains(&format!("sha256:{}", tag.tag));
        built && !kept.contains(tag.tag.as_str()) && self.is_old(tag.set_at, is_gone)
    }

    fn is_old(&self, at: SystemTime, is_gone: bool) -> bool {
        let grace = if is_gone { self.grace.gone } else { self.grace.unknown };
        at.elapsed().is_ok_and(|age| age >= grace)
    }
}

/// The images, by the digits of their id, that are needed and that the cluster counts on this node to keep.
fn kept<'a>(needed: &Needed, state: &'a State, me: NodeId) -> BTreeSet<&'a str> {
    let image = |deployment: &'a temps_state::Deployment| match &deployment.artifact {
        Some(Artifact::Image { id }) if needed.images.contains(id) => id.strip_prefix("sha256:"),
        _ => None,
    };
    let held = state.deployments.values().filter(|d| d.holders.contains(&me));
    held.filter_map(image).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::tests::{deployment, image};
    use super::*;
    use temps_state::{Phase, Source};

    const ME: NodeId = NodeId(1);

    /// Keeps an image of one layer under a tag; gives its id and its layer.
    fn add(blobs: &Blobs, tags: &Tags, repository: &str, tag: &str) -> (String, BlobDigest) {
        let config = blobs.put_octets(format!("config {repository} {tag}").as_bytes()).unwrap();
        let layer = blobs.put_octets(format!("layer {repository} {tag}").as_bytes()).unwrap();
        let of = |digest: &BlobDigest| json!({"digest": digest.to_string(), "size": 1});
        let manifest =
            json!({"schemaVersion": 2, "config": of(&config), "layers": [of(&layer)]}).to_string();
        let manifest = blobs.put_octets(manifest.as_bytes()).unwrap();
        let tag = if repository.starts_with(BUILT) { config.hex() } else { tag };
        tags.set(repository, tag, &manifest).unwrap();
        (config.to_string(), layer)
    }

    #[test]
    fn what_deployments_need_here_and_what_people_pushed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, tags) =
            (Blobs::open(folder.path()).unwrap(), Tags::open(folder.path()).unwrap());
        let mut state = State::default();
        let names = ["live", "elsewhere", "cancelled", "unknown"];
        let built = names.map(|name| add(&blobs, &tags, "temps/web", name));
        let (_, pushed) = add(&blobs, &tags, "team/app", "1");
        let upload = blobs.put_octets(b"source").unwrap();
        let stray = blobs.put_octets(b"stray").unwrap();
        let cancelled = Phase::Cancelled { reason: String::new() };
        for (n, phase, holder) in
            [(0, Phase::Live, ME), (1, Phase::Kept, NodeId(2)), (2, cancelled, ME)]
        {
            let artifact = Artifact::Image { id: built[n as usize].0.clone() };
            let source = Source::Upload { digest: "0".into() };
            let mut deployment = deployment(n, phase, source, Some(artifact));
            deployment.holders.insert(holder);
            state.deployments.insert(deployment.id, deployment);
        }
        let source = Source::Upload { digest: upload.hex().into() };
        let queued = deployment(9, Phase::Queued, source, image(9));
        state.deployments.insert(queued.id, queued);
        let needed = Needed::of(&state);
        let none = Needed::default();
        let sweep = |unknown, gone: &Needed| {
            let grace = Grace { unknown, gone: Duration::ZERO };
            Garbage { blobs: &blobs, tags: &tags, grace, gone }.sweep(&needed, &state, ME)
        };
        let there = |digest: &BlobDigest| blobs.has(digest);
        let kept = || built.iter().map(|(_, layer)| there(layer)).collect::<Vec<_>>();

        let minute = Duration::from_secs(60);
        sweep(minute, &none).unwrap();
        assert!(kept().iter().all(|kept| *kept) && there(&stray), "they are young");
        let deleted = [&built[0].0, &built[3].0].map(Clone::clone).into();
        let gone =
            Needed { images: deleted, uploads: [upload.hex().into()].into(), ..none.clone() };
        sweep(minute, &gone).unwrap();
        assert_eq!(kept(), [true, true, true, false], "only what is gone, and not needed");
        assert!(there(&upload) && there(&stray));
        sweep(Duration::ZERO, &none).unwrap();
        assert_eq!(kept(), [true, false, false, false]);
        assert!(there(&pushed) && there(&upload) && !there(&stray));
        assert_eq!(tags.of("temps/web").len(), 1);
        tags.remove("team/app", "1").unwrap();
        sweep(Duration::ZERO, &none).unwrap();
        assert!(!there(&pushed));
    }
}
