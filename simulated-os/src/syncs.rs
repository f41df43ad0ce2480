//! What was synced, in order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

static NOTED: Mutex<Vec<Synced>> = Mutex::new(Vec::new());

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
    },
    /// A folder had these names, each of a file.
    Folder {
        /// Where it was.
        path: PathBuf,
        /// Its names.
        names: BTreeMap<OsString, u64>,
    },
}

impl Synced {
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

/// Notes a sync; `false` for what has no name.
pub(crate) fn note(file: i32) -> bool {
    let Ok(synced) = look(file) else { return false };
    NOTED.lock().unwrap_or_else(PoisonError::into_inner).push(synced);
    true
}

fn look(file: i32) -> io::Result<Synced> {
    let path = fs::read_link(format!("/proc/self/fd/{file}"))?;
    let known = fs::metadata(&path)?;
    if !known.is_dir() {
        return Ok(Synced::File { path, inode: known.ino(), octets: known.len() });
    }
    let mut names = BTreeMap::new();
    for entry in fs::read_dir(&path)? {
        let entry = entry?;
        names.insert(entry.file_name(), entry.ino());
    }
    Ok(Synced::Folder { path, names })
}
