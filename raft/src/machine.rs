//! The state machine: committed entries in, a new state out, to disk and to everybody who watches.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, Snapshot};
use tokio::sync::watch;

use crate::Applied;
use crate::content::Content;
use crate::planted::{self, Bug};
use crate::snapshots::{Image, Saved, Snapshots};
use crate::store::{Opened, Store};
use crate::types::{LogEntry, LogId, SnapshotMeta, StoredMembership, TypeConfig};

/// How long a snapshot that finds no room waits before it looks again.
const ROOM_POLL: Duration = Duration::from_secs(2);

type MachineSnapshot = openraft::type_config::alias::SmSnapshotOf<TypeConfig, Machine>;

/// The state machine.
pub struct Machine {
    content: Content,
    store: Store,
    snapshots: Snapshots,
    applied: Arc<watch::Sender<Arc<Applied>>>,
    /// Whether nothing was applied yet of what comes after an earlier run.
    restarted: bool,
    _running: Running,
}

/// What is seen of the machine from outside; the states stay when it is gone.
pub struct Shown {
    /// Where its states appear.
    pub applied: Arc<watch::Sender<Arc<Applied>>>,
    /// Closed when the machine is gone.
    pub running: watch::Receiver<()>,
}

type Running = watch::Sender<()>;

impl Machine {
    /// The machine over what the store held, and where its states appear.
    pub fn new(opened: Opened, snapshots: Snapshots) -> (Self, Shown) {
        let Opened { store, content } = opened;
        let applied = Arc::new(watch::Sender::new(Arc::new(published(&content))));
        let (running, watching) = watch::channel(());
        let shown = Shown { applied: applied.clone(), running: watching };
        let restarted = content.position.applied.is_some();
        let machine = Self { content, store, snapshots, applied, restarted, _running: running };
        (machine, shown)
    }

    /// The entry to apply: the one that comes, unless a bug is planted.
    fn passed_over(&mut self, mut entry: LogEntry) -> LogEntry {
        let first = std::mem::replace(&mut self.restarted, false);
        if first && planted::is(Bug::EntryLostAtRestart) {
            entry.payload = EntryPayload::Blank;
        }
        entry
    }

    /// What is installed of a snapshot: all of it, unless a bug is planted.
    fn spoilt(&self, mut content: Content) -> Content {
        if planted::is(Bug::SnapshotHalfInstalled) {
            content.state.users = self.content.state.users.clone();
        }
        if planted::is(Bug::SnapshotWithoutMembers) {
            content.position.membership = self.content.position.membership.clone();
        }
        content
    }

    fn publish(&mut self, content: Content) {
        self.applied.send_replace(Arc::new(published(&content)));
        self.content = content;
    }
}

fn published(content: &Content) -> Applied {
    let position = &content.position;
    Applied { index: position.index(), at: position.at, state: content.state.clone() }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Image;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let position = &self.content.position;
        Ok((position.applied, position.membership.clone()))
    }

    /// One batch for all the entries; answers go out when their state is there to be seen.
    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let (mut next, mut answers) = (self.content.clone(), Vec::new());
        while let Some((entry, responder)) = entries.try_next().await? {
            let entry = self.passed_over(entry);
            let answer = next.apply(entry).map_err(io::Error::other)?;
            answers.extend(responder.map(|responder| (responder, answer)));
        }
        let rows = next.state.changes_since(&self.content.state);
        self.store.write(&rows, &next)?;
        self.publish(next);
        for (responder, answer) in answers {
            responder.send(answer);
        }
        if self.store.is_due()? {
            let store = self.store.clone();
            blocking(move || store.catch_up()).await?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            content: self.content.clone(),
            store: Some(self.store.clone()),
            snapshots: self.snapshots.clone(),
        }
    }

    /// What was purged of the log is in the snapshot only, so its file comes first, and waits for room if there is
    /// none.
    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, image: Image) -> io::Result<()> {
        let content = blocking(move || image.into_content().map_err(io::Error::other)).await?;
        let content = self.spoilt(content);
        while !planted::is(Bug::SnapshotNotKept) && save(&content, &self.snapshots).await?.is_none()
        {
            if self.applied.is_closed() {
                return Err(io::Error::other("the node stopped before there was room"));
            }
            tokio::time::sleep(ROOM_POLL).await;
        }
        let (store, replaced) = (self.store.clone(), content.clone());
        blocking(move || store.replace(&replaced)).await?;
        self.publish(content);
        Ok(())
    }

    /// Entries wait meanwhile, so only the name of the file is looked up here; whoever sends it reads it.
    async fn get_current_snapshot(&mut self) -> io::Result<Option<MachineSnapshot>> {
        let snapshots = self.snapshots.clone();
        let newest = blocking(move || snapshots.newest().map_err(io::Error::other)).await?;
        Ok(newest.map(|saved| Snapshot { meta: saved.meta.clone(), snapshot: Image::Saved(saved) }))
    }
}

/// Writes a snapshot of the content at one moment, while entries go on being applied.
pub struct Builder {
    content: Content,
    /// Until it is synced: whoever waits for room does not hold the data folder.
    store: Option<Store>,
    snapshots: Snapshots,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Image;

    /// The log up to a snapshot may be purged, so what it covers is made durable first: in the file, and in the store
    /// unless there is no room. A file that finds no room waits for it.
    async fn build_snapshot(&mut self) -> io::Result<MachineSnapshot> {
        if let Some(store) = self.store.take() {
            blocking(move || store.sync()).await?;
        }
        loop {
            if let Some(saved) = save(&self.content, &self.snapshots).await? {
                return Ok(Snapshot { meta: saved.meta.clone(), snapshot: Image::Saved(saved) });
            }
            tokio::time::sleep(ROOM_POLL).await;
        }
    }
}

/// `None` when there is no room.
async fn save(content: &Content, snapshots: &Snapshots) -> io::Result<Option<Saved>> {
    let (content, snapshots) = (content.clone(), snapshots.clone());
    blocking(move || snapshots.save_if_room(&content)).await
}

/// Does what waits for the disk on a thread that may wait.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    #[cfg(test)]
    if crate::simulation::is_on() {
        return crate::simulation::work(work).await;
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
