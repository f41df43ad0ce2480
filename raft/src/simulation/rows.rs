//! The rows of a store without sled, whose threads nobody can repeat: in memory, with what sled leaves after a loss of
//! power, which is any number of the newest batches less, or nothing that can be read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use temps_state::Row;

use super::chance::Chance;
use super::disk::Sync;
use super::world::{is_on, world};
use crate::content::{Content, Position, Tally};
use crate::folder::make_dir;
use crate::store::rows::{self as sled_rows, LoadError};

/// The file that tells which rows are in a folder, also where the folder is renamed.
pub const MARK: &str = "rows";
/// How often nothing can be read of rows that were being written.
const DAMAGED_PERCENT: u64 = 8;

/// Rows in sled, as in the product, or simulated.
pub enum Rows {
    Sled(sled_rows::Rows),
    Simulated { dir: PathBuf },
}

/// What makes rows durable.
#[derive(Clone)]
pub enum RowsDisk {
    Sled(sled_rows::Disk),
    Simulated { dir: PathBuf },
}

/// See [`sled_rows::empty`].
pub fn empty(dir: &Path) -> io::Result<()> {
    if is_on() { world().tables.begin(dir).map(drop) } else { sled_rows::empty(dir) }
}

/// See [`sled_rows::await_release`].
pub fn await_release(dir: &Path) -> io::Result<()> {
    if is_on() { Ok(()) } else { sled_rows::await_release(dir) }
}

impl Rows {
    pub fn load(dir: &Path) -> Result<(Self, Content), LoadError> {
        if !is_on() {
            return sled_rows::Rows::load(dir).map(|(rows, content)| (Self::Sled(rows), content));
        }
        make_dir(dir).map_err(|error| LoadError::Io(io::Error::other(error)))?;
        let content = world().tables.load(dir)?;
        Ok((Self::Simulated { dir: dir.into() }, content))
    }

    pub fn create(dir: &Path, content: &Content) -> io::Result<Self> {
        if !is_on() {
            return sled_rows::Rows::create(dir, content).map(Self::Sled);
        }
        empty(dir)?;
        let mut rows = Self::Simulated { dir: dir.into() };
        rows.replace(content)?;
        Ok(rows)
    }

    pub fn write(&mut self, rows: &[Row], position: &Position) -> io::Result<()> {
        match self {
            Self::Sled(sled) => sled.write(rows, position),
            Self::Simulated { dir } => {
                let change = Batch::Changed(rows.to_vec(), position.clone());
                world().tables.write(dir, change);
                Ok(())
            }
        }
    }

    pub fn replace(&mut self, content: &Content) -> io::Result<()> {
        match self {
            Self::Sled(sled) => sled.replace(content),
            Self::Simulated { dir } => {
                let change = Batch::Replaced(content.state.rows(), content.position.clone());
                world().tables.write(dir, change);
                if let Some((slot, life)) = world().disk_of(dir).map(|disk| disk.life()) {
                    world().count("snapshot.installed", &format!("machine {slot}, life {life}"));
                    world().happened("snapshot.installed", slot);
                }
                Ok(())
            }
        }
    }

    pub fn disk(&self) -> RowsDisk {
        match self {
            Self::Sled(sled) => RowsDisk::Sled(sled.disk()),
            Self::Simulated { dir } => RowsDisk::Simulated { dir: dir.clone() },
        }
    }

    pub fn open_if(self, written: io::Result<()>) -> io::Result<Self> {
        match self {
            Self::Sled(sled) => sled.open_if(written).map(Self::Sled),
            simulated => written.map(|()| simulated),
        }
    }

    pub fn close(self) {
        if let Self::Sled(sled) = self {
            sled.close();
        }
    }
}

impl RowsDisk {
    pub fn sync(&self) -> io::Result<()> {
        match self {
            Self::Sled(sled) => sled.sync(),
            Self::Simulated { dir } => {
                world().tables.sync(dir);
                Ok(())
            }
        }
    }
}

/// The rows of all nodes.
#[derive(Debug, Default)]
pub struct Tables {
    all: Mutex<BTreeMap<PathBuf, Table>>,
    syncs: Mutex<Vec<Sync>>,
    made: Mutex<u64>,
}

