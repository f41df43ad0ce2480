//! The handle: one call from a request to an artifact.

mod build;
mod detect;
mod fetch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use temps_state::{Built, NodeId, State};
use tokio_util::sync::CancellationToken;

use self::build::Build;
pub use self::detect::{DETECT_SECONDS_MAX, DetectRequest, Detected};
use crate::base_images::BaseImages;
use crate::blobs::write_error;
use crate::garbage::{Garbage, Grace, Kept, Needed};
use crate::masked_log::MaskedLog;
use crate::variables_digest::DigestKey;
use crate::{
    BlobDigest, Blobs, BuildError, BuildLogs, BuildRequest, Engine, OwnRegistry, Peers, Pushes,
    Tags, Uploads, garbage, step,
};

/// Builds on this node; cheap to clone.
#[derive(Clone)]
pub struct Builder {
    inner: Arc<Inner>,
    base_images: BaseImages,
    peers: Option<Arc<dyn Peers>>,
    registry: Option<OwnRegistry>,
}

struct Inner {
    engine: Engine,
    blobs: Blobs,
    tags: Tags,
    pushes: Pushes,
    uploads: Uploads,
    logs: BuildLogs,
    data_dir: PathBuf,
    key: DigestKey,
}

impl Builder {
    /// A builder that keeps its files below `data_dir`. What an earlier run left half done is removed.
    pub fn open(data_dir: &Path, engine: Engine) -> Result<Self, BuildError> {
        let failed = |source| BuildError::Write { what: "the data folder", source };
        let data_dir = std::path::absolute(data_dir).map_err(failed)?;
        match std::fs::remove_dir_all(data_dir.join("work")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        for folder in ["static", "logs", "work"] {
            std::fs::create_dir_all(data_dir.join(folder)).map_err(failed)?;
        }
        let blobs = Blobs::open(&data_dir).map_err(write_error)?;
        let inner = Inner {
            engine,
            tags: Tags::open(&data_dir).map_err(write_error)?,
            pushes: Pushes::default(),
            uploads: Uploads::new(blobs.clone()),
            blobs,
            logs: BuildLogs::new(data_dir.join("logs")),
            key: DigestKey::open(&data_dir.join("build.key")).map_err(failed)?,
            data_dir,
        };
        let base_images = BaseImages::default();
        Ok(Self { inner: Arc::new(inner), base_images, peers: None, registry: None })
    }

    /// The same builder, with something that makes base images which cannot be pulled.
    pub fn with_base_images(self, base_images: BaseImages) -> Self {
        Self { base_images, ..self }
    }

    /// The same builder, with other nodes to get sources and artifacts from.
    pub fn with_peers(self, peers: Arc<dyn Peers>) -> Self {
        Self { peers: Some(peers), ..self }
    }

    /// The same builder, with the registry that the engine pushes images to and pulls them from.
    pub fn with_registry(self, registry: OwnRegistry) -> Self {
        Self { registry: Some(registry), ..self }
    }

    /// Makes the artifact of a request. Every step is told in the log; it ends with the reason when this fails. The log
    /// stays open for more lines: whoever follows the deployment to its end calls [`BuildLogs::finish`].
    pub async fn build(
        &self,
        request: BuildRequest,
        cancel: CancellationToken,
    ) -> Result<Built, BuildError> {
        let log = MaskedLog::new(self.inner.logs.clone(), request.deployment, request.mask());
        let seconds = request.limits.timeout_seconds;
        let build = Build { inner: &self.inner, builder: self, request: &request, log: &log };
        let limited = tokio::time::timeout(Duration::from_secs(seconds), build.run());
        let result = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(BuildError::Cancelled),
            result = limited => result.unwrap_or(Err(BuildError::TimedOut { seconds })),
        };
        if let Err(error @ (BuildError::Cancelled | BuildError::TimedOut { .. })) = &result {
            log.write(step::BUILD, &error.to_string());
        }
        result
    }

    /// A folder for one piece of work, gone when dropped.
    fn work_folder(&self, prefix: &str) -> Result<TempDir, BuildError> {
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(self.folder("work"));
        made.map_err(|source| BuildError::Write { what: "the work folder", source })
    }

    /// The content-addressed store of this node.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// What is being pushed to this node.
    pub fn pushes(&self) -> &Pushes {
        &self.inner.pushes
    }

    /// The names of built images in this node's registry.
    pub fn tags(&self) -> &Tags {
        &self.inner.tags
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn peers(&self) -> Option<&Arc<dyn Peers>> {
        self.peers.as_ref()
    }

    pub(crate) fn registry(&self) -> Option<&OwnRegistry> {
        self.registry.as_ref()
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.inner.data_dir.join(name)
    }

    /// Gets a blob from the first candidate that has it, unless it is here; at most once at a time, and verified.
    pub async fn obtain(
        &self,
        digest: &BlobDigest,
        candidates: &[NodeId],
    ) -> Result<(), BuildError> {
        self.inner.blobs.obtain(self.peers(), digest, candidates).await
    }

    /// Gets an uploaded archive from the first candidate that has it, unless it is here.
    pub async fn obtain_upload(
        &self,
        digest: &str,
        candidates: &[NodeId],
    ) -> Result<(), BuildError> {
        let missing =
            |asked: String| BuildError::UploadMissing { digest: digest.to_owned(), asked };
        let blob = BlobDigest::read(digest).ok_or_else(|| missing("that is no digest".into()))?;
        match self.obtain(&blob, candidates).await {
            Err(BuildError::BlobMissing { asked, .. }) => Err(missing(asked)),
            obtained => obtained,
        }
    }

    /// The archives sent to this node.
    pub fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    /// The logs of this node's builds.
    pub fn logs(&self) -> &BuildLogs {
        &self.inner.logs
    }

    /// Removes images, static sites, blobs and logs of this node that no deployment of the state needs here, and names
    /// of images that a push which was cut off has left.
    pub async fn collect_garbage(&self, state: &State, me: NodeId) -> Result<(), BuildError> {
        let collected = self.collect_gone(state, me, &Needed::default()).await;
        collected.and(self.drop_passing_names().await)
    }

    /// As [`collect_garbage`](Self::collect_garbage), where `gone` is known to be forgotten and may be younger.
    pub async fn collect_gone(
        &self,
        state: &State,
        me: NodeId,
        gone: &Needed,
    ) -> Result<(), BuildError> {
        let grace = Grace::default();
        let needed = Needed::of(state);
        let Inner { data_dir, engine, blobs, tags, pushes, .. } = &*self.inner;
        let sites = Kept { needed: &needed.sites, gone: &gone.sites, grace };
        let logs = Kept { needed: &needed.logs, gone: &gone.logs, grace };
        let images = Kept { needed: &needed.images, gone: &gone.images, grace };
        garbage::sweep(&data_dir.join("static"), &sites);
        garbage::sweep(&data_dir.join("logs"), &logs);
        garbage::sweep_parts(&blobs.parts(), grace.unknown);
        let garbage = Garbage { blobs, tags, pushed: pushes.blobs(), grace, gone };
        garbage.sweep(&needed, state, me).map_err(write_error)?;
        let docker = engine.docker().await?;
        garbage::sweep_pulled(&docker, &data_dir.join("pulled"), &images).await?;
        let data_dir = data_dir.display().to_string();
        garbage::sweep_exports(&docker, &data_dir, grace.unknown).await?;
        garbage::sweep_images(&docker, &data_dir, &images).await
    }
}
