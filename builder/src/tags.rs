//! The names of built images in the node's registry: which manifest a repository's tag means. One small file each. What
//! the tags of pushed images mean is in the state.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use temps_state::{is_repository, is_tag};

use crate::BlobDigest;

/// The repositories of built images begin with this; they are written by nodes only.
pub const BUILT: &str = "temps/";
/// The most tags that a node keeps; each may be the root of an image.
pub const TAGS_MAX: usize = 10_000;
/// Stands for the `/` of a repository's name, which may not have it.
const SLASH: &str = "+";

/// The tags; cheap to clone.
#[derive(Clone)]
pub struct Tags {
    folder: Arc<Path>,
}

/// A tag and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The manifest.
    pub manifest: BlobDigest,
    /// When it was set.
    pub set_at: SystemTime,
}

impl Tags {
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("registry");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder: folder.into() })
    }

    /// The manifest that a tag means.
    pub fn find(&self, repository: &str, tag: &str) -> Option<BlobDigest> {
        let text = fs::read_to_string(self.path(repository, tag)?).ok()?;
        BlobDigest::read(text.trim())
    }

    /// Sets a tag; its manifest must be among the blobs. A name that is none is an [`io::ErrorKind::InvalidInput`].
    pub fn set(&self, repository: &str, tag: &str, manifest: &BlobDigest) -> io::Result<()> {
        let path = self.path(repository, tag).ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().unwrap_or(&path);
        if !path.exists() && self.list()?.len() >= TAGS_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        fs::create_dir_all(folder)?;
        let draft = tempfile::NamedTempFile::new_in(&*self.folder)?;
        fs::write(draft.path(), manifest.to_string())?;
        draft.persist(path).map(drop).map_err(|failed| failed.error)
    }

    /// Removes a tag; tells whether it was there.
    pub fn remove(&self, repository: &str, tag: &str) -> io::Result<bool> {
        let Some(path) = self.path(repository, tag) else { return Ok(false) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            removed => removed?,
        }
        // Only an empty one goes.
        let _ = fs::remove_dir(path.parent().unwrap_or(&path));
        Ok(true)
    }

    /// The tags of a repository, in order.
    pub fn of(&self, repository: &str) -> Vec<Tag> {
        let read = self.repository(repository).map(|folder| self.read(&folder, repository));
        read.unwrap_or_default()
    }

    /// All tags.
    pub fn list(&self) -> io::Result<Vec<Tag>> {
        let mut tags = Vec::new();
        // Somebody may have removed it under the running node.
        fs::create_dir_all(&self.folder)?;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if let (true, Some(name)) = (entry.path().is_dir(), entry.file_name().to_str()) {
                tags.extend(self.read(&entry.path(), &name.replace(SLASH, "/")));
            }
        }
        Ok(tags)
    }

    fn read(&self, folder: &Path, repository: &str) -> Vec<Tag> {
        let Ok(entries) = fs::read_dir(folder) else { return vec![] };
        let read = |entry: fs::DirEntry| {
            let tag = entry.file_name().into_string().ok()?;
            let manifest = self.find(repository, &tag)?;
            let set_at = entry.metadata().ok()?.modified().ok()?;
            Some(Tag { repository: repository.into(), tag, manifest, set_at })
        };
        let mut tags: Vec<_> = entries.flatten().filter_map(read).collect();
        tags.sort_by(|a, b| a.tag.cmp(&b.tag));
        tags
    }

    fn path(&self, repository: &str, tag: &str) -> Option<PathBuf> {
        is_tag(tag).then_some(())?;
        Some(self.repository(repository)?.join(tag))
    }

    fn repository(&self, repository: &str) -> Option<PathBuf> {
        is_repository(repository).then(|| self.folder.join(repository.replace('/', SLASH)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_means_what_was_set_last() {
        let folder = tempfile::tempdir().unwrap();
        let tags = Tags::open(folder.path()).unwrap();
        let (one, two) = (BlobDigest::of(b"1"), BlobDigest::of(b"2"));
        tags.set("a/b", "x", &one).unwrap();
        tags.set("a/b", "x", &two).unwrap();
        tags.set("a", "b", &one).unwrap();
        assert_eq!((tags.find("a/b", "x"), tags.find("a", "b")), (Some(two), Some(one)));
        assert_eq!((tags.of("a/b").len(), tags.list().unwrap().len()), (1, 2));
        assert!(tags.remove("a/b", "x").unwrap() && !tags.remove("a/b", "x").unwrap());
        assert_eq!(tags.find("a/b", "x"), None);
        assert!(tags.set("a/../b", "x", &BlobDigest::of(b"1")).is_err());
    }
}