#[derive(Debug, Default)]
struct Table {
    mark: String,
    durable: Kept,
    /// What was written since, the oldest first.
    since: Vec<Batch>,
    /// How many batches were written in all.
    written: u64,
    newest: Kept,
    is_damaged: bool,
}

/// Rows, and how far the log was applied.
#[derive(Debug, Clone, Default)]
struct Kept {
    rows: BTreeMap<String, Vec<u8>>,
    position: Position,
    tally: Tally,
}

#[derive(Debug, Clone)]
enum Batch {
    Changed(Vec<Row>, Position),
    Replaced(Vec<Row>, Position),
}

impl Tables {
    /// Rows anew, of which there are none.
    fn begin(&self, dir: &Path) -> io::Result<Content> {
        let mark = {
            let mut made = lock(&self.made);
            *made += 1;
            made.to_string()
        };
        fs::write(dir.join(MARK), &mark)?;
        let table = Table { mark, ..Table::default() };
        lock(&self.all).insert(dir.into(), table);
        Ok(Content::default())
    }

    fn load(&self, dir: &Path) -> Result<Content, LoadError> {
        let found = fs::read_to_string(dir.join(MARK)).unwrap_or_default();
        let all = lock(&self.all);
        let Some(table) = all.get(dir).filter(|table| table.mark == found) else {
            drop(all);
            return self.begin(dir).map_err(LoadError::Io);
        };
        if table.is_damaged {
            return Err(LoadError::Damaged("it was being written when power was lost".into()));
        }
        let mut content = Content { position: table.newest.position.clone(), ..Content::default() };
        for (key, value) in &table.newest.rows {
            let restored = content.state.restore(key, value);
            restored.map_err(|error| LoadError::Damaged(error.to_string()))?;
        }
        world().applied(dir, &content.position, table.newest.tally, true);
        Ok(content)
    }

    fn write(&self, dir: &Path, batch: Batch) {
        let mut all = lock(&self.all);
        let Some(table) = all.get_mut(dir) else { return };
        table.newest.add(&batch);
        table.since.push(batch);
        table.written += 1;
        let (position, tally) = (table.newest.position.clone(), table.newest.tally);
        drop(all);
        world().applied(dir, &position, tally, false);
    }

    fn sync(&self, dir: &Path) {
        let written = lock(&self.all).get(dir).map_or(0, |table| table.written);
        lock(&self.syncs).push(Sync::Rows { dir: dir.into(), batches: written });
    }

    /// What was synced since this was asked last.
    pub fn take_syncs(&self) -> Vec<Sync> {
        std::mem::take(&mut *lock(&self.syncs))
    }

    /// So many batches last.
    pub fn promote(&self, dir: &Path, batches: u64) {
        let mut all = lock(&self.all);
        let Some(table) = all.get_mut(dir) else { return };
        let before = table.written - table.since.len() as u64;
        let last = batches.saturating_sub(before).min(table.since.len() as u64);
        for batch in table.since.drain(..last as usize) {
            table.durable.add(&batch);
        }
    }

    /// Leaves what is left after a loss of power of what is below a folder.
    pub fn cut(&self, root: &Path, chance: &mut Chance) {
        let mut all = lock(&self.all);
        for (_, table) in all.iter_mut().filter(|(dir, _)| dir.starts_with(root)) {
            let unsynced = table.since.len() as u64;
            let left = chance.below(unsynced + 1);
            table.is_damaged |= unsynced > 0 && chance.percent(DAMAGED_PERCENT);
            if left < unsynced || table.is_damaged {
                world().coverage().count("lost.rows");
            }
            for batch in table.since.drain(..).take(left as usize) {
                table.durable.add(&batch);
            }
            table.newest = table.durable.clone();
        }
    }
}

impl Kept {
    fn add(&mut self, batch: &Batch) {
        match batch {
            Batch::Changed(rows, position) => self.change(rows, position),
            Batch::Replaced(rows, position) => {
                *self = Self::default();
                self.change(rows, position);
            }
        }
    }

    fn change(&mut self, rows: &[Row], position: &Position) {
        for row in rows {
            let old = match &row.value {
                Some(value) => {
                    self.tally.add(row.key.as_bytes(), value);
                    self.rows.insert(row.key.clone(), value.clone())
                }
                None => self.rows.remove(&row.key),
            };
            old.into_iter().for_each(|old| self.tally.remove(row.key.as_bytes(), &old));
        }
        self.position = position.clone();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
