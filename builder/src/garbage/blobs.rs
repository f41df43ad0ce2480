//! Removes blobs and tags that nothing here needs.

use std::collections::BTreeSet;
use std::io;
use std::time::SystemTime;

use temps_state::{Artifact, NodeId, State};

use super::{Grace, Needed};
use crate::tags::BUILT;
use crate::{BlobDigest, Blobs, Tag, Tags, copies};

/// What may have become needless.
pub(crate) struct Garbage<'a> {
    pub(crate) blobs: &'a Blobs,
    pub(crate) tags: &'a Tags,
    /// Blobs that are being pushed.
    pub(crate) pushed: BTreeSet<BlobDigest>,
    pub(crate) grace: Grace,
    /// What is known to be forgotten.
    pub(crate) gone: &'a Needed,
}

impl Garbage<'_> {
    /// Removes the tags on this disk that are needless, which are those of built images alone, then all blobs that no tag
    /// and no source leads to. What people pushed stays where the cluster counts on it.
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
        let pushed = state.image_tags.values().filter(|tag| copies::keeps(state, me, tag));
        for manifest in pushed.filter_map(|tag| BlobDigest::read(&tag.manifest)) {
            self.blobs.reach(&manifest, &mut reached);
        }
        reached.extend(self.pushed.iter().cloned());
        loose.extend(self.forgotten(&reached));
        for (digest, at) in self.blobs.list()? {
            let is_needed = reached.contains(&digest);
            if !is_needed && self.is_old(at, loose.contains(&digest)) && self.is_still(&digest, at)
            {
                self.blobs.remove(&digest)?;
            }
        }
        Ok(())
    }

    /// What the forgotten manifests lead to. All of it or nothing: without its manifest nobody knows where a layer belongs.
    fn forgotten(&self, reached: &BTreeSet<BlobDigest>) -> BTreeSet<BlobDigest> {
        let is_ripe = |digest: &BlobDigest| {
            let at = self.blobs.counted_on_at(digest);
            reached.contains(digest) || at.is_none_or(|at| self.is_old(at, true))
        };
        let mut forgotten = BTreeSet::new();
        for manifest in self.gone.manifests.iter().filter_map(|digest| BlobDigest::read(digest)) {
            let mut below = BTreeSet::new();
            self.blobs.reach(&manifest, &mut below);
            if below.iter().all(is_ripe) {
                forgotten.append(&mut below);
            }
        }
        forgotten
    }

    fn is_needless(&self, tag: &Tag, kept: &BTreeSet<&str>) -> bool {
        let built = tag.repository.starts_with(BUILT);
        let is_gone = self.gone.images.contains(&format!("sha256:{}", tag.tag));
        let needed = built && kept.contains(tag.tag.as_str());
        !needed && self.is_old(tag.set_at, is_gone)
    }

    /// Whether nobody has come to count on a blob meanwhile.
    fn is_still(&self, digest: &BlobDigest, at: SystemTime) -> bool {
        self.blobs.counted_on_at(digest).is_none_or(|now| now <= at)
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

    use jiff::Timestamp;
    use serde_json::json;
    use temps_state::{Actor, ImageTag, Node, Phase, Source, TagName};

    use super::super::tests::{deployment, image};
    use super::*;

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

    fn image_tag(manifest: &BlobDigest) -> ImageTag {
        ImageTag {
            manifest: manifest.hex().into(),
            set_at: Timestamp::UNIX_EPOCH,
            set_by: Actor::Node { id: ME },
            holders: [ME].into(),
        }
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
        let (_, older) = add(&blobs, &tags, "team/older", "1");
        let tag = tags.find("team/app", "1").unwrap();
        state.image_tags.insert("team/app:1".parse().unwrap(), image_tag(&tag));
        let pushing = blobs.put_octets(b"pushing").unwrap();
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
            let pushed = BTreeSet::from([pushing.clone()]);
            Garbage { blobs: &blobs, tags: &tags, pushed, grace, gone }.sweep(&needed, &state, ME)
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
        assert!(
            !there(&older),
            "only an older version kept what was pushed under tags of the disk"
        );
        assert!(there(&pushing) && tags.list().unwrap().len() == 1);
    }

    #[test]
    fn what_people_pushed_stays_where_the_cluster_counts_on_it_or_too_few_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, tags) =
            (Blobs::open(folder.path()).unwrap(), Tags::open(folder.path()).unwrap());
        let (_, layer) = add(&blobs, &tags, "team/app", "1");
        let manifest = tags.find("team/app", "1").unwrap();
        tags.remove("team/app", "1").unwrap();
        let name: TagName = "team/app:1".parse().unwrap();
        let mut state = State::default();
        state.image_tags.insert(name.clone(), image_tag(&manifest));
        let elsewhere = [NodeId(2), NodeId(3)];
        for id in elsewhere {
            state.nodes.insert(id, Node::new(id, "other", Timestamp::UNIX_EPOCH));
        }
        let none = Needed::default();
        let minute = Duration::from_secs(60);
        let stays = |state: &State, unknown, gone: &Needed| {
            let grace = Grace { unknown, gone: Duration::ZERO };
            let garbage = Garbage { blobs: &blobs, tags: &tags, pushed: [].into(), grace, gone };
            garbage.sweep(&none, state, ME).unwrap();
            blobs.has(&layer)
        };
        assert!(stays(&state, Duration::ZERO, &none), "the cluster counts on this node");
        let mut shared = state.clone();
        shared.image_tags.get_mut(&name).unwrap().holders = elsewhere.into();
        assert!(stays(&shared, minute, &none), "somebody may just pull it");
        shared.nodes.get_mut(&NodeId(2)).unwrap().lost_since = Some(Timestamp::UNIX_EPOCH);
        assert!(stays(&shared, Duration::ZERO, &none), "only one other is there");
        state.image_tags.clear();
        let gone = Needed { manifests: [manifest.hex().into()].into(), ..none.clone() };
        assert!(stays(&state, minute, &none), "it is young");
        let later = std::time::SystemTime::now() + minute;
        let file = std::fs::File::options().append(true).open(blobs.path(&layer)).unwrap();
        file.set_modified(later).unwrap();
        assert!(stays(&state, minute, &gone) && blobs.has(&manifest), "somebody counts on a layer");
        file.set_modified(later - minute).unwrap();
        assert!(!stays(&state, minute, &gone) && !blobs.has(&manifest), "its tag is gone");
    }
}
