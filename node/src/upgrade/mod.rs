//! Another program for this node: [`Upgrader`] checks it and says when to hand over, [`handover`] does, and what came of
//! it is kept for whoever asks.

mod binary;
mod error;
pub mod handover;

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use temps_api::{UpgradeOutcome, UpgradeStage, UpgradeStatus, Upgrades};
use temps_builder::{BlobDigest, Builder, digest_of};
use temps_raft::Cluster;
use temps_state::{FORMAT, NodeId};
use tokio::sync::{OnceCell, watch};
use tokio_util::io::ReaderStream;
use tracing::{error, warn};

use self::error::UpgradeError;
use self::handover::{Failed, Released};

/// The program of this process, whatever became of its file.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// The folder of binaries in the data folder.
const FOLDER: &str = "bin";
/// What came of the last upgrade, in that folder.
const LAST: &str = "last.json";

/// The program of this process: by the path of its file where that is still the one, so that processes bear its name.
pub fn own_program() -> PathBuf {
    let same = |path: &PathBuf| {
        let file = |path: &Path| path.metadata().map(|facts| (facts.dev(), facts.ino()));
        matches!((file(path), file(Path::new(OWN_PROGRAM))), (Ok(a), Ok(b)) if a == b)
    };
    std::env::current_exe().ok().filter(same).unwrap_or_else(|| OWN_PROGRAM.into())
}

/// A binary that was tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its digest.
    pub digest: BlobDigest,
    /// Where it can be run.
    pub path: PathBuf,
}

/// How far an upgrade is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Idle,
    Preparing,
    HandingOver(Candidate),
    /// The process before this one is not done yet.
    TakingOver,
}

/// Upgrades this node. Clones share it.
#[derive(Clone)]
pub struct Upgrader {
    inner: Arc<Inner>,
}

struct Inner {
    builder: Builder,
    cluster: Cluster,
    folder: PathBuf,
    installed: PathBuf,
    running: OnceCell<BlobDigest>,
    stage: watch::Sender<Stage>,
    /// What came of the last one that this process knows of; the file may have had no room.
    last: watch::Sender<Option<UpgradeOutcome>>,
}

