//! A source tree as detection sees it: small text files by relative path.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The largest file that is read, in octets; a larger one counts as unreadable.
pub const READ_BYTES_MAX: u64 = 4 << 20;
/// How many entries of one folder are looked at.
pub const LIST_MAX: usize = 2_000;

/// A tree of files. Paths are relative to its root, with `/`; the root itself is the empty path.
pub trait SourceTree {
    /// The text of a file; `None` when it is missing, no plain file, or too large.
    fn read(&self, path: &str) -> Option<String>;
    /// Whether there is a file or folder.
    fn exists(&self, path: &str) -> bool;
    /// The names in a folder, sorted; those of folders end in `/`.
    fn list(&self, dir: &str) -> Vec<String>;
}

/// A folder on disk. What leads out of it, by `..` or by symbolic link, is not there.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The tree under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// Where a path is on disk, if it is there and inside.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let plain = |c| matches!(c, Component::Normal(_) | Component::CurDir);
        if !Path::new(path).components().all(plain) {
            return None;
        }
        let root = fs::canonicalize(&self.0).ok()?;
        fs::canonicalize(root.join(path)).ok().filter(|found| found.starts_with(&root))
    }
}

impl SourceTree for Folder {
    fn read(&self, path: &str) -> Option<String> {
        let found = self.locate(path)?;
        let facts = fs::metadata(&found).ok()?;
        if !facts.is_file() || facts.len() > READ_BYTES_MAX {
            return None;
        }
        let text = String::from_utf8_lossy(&fs::read(found).ok()?).into_owned();
        Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    fn exists(&self, path: &str) -> bool {
        self.locate(path).is_some()
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let Some(entries) = self.locate(dir).and_then(|found| fs::read_dir(found).ok()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries.take(LIST_MAX).flatten().filter_map(name).collect();
        names.sort();
        names
    }
}

fn name(entry: fs::DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let folder = entry.file_type().ok()?.is_dir();
    Some(if folder { name + "/" } else { name })
}

/// A tree in memory: text by path.
#[derive(Debug, Clone, Default)]
pub struct FileMap(BTreeMap<String, String>);

impl<P: Into<String>, T: Into<String>> FromIterator<(P, T)> for FileMap {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Self {
        Self(files.into_iter().map(|(path, text)| (path.into(), text.into())).collect())
    }
}

impl SourceTree for FileMap {
    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }

    fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        path.is_empty() || self.0.keys().any(|known| known == path || known.starts_with(&below))
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let dir = dir.trim_end_matches('/');
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let names: BTreeSet<String> = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => rest.to_owned(),
            })
            .collect();
        names.into_iter().collect()
    }
}
