//! The state on disk, in sled: rows, and in the same batch how far the log was applied.
//!
//! Nothing here must survive a loss of power, since snapshot and log give it again; so it is written without sync, and
//! a folder that does not read back exactly what was written is set aside. For the same reason a disk without room
//! does not stop the node: the store stays behind, and is written anew when there is room.

mod contained;
pub mod rows;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use temps_state::Row;
use tracing::{debug, error, info, warn};

use crate::RaftError;
use crate::content::{Content, Position};
use crate::folder::{FolderLock, sync_dir};
use crate::room::{ROOM_FOR_CHANGES_BYTES, has_room, lacks_room};
use rows::LoadError;
#[cfg(not(test))]
use rows::{Rows, await_release, empty};

#[cfg(test)]
use crate::simulation::{Rows, await_release, empty};

/// How many folders that were set aside are kept.
const SET_ASIDE_MAX: usize = 3;
/// How long a store that is behind and found no room waits before it tries again.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` once it is closed.
    kept: Mutex<Option<Kept>>,
    dir: PathBuf,
}

// Fields drop in order: the folder is free only once the database is closed.
struct Kept {
    /// What the store holds, or is to hold.
    newest: Content,
    standing: Standing,
    folder: FolderLock,
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
    /// anew, empty; an error of `plausible` leaves it as it is.
    pub fn open(
        dir: &Path,
        folder: FolderLock,
        plausible: impl Fn(&Position) -> Result<bool, RaftError>,
    ) -> Result<Opened, RaftError> {
        let (rows, content) = load(dir, plausible)?;
        let kept = Kept { newest: content.clone(), standing: Standing::Current(rows), folder };
        let shared = Shared { kept: Mutex::new(Some(kept)), dir: dir.into() };
        Ok(Opened { store: Self { shared: Arc::new(shared) }, content })
    }

    /// Writes what changed to make `next`. Without room for it the store falls behind; any other error is final.
    pub fn write(&self, rows: &[Row], next: &Content) -> io::Result<()> {
        self.with(|kept| {
            kept.newest = next.clone();
            let Standing::Current(current) = &mut kept.standing else { return Ok(()) };
            let written = current.write(rows, &next.position);
            kept.settle(written)
        })
    }

    /// Replaces everything, as [`write`](Self::write) does a part.
    pub fn replace(&self, content: &Content) -> io::Result<()> {
        self.with(|kept| {
            kept.newest = content.clone();
            let Standing::Current(current) = &mut kept.standing else { return Ok(()) };
            let written = current.replace(content);
            kept.settle(written)
        })
    }

    /// Makes everything written so far durable; without room the store is behind afterwards. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        self.catch_up()?;
        let disk = self.with(|kept| match &kept.standing {
            Standing::Current(rows) => Ok(Some(rows.disk())),
            Standing::Behind { .. } | Standing::CatchingUp => Ok(None),
        })?;
        let Some(disk) = disk else { return Ok(()) };
        let synced = disk.sync();
        drop(disk);
        self.with(|kept| kept.settle(synced))
    }

    /// Lets go of the files, whoever else has the store: from now on every call fails. `WouldBlock` where somebody still
    /// uses them after a while. Blocks.
    pub fn close(&self) -> io::Result<()> {
        let kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Kept { standing, folder, .. }) = kept else { return Ok(()) };
        if let Standing::Current(rows) = standing {
            rows.close();
        }
        let freed = await_release(&self.shared.dir);
        drop(folder);
        freed
    }

    /// Whether the store is behind, and has not tried to catch up for a while.
    pub fn is_due(&self) -> io::Result<bool> {
        self.with(|kept| {
            Ok(matches!(kept.standing, Standing::Behind { try_at } if try_at <= Instant::now()))
        })
    }

    /// Writes a store that is behind anew if there is room. Others may write meanwhile. Blocks.
    pub fn catch_up(&self) -> io::Result<()> {
        // The folder is not free before what is begun here has ended.
        let begun =
            self.with(|kept| Ok(kept.begin().map(|content| (content, kept.folder.clone()))));
        let Some((content, _folder)) = begun? else { return Ok(()) };
        let mut created = Some(create(&self.shared.dir, &content));
        let ended = self.with(|kept| {
            let Some(created) = created.take() else { return Ok(()) };
            let caught_up = kept.end(&content, created);
            if matches!(kept.standing, Standing::Current(_)) {
                let index = kept.newest.position.index();
                info!(folder = %self.shared.dir.display(), index, "the state on disk has caught up");
            }
            caught_up
        });
        // The store was closed meanwhile.
        if let Some(Ok(rows)) = created {
            rows.close();
        }
        ended
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> io::Result<T>) -> io::Result<T> {
        let failed = |_| io::Error::other("the state's store has failed");
        let mut kept = self.shared.kept.lock().map_err(failed)?;
        let closed =
            || io::Error::other("the state's store is closed, because the node has stopped");
        work(kept.as_mut().ok_or_else(closed)?)
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
        empty(dir)?;
    }
    created
}

/// Whether it may go better later: there is no room, or the database that was closed is still in use.
fn is_passing(error: &io::Error) -> bool {
    lacks_room(error) || error.kind() == io::ErrorKind::WouldBlock
}

fn load(
    dir: &Path,
    plausible: impl Fn(&Position) -> Result<bool, RaftError>,
) -> Result<(Rows, Content), RaftError> {
    let damage = match Rows::load(dir) {
        Ok((rows, content)) if plausible(&content.position)? => return Ok((rows, content)),
        Ok((_, content)) => {
            format!("its last applied entry, {}, is not in the log", content.position.index())
        }
        Err(LoadError::Damaged(damage)) => damage,
        Err(LoadError::Newer(found)) => {
            return Err(RaftError::StateFormat { path: dir.into(), found });
        }
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
