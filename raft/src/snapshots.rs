//! The snapshots of a node: files that are either good or ignored, and snapshots on their way between nodes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tracing::{info, warn};

use crate::RaftError;
use crate::content::Content;
use crate::folder::{make_dir, sync_dir, write_file};
use crate::room::{ROOM_FOR_REPORTS_BYTES, has_room, lacks_room};
use crate::snapshot::{SnapshotError, check, decode, encode};
use crate::types::SnapshotMeta;

/// How many snapshots are kept: if the newest is damaged, the one before it and the log still give the state.
const KEPT: usize = 2;
const EXTENSION: &str = "snapshot";

/// A snapshot as Raft hands it around.
pub enum Image {
    /// To be sent, should anybody need it.
    Saved(Saved),
    /// To be saved and installed.
    Received(Box<Content>),
}

/// A file that was good when it was last looked at.
#[derive(Debug, Clone)]
pub struct Saved {
    /// What it covers.
    pub meta: SnapshotMeta,
    path: PathBuf,
    spoiled: Arc<AtomicBool>,
}

/// Why a snapshot that arrived is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It did not arrive as it was sent, or is of a version that is not known here.
    #[error("the snapshot cannot be read")]
    Damaged(#[from] SnapshotError),
    /// It covers something else than its sender says.
    #[error("the snapshot is not the one that was announced")]
    Other,
}

impl Image {
    /// What another node sent: it must be whole, and cover what that node says. Blocks.
    pub fn receive(meta: &SnapshotMeta, octets: &[u8]) -> Result<Self, ReceiveError> {
        let content = decode(octets)?;
        match content.position.meta() == *meta {
            true => Ok(Self::Received(Box::new(content))),
            false => Err(ReceiveError::Other),
        }
    }

    /// The octets to send. Blocks.
    pub fn octets(&self) -> Result<Bytes, SnapshotError> {
        match self {
            Self::Saved(saved) => saved.read(),
            Self::Received(content) => Ok(encode(content).into()),
        }
    }

    /// What to install. Blocks.
    pub fn into_content(self) -> Result<Content, SnapshotError> {
        match self {
            Self::Saved(saved) => decode(&saved.read()?),
            Self::Received(content) => Ok(*content),
        }
    }
}

/// The folder that the snapshots are in. Clones share it.
#[derive(Debug, Clone)]
pub struct Snapshots {
    dir: PathBuf,
    newest: Arc<Mutex<Option<Saved>>>,
    /// Held by whoever writes; whether anybody still may.
    open: Arc<Mutex<bool>>,
}

impl Snapshots {
    /// Opens the folder; what a crash left half written goes.
    pub fn open(dir: PathBuf) -> Result<Self, RaftError> {
        make_dir(&dir)?;
        let snapshots = Self { dir, newest: Arc::default(), open: Arc::new(Mutex::new(true)) };
        snapshots.remove_halves()?;
        Ok(snapshots)
    }

    fn remove_halves(&self) -> Result<(), RaftError> {
        for half in self.files("tmp").map_err(RaftError::file("list", &self.dir))? {
            fs::remove_file(&half).map_err(RaftError::file("remove", &half))?;
        }
        Ok(())
    }

    /// Writes a snapshot; it is durable on return. Older ones than the kept go.
    pub fn save(&self, content: &Content) -> Result<Saved, RaftError> {
        let octets = encode(content);
        let _turn = self.turn()?;
        self.write(content, &octets)
    }

