//! The rows of the state in one sled database, and beside them how far the log was applied.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sled::{Batch, Db, Mode};
use temps_state::{FORMAT, Row, RowError};

use super::contained::contained;
use crate::content::{Content, Position, Tally};
use crate::folder::{make_dir, sync_dir};

/// What sled may keep in memory; the state itself is in memory anyway.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How often sled writes out in the background. It also frees space only then, so this is never off.
const FLUSH_EVERY_MS: u64 = 500;
/// The key of the row that says what the others are; no table's key begins so.
const SUMMARY: &[u8] = b"\0summary";
/// How many rows go into one batch when the whole state is replaced.
const REPLACE_ROWS: usize = 1000;
/// The file that sled writes and locks.
const FILE: &str = "db";
/// How long the threads of a database that was just closed may take to let go of it.
const RELEASE_WAIT: Duration = Duration::from_secs(2);
const RELEASE_POLL: Duration = Duration::from_millis(10);

#[derive(Serialize, Deserialize)]
struct Summary {
    position: Position,
    tally: Tally,
}

/// An open database.
pub struct Rows {
    disk: Disk,
    tally: Tally,
}

/// What makes an open database durable. Clones share it.
#[derive(Clone)]
pub struct Disk {
    db: Db,
    /// Our own handle of the file that sled writes: sled's flush does not wait for the disk, `fdatasync` does, and it
    /// is the file that is synced, not the handle.
    file: Arc<File>,
}

/// Why a database cannot be loaded.
pub enum LoadError {
    /// Its rows are not what was written.
    Damaged(String),
    /// They are, by a version that this one is too old for; the newest format among them.
    Newer(u8),
    /// The disk refuses; the rows may be fine.
    Io(io::Error),
}

impl Rows {
    /// Opens the database in `dir`, made if missing, and reads all of it.
    ///
    /// sled answers damage with an error or with a panic; both count.
    pub fn load(dir: &Path) -> Result<(Self, Content), LoadError> {
        contained(|| try_load(dir))
            .unwrap_or_else(|| Err(LoadError::Damaged("reading it panicked".into())))
    }

    /// A new database in `dir` with this content, durable. What was there goes, once nobody has it open any more.
    pub fn create(dir: &Path, content: &Content) -> io::Result<Self> {
        empty(dir)?;
        let (mut rows, _) = Self::load(dir)?;
        let written = rows.replace(content).and_then(|()| rows.disk.sync());
        rows.open_if(written)
    }

    /// Writes what changed together with the new position: all of it or, after a crash, nothing.
    pub fn write(&mut self, rows: &[Row], position: &Position) -> io::Result<()> {
        let (db, mut tally) = (&self.disk.db, self.tally);
        self.tally = guarded(db, || {
            let mut batch = Batch::default();
            for row in rows {
                add(db, &mut batch, &mut tally, row)?;
            }
            batch.insert(SUMMARY, summary(position, tally));
            db.apply_batch(batch)?;
            Ok(tally)
        })?;
        Ok(())
    }

    /// Replaces everything. A crash on the way leaves rows that do not match their summary.
    pub fn replace(&mut self, content: &Content) -> io::Result<()> {
        let db = &self.disk.db;
        self.tally = guarded(db, || {
            db.clear()?;
            let rows = content.state.rows();
            for chunk in rows.chunks(REPLACE_ROWS) {
                let mut batch = Batch::default();
                for row in chunk {
                    batch.insert(row.key.as_bytes(), row.value.as_deref().unwrap_or_default());
                }
                db.apply_batch(batch)?;
            }
            let tally = Tally::of(&rows);
            db.insert(SUMMARY, summary(&content.position, tally))?;
            Ok(tally)
        })?;
        Ok(())
    }

    /// What makes it durable, for use while more is written.
    pub fn disk(&self) -> Disk {
        self.disk.clone()
    }

