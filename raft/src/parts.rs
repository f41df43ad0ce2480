//! Everything a node opens from its data folder, checked against each other.

use std::fs;
use std::io;
use std::path::PathBuf;

use temps_state::ClusterKey;
use tracing::info;

use crate::RaftError;
use crate::content::{Content, Position};
use crate::folder::{Folder, FolderLock, make_dir};
use crate::identity::{self, Identity};
use crate::log::Log;
use crate::machine::{Machine, Shown};
use crate::planted::{self, Bug};
use crate::snapshots::Snapshots;
use crate::store::{Opened, Store};
use crate::tail;

/// What a node is made of.
pub struct Parts {
    pub identity: Identity,
    pub key: ClusterKey,
    pub log: Log,
    pub store: Store,
    pub machine: Machine,
    pub snapshots: Snapshots,
    pub shown: Shown,
}

impl Parts {
    /// Opens the data folder. Blocks.
    pub fn open(data_dir: PathBuf) -> Result<Self, RaftError> {
        let folder = Folder { root: data_dir };
        let lock = folder.lock()?;
        let (identity, key) = identity::open(&folder)?;
        refuse_missing_log(&folder, &identity)?;
        let log = open_log(&folder, lock.clone())?;
        let identity = identity::keep_log_begun(&folder, identity)?;
        let opened = Store::open(&folder.state(), lock, |position| {
            refuse_empty_log(&folder, &log, position)?;
            Ok(is_plausible(&log, position))
        })?;
        let (applied, last) = (opened.content.position.applied, log.last().unwrap_or_default());
        info!(?applied, ?last, "state and log opened; what the state lacks is applied again");
        let snapshots = Snapshots::open(folder.snapshots())?;
        cover_purged(&folder, &log, &opened, &snapshots)?;
        let store = opened.store.clone();
        let (machine, shown) = Machine::new(opened, snapshots.clone());
        Ok(Self { identity, key, log, store, machine, snapshots, shown })
    }
}

fn open_log(folder: &Folder, lock: FolderLock) -> Result<Log, RaftError> {
    let path = folder.log();
    make_dir(&path)?;
    tail::mend(&path)?;
    Log::open(&path, lock).map_err(|source| RaftError::Log { path, source })
}

/// A node that has begun a log may have voted in it, and must not vote again without it.
fn refuse_missing_log(folder: &Folder, identity: &Identity) -> Result<(), RaftError> {
    let path = folder.log();
    let is_missing = match fs::read_dir(&path) {
        Ok(mut files) => files.next().is_none(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => return Err(RaftError::file("read", &path)(e)),
    };
    let is_refused = identity.has_log() && !planted::is(Bug::NodeIdReused);
    if is_missing && is_refused { Err(RaftError::LogLost { path }) } else { Ok(()) }
}

/// The same for a log that was made anew beside a state that knows more.
fn refuse_empty_log(folder: &Folder, log: &Log, position: &Position) -> Result<(), RaftError> {
    let path = folder.log();
    let read = |source| RaftError::Log { path: path.clone(), source };
    // A machine that was let in may lose power between its first snapshot and what the log says of it: its vote is there.
    let is_empty = log.vote().map_err(read)?.is_none()
        && log.last().map_err(read)?.is_none()
        && log.purged().map_err(read)?.is_none();
    match is_empty && position.applied.is_some() {
        true => Err(RaftError::LogLost { path }),
        false => Ok(()),
    }
}

/// Whether the log could have led there: what is applied was in the log before, and is the same entry still, or purged.
fn is_plausible(log: &Log, position: &Position) -> bool {
    let Some(applied) = position.applied else { return true };
    match (log.id_at(applied.index), log.purged()) {
        (Ok(Some(there)), _) => there == applied,
        (Ok(None), Ok(Some(purged))) => applied.index <= purged.index && applied <= purged,
        _ => false,
    }
}

/// Sees to it that there is a snapshot for what the log no longer has.
fn cover_purged(
    folder: &Folder,
    log: &Log,
    opened: &Opened,
    snapshots: &Snapshots,
) -> Result<(), RaftError> {
    let path = folder.log();
    let purged = log.purged().map_err(|source| RaftError::Log { path: path.clone(), source })?;
    let Some(purged) = purged else { return Ok(()) };
    let reach = |content: &Content| content.position.applied;
    let snapshot = snapshots.newest()?.and_then(|saved| saved.meta.last_log_id);
    if snapshot >= Some(purged) {
        return Ok(());
    }
    if reach(&opened.content) < Some(purged) {
        let known = opened.content.position.index();
        return Err(RaftError::Gap { path, first: purged.index + 1, known });
    }
    opened.store.sync().map_err(RaftError::failed)?;
    snapshots.save(&opened.content).map(drop)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use openraft::storage::RaftLogStorage;

    use super::*;
    use crate::types::{LeaderId, LogId, Vote};

    /// A folder whose state was brought by a snapshot, and whose log has no entry yet.
    async fn leave(dir: &Path, vote: Option<Vote>) {
        let Parts { mut log, store, .. } = Parts::open(dir.into()).unwrap();
        if let Some(vote) = vote {
            log.save_vote(&vote).await.unwrap();
        }
        let mut content = Content::default();
        let leader_id = LeaderId { term: 3, node_id: 2 };
        content.position.applied = Some(LogId { leader_id, index: 42 });
        store.replace(&content).unwrap();
        store.sync().unwrap();
        log.close();
        store.close().unwrap();
    }

    #[tokio::test]
    async fn a_machine_that_lost_power_in_its_first_snapshot_starts_again() {
        let dir = tempfile::tempdir().unwrap();
        let leader_id = LeaderId { term: 3, node_id: 2 };
        leave(dir.path(), Some(Vote { leader_id, committed: true })).await;
        assert!(Parts::open(dir.path().into()).is_ok());
    }

    #[tokio::test]
    async fn a_log_made_anew_beside_a_state_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        leave(dir.path(), None).await;
        let refused = Parts::open(dir.path().into()).err();
        assert!(matches!(refused, Some(RaftError::LogLost { .. })), "{refused:?}");
    }
}
