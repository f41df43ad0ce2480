//! Tags of images that people pushed: which manifest a name means, and which nodes have everything that it leads to.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::SECOND;
use crate::row::Value;
use crate::{Actor, NodeId, Rejected, Reply, State};

/// The most tags of a cluster; each may be the root of an image.
pub const IMAGE_TAGS_MAX: usize = 10_000;
/// The longest name of a repository, in octets.
pub const REPOSITORY_BYTES_MAX: usize = 200;
/// The longest tag, in octets.
pub const TAG_BYTES_MAX: usize = 128;

/// A tag with its repository, `team/app:1.0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagName(String);

/// Why a text is not a [`TagName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a tag with its repository, such as `team/app:1.0`")]
pub struct TagNameError {
    text: String,
}

/// What a tag means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageTag {
    /// SHA-256 of the manifest, in hex.
    pub manifest: String,
    /// When it came to mean that.
    pub set_at: Timestamp,
    /// Who made it mean that.
    pub set_by: Actor,
    /// The nodes that have the manifest and everything that it leads to.
    pub holders: BTreeSet<NodeId>,
}

impl Value for ImageTag {
    fn since(&self) -> u8 {
        SECOND
    }
}

impl TagName {
    /// The name of a repository's tag; `None` when either is none.
    pub fn new(repository: &str, tag: &str) -> Option<Self> {
        (is_repository(repository) && is_tag(tag)).then(|| Self(format!("{repository}:{tag}")))
    }

    /// The repository.
    pub fn repository(&self) -> &str {
        self.parts().0
    }

    /// The tag alone.
    pub fn tag(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        // Neither part has a colon of its own.
        self.0.split_once(':').unwrap_or_default()
    }
}

impl FromStr for TagName {
    type Err = TagNameError;

    fn from_str(text: &str) -> Result<Self, TagNameError> {
        let named = text.split_once(':').and_then(|(repository, tag)| Self::new(repository, tag));
        named.ok_or_else(|| TagNameError { text: text.chars().take(64).collect() })
    }
}

impl TryFrom<String> for TagName {
    type Error = TagNameError;

    fn try_from(text: String) -> Result<Self, TagNameError> {
        text.parse()
    }
}

impl From<TagName> for String {
    fn from(name: TagName) -> Self {
        name.0
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text may name a repository (OCI distribution 1.1, "Pulling manifests").
pub fn is_repository(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let component = |part: &str| {
        let bytes = part.as_bytes();
        let ends = bytes.first().zip(bytes.last());
        ends.is_some_and(|(first, last)| plain(*first) && plain(*last))
            && bytes.iter().all(|b| plain(*b) || b"._-".contains(b))
            && !part.contains("..")
    };
    text.len() <= REPOSITORY_BYTES_MAX && text.split('/').all(component)
}

/// Whether a text may be a tag.
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=TAG_BYTES_MAX).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b".-".contains(&b))
}

impl State {
    /// The tags of a repository, in order.
    pub fn tags_of<'a>(
        &'a self,
        repository: &'a str,
    ) -> impl Iterator<Item = (&'a TagName, &'a ImageTag)> {
        let first = TagName(format!("{repository}:"));
        self.image_tags.range(first..).take_while(move |(name, _)| name.repository() == repository)
    }

    /// Lets a tag mean a manifest, which one node has with everything that it leads to.
    pub(crate) fn set_image_tag(
        &mut self,
        name: TagName,
        manifest: String,
        holder: NodeId,
        by: &Actor,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let is_digest = manifest.len() == 64 && manifest.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_digest {
            let why = "it is named by its SHA-256, 64 hexadecimal digits".into();
            return Err(Rejected::Invalid { what: "manifest".into(), why });
        }
        self.check_holder(holder)?;
        let known = self.image_tags.get(&name);
        if known.is_none() && self.image_tags.len() >= IMAGE_TAGS_MAX {
            return Err(Rejected::TooMany { noun: "image tags".into(), max: IMAGE_TAGS_MAX });
        }
        let same = known.filter(|known| known.manifest == manifest);
        let mut holders = same.map(|known| known.holders.clone()).unwrap_or_default();
        holders.insert(holder);
        let tag = ImageTag { manifest, set_at: at, set_by: by.clone(), holders };
        self.image_tags.insert(name, tag);
        Ok(Reply::Done)
    }

    /// Lets a tag mean nothing any more.
    pub(crate) fn remove_image_tag(&mut self, name: &TagName) -> Result<Reply, Rejected> {
        let removed = self.image_tags.remove(name);
        removed.map(|_| Reply::Done).ok_or_else(|| Rejected::not_found("image tag", name))
    }

    /// A node has all that a tag leads to, if it still means that manifest.
    pub(crate) fn hold_image(
        &mut self,
        name: &TagName,
        manifest: &str,
        node: NodeId,
    ) -> Result<Reply, Rejected> {
        self.check_holder(node)?;
        self.change_image_holders(name, manifest, |holders| holders.insert(node))
    }

    /// A node lacks something that a tag leads to.
    pub(crate) fn release_image(
        &mut self,
        name: &TagName,
        manifest: &str,
        node: NodeId,
    ) -> Result<Reply, Rejected> {
        self.change_image_holders(name, manifest, |holders| holders.remove(&node))
    }

    fn change_image_holders(
        &mut self,
        name: &TagName,
        manifest: &str,
        change: impl FnOnce(&mut BTreeSet<NodeId>) -> bool,
    ) -> Result<Reply, Rejected> {
        let tag = self.image_tags.get_mut(name);
        let tag = tag.ok_or_else(|| Rejected::not_found("image tag", name))?;
        if tag.manifest != manifest {
            return Err(Rejected::Changed { row: format!("image_tags/{name}") });
        }
        change(&mut tag.holders);
        Ok(Reply::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for bad in
            ["", "/", "a//b", "../a", "a/..", "A", "a+b", "-a", "a/", "a:b", &"a".repeat(201)]
        {
            assert!(!is_repository(bad), "{bad}");
        }
        for good in ["a", "temps/web", "a.b/c-d/e__f"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a:b", "ä", &"a".repeat(129)] {
            assert!(!is_tag(bad), "{bad}");
        }
        assert!(is_tag("1.0-rc_1"));
        let name: TagName = "team/app:1.0".parse().expect("a name");
        assert_eq!((name.repository(), name.tag()), ("team/app", "1.0"));
        for bad in ["", "app", "app:", ":1", "a:b:c", "a/../b:1"] {
            assert!(bad.parse::<TagName>().is_err(), "{bad}");
        }
    }
}