impl Upgrader {
    /// For a node whose program is started from `installed`.
    pub fn new(builder: Builder, cluster: Cluster, data_dir: &Path, installed: PathBuf) -> Self {
        let inner = Inner {
            builder,
            cluster,
            folder: data_dir.join(FOLDER),
            installed,
            running: OnceCell::new(),
            stage: watch::Sender::new(Stage::Idle),
            last: watch::Sender::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The file that the node is started from.
    pub fn installed(&self) -> &Path {
        &self.inner.installed
    }

    /// Says that the process before this one still works on the upgrade.
    pub fn take_over(&self) {
        self.inner.stage.send_replace(Stage::TakingOver);
    }

    /// Takes upgrades again once the process before this one is done.
    pub async fn when(self, released: Released) {
        released.wait().await;
        self.inner.stage.send_replace(Stage::Idle);
    }

    /// Resolves when the node is to hand over.
    pub async fn wanted(&self) -> Candidate {
        let mut stage = self.inner.stage.subscribe();
        let ready = stage.wait_for(|stage| matches!(stage, Stage::HandingOver(_))).await;
        match ready.as_deref() {
            Ok(Stage::HandingOver(candidate)) => candidate.clone(),
            _ => std::future::pending().await,
        }
    }

    /// Makes the candidate the program that the node is started from, and keeps word of it.
    pub fn succeeded(&self, candidate: &Candidate) {
        let Inner { folder, installed, .. } = &*self.inner;
        if let Err(error) = binary::install(&candidate.path, installed) {
            error!(%error, path = %installed.display(), "the node runs a program that it will not be started from the next time: put it there by hand");
        }
        binary::keep_only(folder, &candidate.digest);
        self.keep(&candidate.digest, None);
    }

    /// Keeps word of why the node goes back to the program it had.
    pub fn went_back(&self, candidate: &Candidate, failed: Failed) {
        self.keep(&candidate.digest, Some(failed.into()));
    }

    fn keep(&self, binary: &BlobDigest, error: Option<UpgradeError>) {
        let failure = error.as_ref().map(UpgradeError::failure);
        let outcome = UpgradeOutcome { binary: binary.hex().into(), at: Timestamp::now(), failure };
        self.inner.last.send_replace(Some(outcome.clone()));
        let write = || {
            fs::create_dir_all(&self.inner.folder)?;
            let draft = tempfile::NamedTempFile::new_in(&self.inner.folder)?;
            serde_json::to_writer(&draft, &outcome)?;
            draft.persist(self.inner.folder.join(LAST))?;
            io::Result::Ok(())
        };
        if let Err(error) = write() {
            error!(%error, "what came of the upgrade could not be written down");
        }
    }

    fn last(&self) -> io::Result<Option<UpgradeOutcome>> {
        if let Some(last) = &*self.inner.last.borrow() {
            return Ok(Some(last.clone()));
        }
        match File::open(self.inner.folder.join(LAST)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => Ok(Some(serde_json::from_reader(BufReader::new(file?))?)),
        }
    }

    async fn running(&self) -> io::Result<BlobDigest> {
        let digest = || async {
            let reading = tokio::task::spawn_blocking(|| digest_of(Path::new(OWN_PROGRAM)));
            reading.await.map_err(io::Error::other)?
        };
        self.inner.running.get_or_try_init(digest).await.cloned()
    }

    async fn prepare(self, digest: BlobDigest) {
        let stage = match self.candidate(&digest).await {
            Ok(candidate) => Stage::HandingOver(candidate),
            Err(error) => {
                warn!(%error, binary = digest.hex(), "the node is not upgraded");
                self.keep(&digest, Some(error));
                Stage::Idle
            }
        };
        self.inner.stage.send_replace(stage);
    }

    /// Fetches the binary from whichever node it was sent to, and tries it out.
    async fn candidate(&self, digest: &BlobDigest) -> Result<Candidate, UpgradeError> {
        let Inner { builder, cluster, folder, installed, .. } = &*self.inner;
        if std::process::id() == 1 {
            return Err(UpgradeError::FirstProcess);
        }
        binary::check_replaceable(installed)?;
        builder.obtain(digest, &self.others()).await.map_err(UpgradeError::Missing)?;
        let unwritable = |source| UpgradeError::Fixed { path: folder.clone(), source };
        let path =
            binary::put(&builder.blobs().path(digest), folder, digest).map_err(unwritable)?;
        let facts = binary::try_out(&path).await?;
        let needs = cluster.state().format();
        if facts.format < needs {
            return Err(UpgradeError::TooOld { knows: facts.format, needs });
        }
        self.keep_own().await.map_err(unwritable)?;
        Ok(Candidate { digest: digest.clone(), path })
    }

    fn others(&self) -> Vec<NodeId> {
        let cluster = &self.inner.cluster;
        let me = cluster.node_id();
        cluster.state().nodes.keys().copied().filter(|node| *node != me).collect()
    }

    /// Keeps this program as a blob, so that it can be asked for again.
    async fn keep_own(&self) -> io::Result<()> {
        let digest = self.running().await?;
        let blobs = self.inner.builder.blobs();
        if blobs.has(&digest) {
            blobs.touch(&digest);
            return Ok(());
        }
        let program = tokio::fs::File::open(OWN_PROGRAM).await?;
        let kept = blobs.put(ReaderStream::new(program), &digest, temps_api::BINARY_BYTES_MAX);
        kept.await.map(drop).map_err(io::Error::other)
    }
}

impl Upgrades for Upgrader {
    fn status(&self) -> BoxFuture<'_, io::Result<UpgradeStatus>> {
        Box::pin(async {
            let stage = match *self.inner.stage.borrow() {
                Stage::Idle => UpgradeStage::Idle,
                Stage::Preparing => UpgradeStage::Preparing,
                Stage::HandingOver(_) | Stage::TakingOver => UpgradeStage::HandingOver,
            };
            Ok(UpgradeStatus {
                binary: self.running().await?.hex().into(),
                version: env!("CARGO_PKG_VERSION").into(),
                format: FORMAT.into(),
                stage,
                last: self.last()?,
            })
        })
    }

    fn begin(&self, binary: BlobDigest) -> bool {
        let begun = self.inner.stage.send_if_modified(|stage| {
            let idle = *stage == Stage::Idle;
            if idle {
                *stage = Stage::Preparing;
            }
            idle
        });
        if begun {
            tokio::spawn(self.clone().prepare(binary));
        }
        begun
    }
}
