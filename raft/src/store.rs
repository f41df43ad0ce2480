//! The state on disk, in sled: rows, and in the same batch how far the log was applied.
//!
//! Nothing here must survive a loss of power, since snapshot and log give it again; so it is written without sync, and
//! a folder that does not read back exactly what was written is set aside. For the same reason a disk without room
//! does not stop the node: the store stays behind, and is written anew when there is room.

mod rows;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use temps_state::Row;
use tracing::{debug, error, info, warn};

use crate::RaftError;
use crate::content::{Content, Position};
use crate::folder::{FolderLock, sync_dir};
use crate::room::{ROOM_FOR_CHANGES_BYTES, has_room, lacks_room};
use rows::{LoadError, Rows};

/// How many folders that were set aside are kept.
const SET_ASIDE_MAX: usize = 3;
/// How long a store that is behind and found no room waits before it tries again.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

// Fields drop in order: the folder is free only once the database is closed.
struct Shared {
    kept: Mutex<Kept>,
    dir: PathBuf,
    _folder: FolderLock,
}

struct Kept {
    /// What the store holds, or is to hold.
    newest: Content,
    standing: Standing,
}

/// How the database stands to the newest content.
enum Standing {
    /// It has it.
    Current(Rows),
    /// There was no room for it. There is no database until there is.
    Behind { try_at: Instant },
    /// Somebody writes a new one.
    CatchingUp,
}

/// What a store held when it was opened.
pub struct Opened {
    pub store: Store,
    pub content: Content,
}

impl Store {
    /// Opens the store in `dir`. One that is damaged, or whose position is not `plausible`, is set aside and begun
    /// anew, empty.
    pub fn open(
        dir: &Path,
        folder: FolderLock,
        plausible: impl Fn(&Position) -> bool,
    ) -> Result<Opened, RaftError> {
        let (rows, content) = load(dir, plausible)?;
        let kept = Kept { newest: content.clone(), standing: Standing::Current(rows) };
        let shared = Shared { kept: Mutex::new(kept), dir: dir.into(), _folder: folder };
        Ok(Opened { store: Self { shared: Arc::new(shared) }, content })
    }

    /// Writes what changed to make `next`. Without room for it the store falls behind; any other error is final.
    pub fn write(&self, rows: &[Row], next: &Content) -> io::Result<()> {
        let mut kept = self.lock()?;
        kept.newest = next.clone();
        let Standing::Current(current) = &mut kept.standing else { return Ok(()) };
        let written = current.write(rows, &next.position);
        kept.settle(written)
    }

    /// Replaces everything, as [`write`](Self::write) does a part.
    pub fn replace(&self, content: &Content) -> io::Result<()> {
        let mut kept = self.lock()?;
        kept.newest = content.clone();
        let Standing::Current(current) = &mut kept.standing else { return Ok(()) };
        let written = current.replace(content);
        kept.settle(written)
    }

    /// Makes everything written so far durable; without room the store is behind afterwards. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        self.catch_up()?;
        let disk = match &self.lock()?.standing {
            Standing::Current(rows) => rows.disk(),
            Standing::Behind { .. } | Standing::CatchingUp => return Ok(()),
        };
        let synced = disk.sync();
        drop(disk);
        self.lock()?.settle(synced)
    }

    /// Whether the store is behind, and has not tried to catch up for a while.
    pub fn is_due(&self) -> io::Result<bool> {
        let kept = self.lock()?;
        Ok(matches!(kept.standing, Standing::Behind { try_at } if try_at <= Instant::now()))
    }

    /// Writes a store that is behind anew if there is room. Others may write meanwhile. Blocks.
    pub fn catch_up(&self) -> io::Result<()> {
        let Some(content) = self.lock()?.begin() else { return Ok(()) };
        let created = create(&self.shared.dir, &content);
        let mut kept = self.lock()?;
        let caught_up = kept.end(&content, created);
        if matches!(kept.standing, Standing::Current(_)) {
            let index = kept.newest.position.index();
            info!(folder = %self.shared.dir.display(), index, "the state on disk has caught up");
        }
        caught_up
    }

    fn lock(&self) -> io::Result<MutexGuard<'_, Kept>> {
        self.shared.kept.lock().map_err(|_| io::Error::other("the state's store has failed"))
    }
}

impl Kept {
    /// Falls behind if that is what an outcome means.
    fn settle(&mut self, outcome: io::Result<()>) -> io::Result<()> {
        match outcome {
            Err(error) if lacks_room(&error) => self.fall_behind(&error),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        Ok(())
    }

    fn fall_behind(&mut self, error: &io::Error) {
        let behind = Standing::Behind { try_at: Instant::now() };
        match std::mem::replace(&mut self.standing, behind) {
            Standing::Current(rows) => rows.close(),
            // Somebody else noticed first.
            other => return self.standing = other,
        }
        warn!(
            %error, index = self.newest.position.index(),
            "the disk is full and the state on disk falls behind: log and memory have everything, \
             and it is written anew when there is room"
        );
    }

    /// What to write if the store is behind; whoever gets it must [`end`](Self::end).
    fn begin(&mut self) -> Option<Content> {
        let Standing::Behind { .. } = self.standing else { return None };
        self.standing = Standing::CatchingUp;
        Some(self.newest.clone())
    }

    /// Adds what changed since the beginning.
    fn end(&mut self, content: &Content, created: io::Result<Rows>) -> io::Result<()> {
        let changes = self.newest.state.changes_since(&content.state);
        let written = created.and_then(|mut rows| {
            let written = rows.write(&changes, &self.newest.position);
            rows.open_if(written)
        });
        self.standing = Standing::Behind { try_at: Instant::now() + TRY_EVERY };
        match written {
            Ok(rows) => self.standing = Standing::Current(rows),
            Err(error) if is_passing(&error) => debug!(%error, "the state on disk stays behind"),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A new database, if that leaves the log its room. One that was begun in vain leaves nothing behind.
fn create(dir: &Path, content: &Content) -> io::Result<Rows> {
    let rows = content.state.rows();
    let bytes = rows.iter().map(|row| row.key.len() + row.value.as_ref().map_or(0, Vec::len));
    if !has_room(dir, ROOM_FOR_CHANGES_BYTES + bytes.sum::<usize>() as u64) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let created = Rows::create(dir, content);
    if created.as_ref().is_err_and(lacks_room) {
        rows::empty(dir)?;
    }
    created
}

/// Whether it may go better later: there is no room, or the database that was closed is still in use.
fn is_passing(error: &io::Error) -> bool {
    lacks_room(error) || error.kind() == io::ErrorKind::WouldBlock
}

fn load(dir: &Path, plausible: impl Fn(&Position) -> bool) -> Result<(Rows, Content), RaftError> {
    let damage = match Rows::load(dir) {
        Ok((rows, content)) if plausible(&content.position) => return Ok((rows, content)),
        Ok((_, content)) => {
            format!("its last applied entry, {}, is not in the log", content.position.index())
        }
        Err(LoadError::Damaged(damage)) => damage,
        Err(LoadError::Io(source)) => return Err(RaftError::Store { path: dir.into(), source }),
    };
    let aside = set_aside(dir).map_err(RaftError::file("set aside", dir))?;
    error!(
        folder = %dir.display(), set_aside = %aside.display(), %damage,
        "the state on disk is damaged: set aside, and rebuilt from snapshot and log"
    );
    Rows::load(dir).map_err(|error| RaftError::Store { path: dir.into(), source: error.into() })
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
