//! What was synced, in order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

static REMOVED: OnceLock<PathBuf> = OnceLock::new();
static NOTED: Mutex<Vec<Synced>> = Mutex::new(Vec::new());

/// The files in a folder, by name: which file, and how long it was.
pub type Listing = BTreeMap<OsString, (u64, u64)>;

/// Something that was synced, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synced {
    /// A file was so long.
    File {
        /// Where it was.
        path: PathBuf,
        /// Which file, whatever its name is by now.
        inode: u64,
        /// How long.
        octets: u64,
        /// What else was in its folder then.
        beside: Listing,
    },
    /// A folder had these names, each of a file.
    Folder {
        /// Where it was.
        path: PathBuf,
        /// Its names.
        names: Listing,
    },
}

impl Synced {
    /// The folder whose names it tells, and they.
    pub fn listing(&self) -> (&Path, &Listing) {
        match self {
            Self::File { path, beside, .. } => (path.parent().unwrap_or(path), beside),
            Self::Folder { path, names } => (path, names),
        }
    }

    /// Where it was.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::File { path, .. } | Self::Folder { path, .. } => path,
        }
    }
}

/// What was synced since this was asked last.
pub fn take_syncs() -> Vec<Synced> {
    std::mem::take(&mut *NOTED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Where files that were removed can be had back, each named by its number.
pub(crate) fn keep_removed(folder: PathBuf) {
    REMOVED.get_or_init(|| folder);
}

/// Removes a file, so that it can be had back; `false` where that cannot be.
pub(crate) fn remove(path: &Path) -> bool {
    let Some(folder) = REMOVED.get() else { return false };
    let Ok(known) = fs::symlink_metadata(path) else { return false };
    known.is_file() && fs::rename(path, folder.join(known.ino().to_string())).is_ok()
}

/// Notes a sync; `false` for what has no name.
pub(crate) fn note(file: i32) -> bool {
    let Ok(synced) = look(file) else { return false };
    NOTED.lock().unwrap_or_else(PoisonError::into_inner).push(synced);
    true
}

fn look(file: i32) -> io::Result<Synced> {
    let path = fs::read_link(format!("/proc/self/fd/{file}"))?;
    let known = fs::metadata(&path)?;
    if known.is_dir() {
        return Ok(Synced::Folder { names: list(&path)?, path });
    }
    let beside = list(path.parent().unwrap_or(Path::new("/")))?;
    Ok(Synced::File { path, inode: known.ino(), octets: known.len(), beside })
}

fn list(folder: &Path) -> io::Result<Listing> {
    let mut names = Listing::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let known = entry.metadata()?;
        if known.is_file() {
            names.insert(entry.file_name(), (known.ino(), known.len()));
        }
    }
    Ok(names)
}
