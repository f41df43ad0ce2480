//! The data folder: made once, used by one process at a time, every name in it durable.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::RaftError;
use crate::planted::{self, Bug};

/// How long a start waits for the process before it to let go of the folder.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(10);

/// The paths in a data folder that belong to this crate.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The data folder itself.
    pub root: PathBuf,
}

impl Folder {
    pub fn key(&self) -> PathBuf {
        self.root.join("cluster.key")
    }

    pub fn node_key(&self) -> PathBuf {
        self.root.join("node.key")
    }

    pub fn certificate(&self) -> PathBuf {
        self.root.join("node.crt")
    }

    pub fn authority(&self) -> PathBuf {
        self.root.join("ca.crt")
    }

    pub fn raft(&self) -> PathBuf {
        self.root.join("raft")
    }

    pub fn identity(&self) -> PathBuf {
        self.raft().join("node.json")
    }

    pub fn log(&self) -> PathBuf {
        self.raft().join("log")
    }

    pub fn state(&self) -> PathBuf {
        self.raft().join("state")
    }

    pub fn snapshots(&self) -> PathBuf {
        self.raft().join("snapshots")
    }

    /// Takes the folder for this process; another one that is just ending gets a moment to let go.
    pub fn lock(&self) -> Result<FolderLock, RaftError> {
        make_dir(&self.root)?;
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(RaftError::file("open", &path))?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => return Err(self.locked(&mut file)),
                Err(TryLockError::Error(e)) => return Err(RaftError::file("lock", &path)(e)),
            }
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(RaftError::file("write", &path))?;
        Ok(FolderLock { _held: Arc::new(Held(file)) })
    }

    fn locked(&self, file: &mut File) -> RaftError {
        let mut by = String::new();
        // The number only helps to find the process; without it the error says enough.
        let _ = file.read_to_string(&mut by);
        RaftError::Locked { path: self.root.clone(), by: by.trim().parse().ok() }
    }
}

/// Held by everything that has files open in the folder; the last one gone frees it.
#[derive(Clone)]
pub struct FolderLock {
    _held: Arc<Held>,
}

struct Held(File);

impl Drop for Held {
    /// Unlocked rather than only closed: a process that is just being started may have a copy of the handle.
    fn drop(&mut self) {
        // Where that fails, closing frees it in a moment.
        let _ = self.0.unlock();
    }
}

/// Makes a folder whose name survives a loss of power.
pub fn make_dir(path: &Path) -> Result<(), RaftError> {
    fs::create_dir_all(path).map_err(RaftError::file("create", path))?;
    let parents = path.ancestors().skip(1).take(2).filter(|p| !p.as_os_str().is_empty());
    parents
        .map(Path::to_path_buf)
        .try_for_each(|parent| sync_dir(&parent).map_err(RaftError::file("sync", &parent)))
}

/// Makes the names in a folder durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a whole file so that after a crash it is there completely, or not at all. Only its owner may read it.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), RaftError> {
    let half = path.with_extension("tmp");
    let written = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        file.write_all(bytes)?;
        if !planted::is(Bug::SnapshotNotSynced) {
            file.sync_all()?;
        }
        fs::rename(&half, path)?;
        path.parent().map_or(Ok(()), sync_dir)
    };
    written().map_err(RaftError::file("write", path))
}