    /// The same, but `None`, and nothing is left of it, when that would not leave the log its room.
    pub fn save_if_room(&self, content: &Content) -> io::Result<Option<Saved>> {
        let octets = encode(content);
        if !self.has_room(octets.len() as u64) {
            return Ok(None);
        }
        let _turn = self.turn().map_err(io::Error::other)?;
        match self.write(content, &octets) {
            Ok(saved) => Ok(Some(saved)),
            Err(RaftError::File { source, .. }) if lacks_room(&source) => {
                self.remove_halves().map_err(io::Error::other)?;
                Ok(None)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Writes no more files from now on. Blocks while one is being written.
    pub fn close(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn turn(&self) -> Result<MutexGuard<'_, bool>, RaftError> {
        let turn = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let stopped = || io::Error::other("the node has stopped");
        match *turn {
            true => Ok(turn),
            false => Err(RaftError::file("write to", &self.dir)(stopped())),
        }
    }

    /// Whether so many octets would leave the log its room.
    pub fn has_room(&self, octets: u64) -> bool {
        has_room(&self.dir, ROOM_FOR_REPORTS_BYTES.saturating_add(octets))
    }

    fn write(&self, content: &Content, octets: &[u8]) -> Result<Saved, RaftError> {
        let index = content.position.index();
        let path = self.dir.join(format!("{index:020}.{EXTENSION}"));
        write_file(&path, octets)?;
        self.remove_old().map_err(RaftError::file("clear", &self.dir))?;
        info!(index, bytes = octets.len(), "snapshot written");
        let saved = Saved::new(content, path);
        let mut newest = self.lock();
        if newest.as_ref().is_none_or(|newest| newest.meta.last_log_id <= saved.meta.last_log_id) {
            *newest = Some(saved.clone());
        }
        Ok(saved)
    }

    /// The newest good snapshot. Reads no file that was found good before. Else blocks.
    pub fn newest(&self) -> Result<Option<Saved>, RaftError> {
        let known = self.lock().clone().filter(Saved::is_good);
        if known.is_some() {
            return Ok(known);
        }
        let found = self.find()?;
        self.lock().clone_from(&found);
        Ok(found)
    }

    /// Damaged ones are passed over.
    fn find(&self) -> Result<Option<Saved>, RaftError> {
        let files = self.files(EXTENSION).map_err(RaftError::file("list", &self.dir))?;
        Ok(files.into_iter().rev().find_map(|file| match read(&file) {
            Ok(content) => Some(Saved::new(&content, file)),
            Err(error) => {
                warn!(file = %file.display(), %error, "snapshot ignored; the one before it is used");
                None
            }
        }))
    }

    fn remove_old(&self) -> io::Result<()> {
        let files = self.files(EXTENSION)?;
        let old = files.len().saturating_sub(KEPT);
        for file in &files[..old] {
            fs::remove_file(file)?;
        }
        sync_dir(&self.dir)
    }

    /// The files with an extension, oldest first.
    fn files(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.dir)?.map(|entry| entry.map(|entry| entry.path()));
        let mut files: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
        files.retain(|file| file.extension().is_some_and(|found| found == extension));
        files.sort();
        Ok(files)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Saved>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saved {
    fn new(content: &Content, path: PathBuf) -> Self {
        Self { meta: content.position.meta(), path, spoiled: Arc::default() }
    }

    fn is_good(&self) -> bool {
        !self.spoiled.load(Ordering::Relaxed) && self.path.exists()
    }

    /// What is in the file. One that was damaged meanwhile is not used again. Blocks.
    pub fn read(&self) -> Result<Bytes, SnapshotError> {
        let read = fs::read(&self.path).map_err(SnapshotError::from);
        let checked = read.and_then(|octets| check(&octets).map(drop).map(|()| octets.into()));
        if checked.is_err() {
            self.spoiled.store(true, Ordering::Relaxed);
        }
        checked
    }
}

fn read(file: &Path) -> Result<Content, SnapshotError> {
    decode(&fs::read(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::content;

    fn opened() -> (tempfile::TempDir, Snapshots) {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path().into()).unwrap();
        (dir, snapshots)
    }

    fn index(saved: Option<Saved>) -> Option<u64> {
        saved.and_then(|saved| saved.meta.last_log_id).map(|id| id.index)
    }

    #[test]
    fn a_torn_snapshot_is_passed_over_and_two_are_kept() {
        let (dir, snapshots) = opened();
        assert!(snapshots.newest().unwrap().is_none());
        for index in [1, 2, 3] {
            snapshots.save(&content(index)).unwrap();
        }
        let files = snapshots.files(EXTENSION).unwrap();
        assert_eq!(files.len(), KEPT);
        fs::write(&files[1], b"TEMPSNAP torn").unwrap();
        let again = Snapshots::open(dir.path().into()).unwrap();
        assert_eq!(index(again.newest().unwrap()), Some(2));
    }

    #[test]
    fn a_snapshot_that_was_damaged_since_is_not_sent_and_passed_over() {
        let (_dir, snapshots) = opened();
        snapshots.save(&content(1)).unwrap();
        let saved = snapshots.save(&content(2)).unwrap();
        assert_eq!(decode(&saved.read().unwrap()).unwrap(), content(2));
        fs::write(&saved.path, b"TEMPSNAP torn").unwrap();
        assert_eq!(index(snapshots.newest().unwrap()), Some(2), "nobody has looked");
        assert!(saved.read().is_err());
        assert_eq!(index(snapshots.newest().unwrap()), Some(1));
    }

    #[test]
    fn what_arrives_is_taken_if_it_is_whole_and_what_was_announced() {
        let (sent, octets) = (content(7), encode(&content(7)));
        let meta = sent.position.meta();
        let torn = Image::receive(&meta, &octets[..octets.len() - 1]);
        assert!(matches!(torn, Err(ReceiveError::Damaged(_))));
        let other = Image::receive(&content(8).position.meta(), &octets);
        assert!(matches!(other, Err(ReceiveError::Other)));
        let taken = Image::receive(&meta, &octets).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(taken.octets().unwrap(), octets);
        assert_eq!(taken.into_content().unwrap(), sent);
    }

    #[test]
    fn an_older_snapshot_that_comes_late_is_not_the_newest() {
        let (_dir, snapshots) = opened();
        snapshots.save(&content(7)).unwrap();
        snapshots.save(&content(5)).unwrap();
        assert_eq!(index(snapshots.newest().unwrap()), Some(7));
    }
}