    /// The database if it could be written, else closed.
    pub fn open_if(self, written: io::Result<()>) -> io::Result<Self> {
        match written {
            Ok(()) => Ok(self),
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    /// Closes the database; what could not be written is given up.
    pub fn close(self) {
        // Closing syncs, and sled panics where that fails.
        let _ = contained(|| drop(self));
    }
}

impl Disk {
    /// Makes everything written so far durable. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        guarded(&self.db, || self.db.flush())?;
        self.file.sync_data()
    }
}

/// Removes what is in the folder of a database, once nobody has it open any more: `WouldBlock` if that takes long.
pub fn empty(dir: &Path) -> io::Result<()> {
    let _locked = released(&dir.join(FILE))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Returns once nobody has the database open any more: `WouldBlock` if that takes long.
pub fn await_release(dir: &Path) -> io::Result<()> {
    released(&dir.join(FILE)).map(drop)
}

/// The database's file, if there is one, locked as sled locks it.
fn released(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let deadline = Instant::now() + RELEASE_WAIT;
    while let Err(error) = file.try_lock() {
        if Instant::now() >= deadline {
            return Err(error.into());
        }
        std::thread::sleep(RELEASE_POLL);
    }
    Ok(Some(file))
}

fn add(db: &Db, batch: &mut Batch, tally: &mut Tally, row: &Row) -> sled::Result<()> {
    let key = row.key.as_bytes();
    if let Some(old) = db.get(key)? {
        tally.remove(key, &old);
    }
    match &row.value {
        Some(value) => {
            tally.add(key, value);
            batch.insert(key, value.as_slice());
        }
        None => batch.remove(key),
    }
    Ok(())
}

/// sled answers some errors of the disk with a panic; here they are errors like the others. The first error that a
/// write meets in the background is kept by sled and is the cause of all later ones, whatever they look like.
fn guarded<T>(db: &Db, work: impl FnOnce() -> sled::Result<T>) -> io::Result<T> {
    let failed = match contained(work) {
        Some(Ok(done)) => return Ok(done),
        Some(Err(error)) => to_io(error),
        None => io::Error::other("the state's store panicked"),
    };
    Err(db.context.global_error().map_or_else(to_io, |()| failed))
}

fn summary(position: &Position, tally: Tally) -> Vec<u8> {
    let summary = Summary { position: position.clone(), tally };
    serde_json::to_vec(&summary).expect("a summary is plain JSON")
}

fn try_load(dir: &Path) -> Result<(Rows, Content), LoadError> {
    make_dir(dir).map_err(|error| LoadError::Io(io::Error::other(error)))?;
    let db = open_db(dir)?;
    let file = Arc::new(File::open(dir.join(FILE)).map_err(LoadError::Io)?);
    sync_dir(dir).map_err(LoadError::Io)?;
    let (content, tally) = read_all(&db)?;
    Ok((Rows { disk: Disk { db, file }, tally }, content))
}

fn open_db(dir: &Path) -> Result<Db, LoadError> {
    let config = sled::Config::new()
        .path(dir)
        .mode(Mode::LowSpace)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    let deadline = Instant::now() + RELEASE_WAIT;
    loop {
        match config.open() {
            Ok(db) => return Ok(db),
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                std::thread::sleep(RELEASE_POLL);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// sled has no error of its own for this.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if e.to_string().contains("could not acquire lock"))
}

fn read_all(db: &Db) -> Result<(Content, Tally), LoadError> {
    let (mut content, mut tally, mut found) = (Content::default(), Tally::default(), None);
    let mut newer = None;
    for row in db.iter() {
        let (key, value) = row?;
        if key == SUMMARY {
            found = Some(serde_json::from_slice::<Summary>(&value).map_err(damaged)?);
            continue;
        }
        tally.add(&key, &value);
        let text = str::from_utf8(&key).map_err(damaged)?;
        match content.state.restore(text, &value) {
            Err(RowError::Format { found }) if found > FORMAT => newer = newer.max(Some(found)),
            restored => restored.map_err(damaged)?,
        }
    }
    match found {
        Some(summary) if summary.tally == tally => {
            content.position = summary.position;
            newer.map_or(Ok((content, tally)), |found| Err(LoadError::Newer(found)))
        }
        None if tally == Tally::default() => Ok((content, tally)),
        _ => Err(LoadError::Damaged("its rows are not those that were written".into())),
    }
}

fn damaged(error: impl std::error::Error) -> LoadError {
    LoadError::Damaged(error.to_string())
}

impl From<sled::Error> for LoadError {
    fn from(error: sled::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
        match error {
            sled::Error::Io(error) => match error.kind() {
                InvalidData | InvalidInput | NotFound | UnexpectedEof => damaged(error),
                _ => Self::Io(error),
            },
            error => damaged(error),
        }
    }
}

impl From<LoadError> for io::Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Io(error) => error,
            LoadError::Damaged(damage) => Self::other(damage),
            LoadError::Newer(found) => Self::other(RowError::Format { found }),
        }
    }
}

fn to_io(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
