//! The state machine: committed entries in, a new state out, to disk and to everybody who watches.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{OptionalSend, Snapshot};
use tokio::sync::watch;

use crate::Applied;
use crate::content::{Content, Tally};
use crate::snapshot::{Snapshots, decode};
use crate::store::{Opened, Store};
use crate::types::{LogId, SnapshotMeta, StoredMembership, TypeConfig};

type MachineSnapshot = openraft::type_config::alias::SmSnapshotOf<TypeConfig, Machine>;

/// The state machine.
pub struct Machine {
    content: Content,
    tally: Tally,
    store: Store,
    snapshots: Snapshots,
    applied: watch::Sender<Arc<Applied>>,
}

impl Machine {
    /// The machine over what the store held, and where its states appear.
    pub fn new(opened: Opened, snapshots: Snapshots) -> (Self, watch::Receiver<Arc<Applied>>) {
        let Opened { store, content, tally } = opened;
        let (applied, watching) = watch::channel(Arc::new(published(&content)));
        (Self { content, tally, store, snapshots, applied }, watching)
    }

    fn publish(&mut self, content: Content) {
        self.applied.send_replace(Arc::new(published(&content)));
        self.content = content;
    }
}

fn published(content: &Content) -> Applied {
    Applied { index: content.position.index(), state: content.state.clone() }
}

impl RaftStateMachine<TypeConfig> for Machine {
    /// An encoded snapshot.
    type SnapshotData = Bytes;
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
            let answer = next.apply(entry);
            answers.extend(responder.map(|responder| (responder, answer)));
        }
        let rows = next.state.changes_since(&self.content.state);
        self.store.write(&rows, &next.position, &mut self.tally)?;
        self.publish(next);
        for (responder, answer) in answers {
            responder.send(answer);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            content: self.content.clone(),
            store: self.store.clone(),
            snapshots: self.snapshots.clone(),
        }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, bytes: Bytes) -> io::Result<()> {
        let content = decode(&bytes).map_err(io::Error::other)?;
        let (store, snapshots) = (self.store.clone(), self.snapshots.clone());
        let (content, tally) = blocking(move || {
            snapshots.save(&content).map_err(io::Error::other)?;
            let tally = store.replace(&content)?;
            Ok((content, tally))
        })
        .await?;
        self.tally = tally;
        self.publish(content);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<MachineSnapshot>> {
        let snapshots = self.snapshots.clone();
        let newest = blocking(move || snapshots.newest().map_err(io::Error::other)).await?;
        Ok(newest.map(|(content, snapshot)| Snapshot { meta: content.position.meta(), snapshot }))
    }
}

/// Writes a snapshot of the content at one moment, while entries go on being applied.
pub struct Builder {
    content: Content,
    store: Store,
    snapshots: Snapshots,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Bytes;

    /// The log up to a snapshot may be purged, so what it covers is made durable first.
    async fn build_snapshot(&mut self) -> io::Result<MachineSnapshot> {
        let (content, store) = (self.content.clone(), self.store.clone());
        let (meta, snapshots) = (content.position.meta(), self.snapshots.clone());
        let snapshot = blocking(move || {
            store.sync()?;
            snapshots.save(&content).map_err(io::Error::other)
        })
        .await?;
        Ok(Snapshot { meta, snapshot })
    }
}

/// Does what waits for the disk on a thread that may wait.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
