//! Images of the cluster's own registry, as deployments name them. Pure.

use temps_state::{State, TagName};

use crate::tags::BUILT;
use crate::{BlobDigest, copies};

/// The host that stands for the registry of whichever node gets the image.
pub const OWN_REGISTRY: &str = "registry.temps.internal";
/// What a reference without a tag means.
const LATEST: &str = "latest";

/// An image of the cluster's own registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnImage {
    /// The repository.
    pub repository: String,
    /// The tag; not needed beside a digest.
    tag: Option<String>,
    /// The manifest.
    digest: Option<BlobDigest>,
}

impl OwnImage {
    /// Reads a reference; `None` when it is of another registry, as `is_own` judges by its host and port.
    pub fn read(reference: &str, is_own: impl Fn(&str) -> bool) -> Option<Self> {
        let (host, path) = reference.split_once('/')?;
        let names_host = host.contains(['.', ':']) || host == "localhost";
        (names_host && is_own(host)).then(|| Self::of(path)).flatten()
    }

    fn of(path: &str) -> Option<Self> {
        let (rest, digest) = match path.split_once('@') {
            Some((rest, digest)) => (rest, Some(BlobDigest::read(digest)?)),
            None => (path, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, digest.is_none().then(|| LATEST.to_owned())),
        };
        TagName::new(repository, tag.as_deref().unwrap_or(LATEST))?;
        Some(Self { repository: repository.into(), tag, digest })
    }

    /// What any node finds it by, as deployments keep it.
    pub fn reference(&self) -> String {
        format!("{OWN_REGISTRY}/{}", self.name())
    }

    /// The same without the registry: `repository:tag`, or `repository@digest`.
    pub fn name(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("{}@{digest}", self.repository),
            (None, tag) => format!("{}:{}", self.repository, tag.as_deref().unwrap_or(LATEST)),
        }
    }

    /// Whether the cluster knows of it. What is named by a digest is known when the repository has anything.
    pub fn is_known(&self, state: &State) -> bool {
        let tag = self.tag.as_deref().filter(|_| self.digest.is_none());
        let pushed = match tag.map(|tag| TagName::new(&self.repository, tag)) {
            Some(name) => name.is_some_and(|name| state.image_tags.contains_key(&name)),
            None => state.tags_of(&self.repository).next().is_some(),
        };
        let built = self.repository.starts_with(BUILT);
        pushed || (built && !copies::holders_of(state, &self.repository, tag).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{Actor, ImageTag, NodeId};

    use super::*;

    fn read(reference: &str) -> Option<OwnImage> {
        OwnImage::read(reference, |host| host == OWN_REGISTRY || host == "node:3000")
    }

    #[test]
    fn references_to_the_own_registry_are_told_from_others() {
        let digest = BlobDigest::of(b"x");
        for (reference, name) in [
            ("node:3000/shop/web:1", Some("shop/web:1".to_owned())),
            ("node:3000/web", Some("web:latest".into())),
            ("registry.temps.internal/web:2", Some("web:2".into())),
            (&format!("node:3000/web@{digest}"), Some(format!("web@{digest}"))),
            (&format!("node:3000/web:1@{digest}"), Some(format!("web@{digest}"))),
            ("node:3001/web:1", None),
            ("nginx:stable", None),
            ("team/app:1", None),
            ("node:3000/Web:1", None),
            ("node:3000/web@sha256:1", None),
            ("node:3000/", None),
        ] {
            assert_eq!(read(reference).map(|image| image.name()), name, "{reference}");
        }
        let image = read("node:3000/shop/web:1").unwrap();
        assert_eq!(read(&image.reference()), Some(image));
    }

    #[test]
    fn what_nobody_pushed_is_not_known() {
        let mut state = State::default();
        let tag = ImageTag {
            manifest: "0".repeat(64),
            set_at: Timestamp::UNIX_EPOCH,
            set_by: Actor::Node { id: NodeId(1) },
            holders: Default::default(),
        };
        state.image_tags.insert("web:1".parse().unwrap(), tag);
        let digest = BlobDigest::of(b"x");
        let known = |path: &str| read(&format!("node:3000/{path}")).unwrap().is_known(&state);
        assert!(known("web:1") && known(&format!("web@{digest}")));
        assert!(!known("web") && !known("other:1") && !known(&format!("other@{digest}")));
        assert!(!known("temps/web:1"));
    }
}
