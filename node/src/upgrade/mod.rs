//! Another program for this node: [`Upgrader`] checks it and says when to hand over, [`handover`] does, and what came of
//! it is kept for whoever asks.

mod binary;
mod error;
pub mod handover;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use temps_api::{UpgradeOutcome, UpgradeStage, UpgradeStatus, Upgrades};
use temps_builder::copies::candidates;
use temps_builder::{BlobDigest, Builder, digest_of};
use temps_raft::Cluster;
use temps_state::FORMAT;
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
    /// A copy of it beside the program that the node is started from.
    beside: PathBuf,
}

/// How far an upgrade is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Idle,
    Preparing(BlobDigest),
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
        binary::remove_drafts(&inner.installed, &inner.folder);
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
        let Candidate { digest, path, beside } = candidate;
        let warning = binary::install(beside, installed).err().map(|source| {
            let program = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            UpgradeError::NotInstalled { path: installed.clone(), program, source }
        });
        if let Some(warning) = &warning {
            error!(%warning, "put the program there by hand");
            remove(beside);
        }
        binary::keep_only(folder, digest);
        let warning = warning.as_ref().map(UpgradeError::failure);
        self.keep(UpgradeOutcome { warning, ..outcome(digest) });
    }

    /// Keeps word of why the node goes back to the program it had.
    pub fn went_back(&self, candidate: &Candidate, failed: Failed) {
        remove(&candidate.beside);
        self.failed(&candidate.digest, &failed.into());
    }

    fn failed(&self, binary: &BlobDigest, error: &UpgradeError) {
        if let Some(running) = self.inner.running.get() {
            binary::keep_only(&self.inner.folder, running);
        }
        self.keep(UpgradeOutcome { failure: Some(error.failure()), ..outcome(binary) });
    }

    /// For this process, and for the next.
    fn keep(&self, outcome: UpgradeOutcome) {
        self.inner.last.send_replace(Some(outcome.clone()));
        let write = || {
            fs::create_dir_all(&self.inner.folder)?;
            let draft = binary::draft_in(&self.inner.folder)?;
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
        // A binary that is refused is removed, and this one is not.
        let _ = self.running().await;
        let stage = match self.candidate(&digest).await {
            Ok(candidate) => Stage::HandingOver(candidate),
            Err(error) => {
                warn!(%error, binary = digest.hex(), "the node is not upgraded");
                self.failed(&digest, &error);
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
        binary::remove_drafts(installed, folder);
        binary::check_replaceable(installed)?;
        let others = candidates(&cluster.state(), cluster.node_id(), &BTreeSet::new());
        builder.obtain(digest, &others).await.map_err(UpgradeError::Missing)?;
        let unwritable = |source| UpgradeError::Fixed { path: folder.clone(), source };
        let path =
            binary::put(&builder.blobs().path(digest), folder, digest).map_err(unwritable)?;
        let facts = binary::try_out(&path).await?;
        let needs = cluster.state().format();
        if facts.format < needs {
            return Err(UpgradeError::TooOld { knows: facts.format, needs });
        }
        self.keep_own().await?;
        let beside = binary::write_beside(&path, installed)
            .map_err(|source| UpgradeError::Fixed { path: installed.clone(), source })?;
        Ok(Candidate { digest: digest.clone(), path, beside })
    }

    /// Keeps this program as a blob, so that it can be asked for again.
    async fn keep_own(&self) -> Result<(), UpgradeError> {
        let unreadable = |source| UpgradeError::Fixed { path: own_program(), source };
        let digest = self.running().await.map_err(unreadable)?;
        let blobs = self.inner.builder.blobs();
        if blobs.has(&digest) {
            blobs.touch(&digest);
            return Ok(());
        }
        let program = tokio::fs::File::open(OWN_PROGRAM).await.map_err(unreadable)?;
        let kept = blobs.put(ReaderStream::new(program), &digest, temps_api::BINARY_BYTES_MAX);
        kept.await.map(drop).map_err(UpgradeError::Unkept)
    }
}

impl Upgrades for Upgrader {
    fn status(&self) -> BoxFuture<'_, io::Result<UpgradeStatus>> {
        Box::pin(async {
            let (stage, target) = self.inner.stage.borrow().shown();
            Ok(UpgradeStatus {
                binary: self.running().await?.hex().into(),
                version: env!("CARGO_PKG_VERSION").into(),
                format: FORMAT.into(),
                stage,
                target,
                last: self.last()?,
            })
        })
    }

    fn begin(&self, binary: BlobDigest) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let runs = self.running().await.is_ok_and(|running| running == binary);
            let (mut begun, mut taken) = (false, false);
            self.inner.stage.send_if_modified(|stage| {
                begun = *stage == Stage::Idle && !runs;
                taken = begun || stage.takes(&binary, runs);
                if begun {
                    *stage = Stage::Preparing(binary.clone());
                }
                begun
            });
            if begun {
                tokio::spawn(self.clone().prepare(binary));
            }
            taken
        })
    }
}

impl Stage {
    /// The same for whoever asks, and the binary that is to run next.
    fn shown(&self) -> (UpgradeStage, Option<String>) {
        let target = |digest: &BlobDigest| Some(digest.hex().to_owned());
        match self {
            Self::Idle => (UpgradeStage::Idle, None),
            Self::Preparing(digest) => (UpgradeStage::Preparing, target(digest)),
            Self::HandingOver(candidate) => (UpgradeStage::HandingOver, target(&candidate.digest)),
            Self::TakingOver => (UpgradeStage::HandingOver, None),
        }
    }

    /// Whether the node takes this binary already, or has it: `runs` says whether its process is one of it.
    fn takes(&self, binary: &BlobDigest, runs: bool) -> bool {
        match self {
            Self::Idle | Self::TakingOver => runs,
            Self::Preparing(digest) => digest == binary,
            Self::HandingOver(candidate) => candidate.digest == *binary,
        }
    }
}

/// Removes a file that is of no more use; the next upgrade would, too.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Nothing went wrong.
fn outcome(binary: &BlobDigest) -> UpgradeOutcome {
    let (binary, at) = (binary.hex().into(), Timestamp::now());
    UpgradeOutcome { binary, at, failure: None, warning: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_takes_a_binary_takes_no_other() {
        let [old, new, other] = [b"old", b"new", b"oth"].map(|text| BlobDigest::of(text));
        let candidate =
            Candidate { digest: new.clone(), path: PathBuf::new(), beside: PathBuf::new() };
        for (stage, running, taken) in [
            (Stage::Preparing(new.clone()), &old, vec![&new]),
            (Stage::HandingOver(candidate), &old, vec![&new]),
            (Stage::TakingOver, &new, vec![&new]),
            (Stage::Idle, &old, vec![&old]),
        ] {
            for binary in [&old, &new, &other] {
                let takes = stage.takes(binary, binary == running);
                assert_eq!(takes, taken.contains(&binary), "{stage:?} {}", binary.hex());
            }
        }
    }
}
