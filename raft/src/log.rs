//! The log on disk: votes and entries in segments that `raft-log` writes and syncs.
//!
//! `raft-log` writes from one thread, in order, and calls back only after `fdatasync` of every segment that the write
//! touched; it syncs the folder when it makes or removes a segment, and stops for ever at the first error. What it
//! leaves to us is the folder itself, and the sync of what an earlier, killed process wrote but did not sync.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use raft_log::RaftLog;
use raft_log::api::raft_log_writer::RaftLogWriter;
use tokio::sync::oneshot;

use crate::folder::FolderLock;
use crate::planted::{self, Bug};
use crate::types::{LogEntry, LogId, TypeConfig, Vote};
use crate::wal::{OnFlush, Wal, from_entry, to_entry};

/// When a segment is closed and the next one begun; the newest segment's entries are also kept in memory.
const SEGMENT_BYTES: usize = 4 * 1024 * 1024;
const SEGMENT_RECORDS: usize = 16 * 1024;
/// What is kept in memory of older segments.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
const CACHE_RECORDS: usize = 2048;
/// What may wait for the writer.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// How long the writer waits for company before it syncs.
const GROUP_COMMIT_WAIT: Duration = Duration::from_micros(100);
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// The log. Clones share it.
#[derive(Clone)]
pub struct Log {
    /// `None` once it is closed.
    open: Arc<Mutex<Option<Open>>>,
}

// Fields drop in order: the folder is free only once the log is closed.
struct Open {
    log: RaftLog<Wal>,
    _folder: FolderLock,
    #[cfg(test)]
    disk: Option<Arc<crate::simulation::Disk>>,
}

impl Log {
    /// Opens the log in `dir`, which must exist; a torn tail that was never acknowledged is cut off.
    pub fn open(dir: &Path, folder: FolderLock) -> io::Result<Self> {
        let mut log = RaftLog::open(Arc::new(config(dir)))?;
        log.flush(true, None)?;
        log.wait_worker_idle()?;
        let open = Open {
            log,
            _folder: folder,
            #[cfg(test)]
            disk: crate::simulation::disk_of(dir),
        };
        Ok(Self { open: Arc::new(Mutex::new(Some(open))) })
    }

    /// The last vote that was cast, or leader that was followed.
    pub fn vote(&self) -> io::Result<Option<Vote>> {
        self.with(|log| Ok(log.log_state().vote().copied().map(Vote::from)))
    }

    /// The id of the last entry that was purged.
    pub fn purged(&self) -> io::Result<Option<LogId>> {
        self.with(|log| Ok(log.log_state().purged().copied().map(LogId::from)))
    }

    /// The id of the last entry.
    pub fn last(&self) -> io::Result<Option<LogId>> {
        self.with(|log| Ok(log.log_state().last().copied().map(LogId::from)))
    }

    /// The id of the entry at `index`, if it is there.
    pub fn id_at(&self, index: u64) -> io::Result<Option<LogId>> {
        self.with(|log| {
            let first = log.read(index, index + 1).next();
            Ok(first.transpose()?.map(|(id, _)| id.into()))
        })
    }

    /// Returns once everything written so far is on disk.
    pub async fn sync(&self) -> io::Result<()> {
        self.write(|_| Ok(())).await
    }

    /// Lets go of the files, whoever else has the log: from now on every call fails. Blocks until they are synced.
    pub fn close(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
    }

    /// Makes a change and returns once it is on disk.
    async fn write(
        &self,
        change: impl FnOnce(&mut RaftLog<Wal>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.change(|log| {
            change(log)?;
            log.flush(true, Some(OnFlush::Waiting(sender)))
        })?;
        match receiver.await {
            Ok(result) => result,
            Err(_) => self.change(|_| Err(stopped())),
        }
    }

    /// Makes a change. Once the writer has failed, every change gets the writer's error.
    fn change(&self, change: impl FnOnce(&mut RaftLog<Wal>) -> io::Result<()>) -> io::Result<()> {
        self.with(|log| change(log).map_err(|error| log.wait_worker_idle().err().unwrap_or(error)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut RaftLog<Wal>) -> io::Result<T>) -> io::Result<T> {
        let mut open = self.open.lock().map_err(|_| stopped())?;
        let open = open.as_mut().ok_or_else(closed)?;
        let done = work(&mut open.log);
        #[cfg(test)]
        if let Some(disk) = &open.disk {
            open.log.wait_worker_idle()?;
            disk.settle();
        }
        done
    }
}

fn config(dir: &Path) -> raft_log::Config {
    let mut config = raft_log::Config::new(dir.display());
    config.wal.read_buffer_size = Some(READ_BUFFER_BYTES);
    config.wal.chunk_max_records = Some(SEGMENT_RECORDS);
    config.wal.chunk_max_size = Some(SEGMENT_BYTES);
    config.wal.flush_batch_wait = Some(GROUP_COMMIT_WAIT);
    config.wal.flush_queue_max_bytes = Some(QUEUE_BYTES);
    config.log_cache_max_items = Some(CACHE_RECORDS);
    config.log_cache_capacity = Some(CACHE_BYTES);
    #[cfg(test)]
    crate::simulation::shorten(&mut config);
    config
}

fn stopped() -> io::Error {
    io::Error::other("the log's writer has stopped after an error")
}

fn closed() -> io::Error {
    io::Error::other("the log is closed, because the node has stopped")
}

/// The half-open range of indexes that `range` means.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (from, to.max(from))
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<LogEntry>> {
        let (from, to) = bounds(&range);
        self.with(|log| log.read(from, to).map(|record| record.map(to_entry)).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.vote()
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let purged = self.purged()?.filter(|_| !planted::is(Bug::PurgedForgotten));
        Ok(LogState { last_purged_log_id: purged, last_log_id: self.last()? })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = (*vote).into();
        if planted::is(Bug::VoteNotWritten) {
            return Ok(());
        }
        if planted::is(Bug::VoteNotSynced) {
            return self.change(|log| log.save_vote(vote).and_then(|_| log.flush(false, None)));
        }
        self.write(|log| log.save_vote(vote).map(drop)).await
    }

    /// Written, not synced: it only saves work at the next start.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed.map(Into::into) else { return Ok(()) };
        self.change(|log| {
            let known = log.log_state();
            if Some(&committed) <= known.committed() || Some(&committed) > known.last() {
                return Ok(());
            }
            log.commit(committed)?;
            log.flush(false, None)
        })
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.with(|log| Ok(log.log_state().committed().copied().map(LogId::from)))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.change(|log| {
            log.append(entries.into_iter().map(from_entry))?;
            log.flush(!planted::is(Bug::AppendNotSynced), Some(OnFlush::Appended(callback)))
        })
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let next = last.map_or(0, |id| id.index + 1);
        if self.last()?.is_none_or(|last| last.index < next) {
            return Ok(());
        }
        self.write(|log| log.truncate(next).map(drop)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.write(|log| log.purge(upto.into()).map(drop)).await
    }
}
