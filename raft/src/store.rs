//! The state on disk, in sled: rows, and in the same batch how far the log was applied.
//!
//! Nothing here must survive a loss of power, since snapshot and log give it again; so it is written without sync, and
//! a folder that does not read back exactly what was written is set aside.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sled::{Batch, Db, Mode};
use temps_state::Row;
use tracing::{error, warn};

use crate::RaftError;
use crate::content::{Content, Position, Tally};
use crate::folder::{FolderLock, make_dir, sync_dir};

/// What sled may keep in memory; the state itself is in memory anyway.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How often sled writes out in the background. It also frees space only then, so this is never off.
const FLUSH_EVERY_MS: u64 = 500;
/// The key of the row that says what the others are; no table's key begins so.
const SUMMARY: &[u8] = b"\0summary";
/// How many rows go into one batch when the whole state is replaced.
const REPLACE_ROWS: usize = 1000;
/// How many folders that were set aside are kept.
const SET_ASIDE_MAX: usize = 3;
/// How long the threads of a store that was just closed may take to let go of it.
const RELEASE_WAIT: Duration = Duration::from_secs(2);
const RELEASE_POLL: Duration = Duration::from_millis(10);

#[derive(Serialize, Deserialize)]
struct Summary {
    position: Position,
    tally: Tally,
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    db: Db,
    /// Our own handle of the file that sled writes: sled's flush does not wait for the disk, `fdatasync` does, and it
    /// is the file that is synced, not the handle.
    file: Arc<File>,
    _folder: FolderLock,
}

/// What a store held when it was opened.
pub struct Opened {
    pub store: Store,
    pub content: Content,
    pub tally: Tally,
}

enum LoadError {
    /// Its rows are not what was written.
    Damaged(String),
    /// The disk refuses; the rows may be fine.
    Io(io::Error),
}

impl Store {
    /// Opens the store in `dir`. One that is damaged, or whose position is not `plausible`, is set aside and begun
    /// anew, empty.
    pub fn open(
        dir: &Path,
        folder: FolderLock,
        plausible: impl Fn(&Position) -> bool,
    ) -> Result<Opened, RaftError> {
        let damage = match load(dir, &folder) {
            Ok(opened) if plausible(&opened.content.position) => return Ok(opened),
            Ok(opened) => {
                let index = opened.content.position.index();
                format!("its last applied entry, {index}, is not in the log")
            }
            Err(LoadError::Damaged(damage)) => damage,
            Err(LoadError::Io(source)) => {
                return Err(RaftError::Store { path: dir.into(), source });
            }
        };
        let aside = set_aside(dir).map_err(RaftError::file("set aside", dir))?;
        error!(
            folder = %dir.display(), set_aside = %aside.display(), %damage,
            "the state on disk is damaged: set aside, and rebuilt from snapshot and log"
        );
        load(dir, &folder).map_err(|error| match error {
            LoadError::Io(source) => RaftError::Store { path: dir.into(), source },
            LoadError::Damaged(damage) => {
                RaftError::Store { path: dir.into(), source: io::Error::other(damage) }
            }
        })
    }

    /// Writes what changed together with the new position: all of it or, after a crash, nothing.
    pub fn write(&self, rows: &[Row], position: &Position, tally: &mut Tally) -> io::Result<()> {
        guarded(|| self.try_write(rows, position, tally))
    }

    fn try_write(&self, rows: &[Row], position: &Position, tally: &mut Tally) -> io::Result<()> {
        let mut batch = Batch::default();
        for row in rows {
            let key = row.key.as_bytes();
            if let Some(old) = self.db.get(key).map_err(to_io)? {
                tally.remove(key, &old);
            }
            match &row.value {
                Some(value) => {
                    tally.add(key, value);
                    batch.insert(key, value.as_slice());
                }
                None => batch.remove(key),
            }
        }
        batch.insert(SUMMARY, summary(position, *tally)?);
        self.db.apply_batch(batch).map_err(to_io)
    }

    /// Replaces everything. A crash on the way leaves rows that do not match their summary.
    pub fn replace(&self, content: &Content) -> io::Result<Tally> {
        guarded(|| self.try_replace(content))
    }

    fn try_replace(&self, content: &Content) -> io::Result<Tally> {
        self.db.clear().map_err(to_io)?;
        let rows = content.state.rows();
        for chunk in rows.chunks(REPLACE_ROWS) {
            let mut batch = Batch::default();
            for row in chunk {
                batch.insert(row.key.as_bytes(), row.value.as_deref().unwrap_or_default());
            }
            self.db.apply_batch(batch).map_err(to_io)?;
        }
        let tally = Tally::of(&rows);
        self.db.insert(SUMMARY, summary(&content.position, tally)?).map_err(to_io)?;
        Ok(tally)
    }

    /// Makes everything written so far durable. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        guarded(|| {
            self.db.flush().map_err(to_io)?;
            self.file.sync_data()
        })
    }
}

/// sled answers some errors of the disk with a panic; here they are errors like the others.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(io::Error::other("the state's store panicked")))
}

fn summary(position: &Position, tally: Tally) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&Summary { position: position.clone(), tally })?)
}

/// sled answers damage with an error or with a panic; both count.
fn load(dir: &Path, folder: &FolderLock) -> Result<Opened, LoadError> {
    catch_unwind(AssertUnwindSafe(|| try_load(dir, folder)))
        .unwrap_or_else(|_| Err(LoadError::Damaged("reading it panicked".into())))
}

fn try_load(dir: &Path, folder: &FolderLock) -> Result<Opened, LoadError> {
    make_dir(dir).map_err(|error| LoadError::Io(io::Error::other(error)))?;
    let db = open_db(dir)?;
    let file = File::open(dir.join("db")).map_err(LoadError::Io)?;
    sync_dir(dir).map_err(LoadError::Io)?;
    let (content, tally) = read_all(&db)?;
    let store = Store { db, file: Arc::new(file), _folder: folder.clone() };
    Ok(Opened { store, content, tally })
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
    for row in db.iter() {
        let (key, value) = row?;
        if key == SUMMARY {
            found = Some(serde_json::from_slice::<Summary>(&value).map_err(damaged)?);
            continue;
        }
        tally.add(&key, &value);
        let text = str::from_utf8(&key).map_err(damaged)?;
        content.state.restore(text, &value).map_err(damaged)?;
    }
    match found {
        Some(summary) if summary.tally == tally => {
            content.position = summary.position;
            Ok((content, tally))
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

fn to_io(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// Renames a folder to `<name>.corrupt-<seconds>`; of such folders only the newest stay.
fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let prefix = format!("{}.corrupt-", dir.file_name().unwrap_or_default().to_string_lossy());
    let parent = dir.parent().unwrap_or(Path::new("."));
    let free = (seconds..).map(|n| parent.join(format!("{prefix}{n}"))).find(|p| !p.exists());
    let aside = free.unwrap_or_else(|| parent.join(prefix.clone()));
    fs::rename(dir, &aside)?;
    let entries = fs::read_dir(parent)?.map(|entry| entry.map(|entry| entry.path()));
    let mut all: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
    all.retain(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    });
    all.sort();
    for old in &all[..all.len().saturating_sub(SET_ASIDE_MAX)] {
        warn!(folder = %old.display(), "removing an old folder that was set aside");
        fs::remove_dir_all(old)?;
    }
    sync_dir(parent)?;
    Ok(aside)
}
