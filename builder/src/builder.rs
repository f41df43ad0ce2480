//! The handle: one call from a request to an artifact.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::Docker;
use temps_presets::{AppConfig, CA_SECRET, Output, Recipe, VARIABLES_SECRET};
use temps_state::{Artifact, Built, NodeId, Revision, Source, State};
use tokio_util::sync::CancellationToken;

use crate::base_images::{BASE_IMAGES_MAX, BaseImages};
use crate::blobs::write_error;
use crate::caps::Caps;
use crate::checkout::Wanted;
use crate::garbage::{self, GRACE_SECONDS, Garbage, Needed};
use crate::image_build::ImageBuild;
use crate::image_folder::ImageFolder;
use crate::masked_log::MaskedLog;
use crate::older_words::{self, Rewritten};
use crate::recipe::{ImagePlan, SourcePlan};
use crate::session::{BuildSecrets, shell_file};
use crate::source_folder::{self, GitSource, SourceFolder};
use crate::static_site::{self, Served};
use crate::variables_digest::DigestKey;
use crate::{
    BlobDigest, Blobs, BuildError, BuildLogs, BuildRequest, Engine, OwnRegistry, Peers, Tags,
    Uploads, dockerfile, frontend, label, pull, step,
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

    /// The content-addressed store of this node.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// The names in this node's registry.
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

    /// Removes images, static sites, blobs and logs of this node that no deployment of the state needs here.
    pub async fn collect_garbage(&self, state: &State, me: NodeId) -> Result<(), BuildError> {
        self.collect_older_than(state, me, Duration::from_secs(GRACE_SECONDS)).await
    }

    pub(crate) async fn collect_older_than(
        &self,
        state: &State,
        me: NodeId,
        grace: Duration,
    ) -> Result<(), BuildError> {
        let needed = Needed::of(state);
        let Inner { data_dir, engine, blobs, tags, .. } = &*self.inner;
        for (folder, needed) in [("static", &needed.sites), ("logs", &needed.logs)] {
            garbage::sweep(&data_dir.join(folder), needed, grace);
        }
        garbage::sweep(&blobs.parts(), &BTreeSet::new(), grace);
        Garbage { blobs, tags, grace }.sweep(&needed, state, me).map_err(write_error)?;
        let docker = engine.docker().await?;
        garbage::sweep_pulled(&docker, &data_dir.join("pulled"), &needed.images, grace).await?;
        let data_dir = data_dir.display().to_string();
        garbage::sweep_exports(&docker, &data_dir, grace).await?;
        garbage::sweep_images(&docker, &data_dir, &needed.images, grace).await
    }
}

/// One build under way.
struct Build<'a> {
    inner: &'a Inner,
    builder: &'a Builder,
    request: &'a BuildRequest,
    log: &'a MaskedLog,
}

impl Build<'_> {
    async fn run(&self) -> Result<Built, BuildError> {
        if let Source::Image { reference } = &self.request.source {
            return self.told(step::BUILD, self.ready_image(reference)).await;
        }
        let prefix = format!("{}-", self.request.deployment);
        let work = tempfile::Builder::new().prefix(&prefix).tempdir_in(self.folder("work"));
        let work = work.map_err(|source| BuildError::Write { what: "the work folder", source })?;
        let source = self.told(step::SOURCE, self.fetch(work.path())).await?;
        let plan = self.told(step::DETECT, async { self.detect(&source) }).await?;
        let variables = self.inner.key.digest(&self.request.variables);
        match plan.image(&source.root, variables)? {
            Some(image) => self.build_image(&plan, image, source.revision, work.path()).await,
            None => self.publish_source(&plan, source).await,
        }
    }

    /// Runs a step and tells how it ended.
    async fn told<T>(
        &self,
        step: &str,
        work: impl Future<Output = Result<T, BuildError>>,
    ) -> Result<T, BuildError> {
        let begun = Instant::now();
        let result = work.await;
        match &result {
            Ok(_) => self.log.done(step, begun),
            Err(error) => self.log.write(step, &format!("failed: {}", error.message())),
        }
        result
    }

    async fn fetch(&self, work: &Path) -> Result<SourceFolder, BuildError> {
        match &self.request.source {
            Source::Upload { digest } => {
                self.builder.obtain_upload(digest, &self.request.nodes).await?;
                source_folder::unpack(&self.inner.uploads, digest, work, self.log).await
            }
            Source::Git { url, branch, commit, directory } => {
                let git = GitSource {
                    url,
                    wanted: Wanted::read(branch.as_deref(), commit.as_deref()),
                    directory,
                    deploy_key: self.request.deploy_key.as_deref(),
                    known_hosts: &self.inner.data_dir.join("known_hosts"),
                };
                git.check_out(work, self.log).await
            }
            Source::Image { .. } | Source::Artifact { .. } => Err(BuildError::NothingToBuild),
        }
    }

    fn detect(&self, source: &SourceFolder) -> Result<SourcePlan, BuildError> {
        let plan = SourcePlan::read(&source.root)?;
        let Recipe { preset, because, warnings, .. } = &plan.recipe;
        self.log.write(step::DETECT, &format!("preset {preset}: {because}"));
        for warning in warnings {
            self.log.write(step::DETECT, &format!("warning: {warning}"));
        }
        Ok(plan)
    }

    async fn ready_image(&self, reference: &str) -> Result<Built, BuildError> {
        let docker = self.inner.engine.docker().await?;
        let image = pull::ready_image(&docker, reference, self.log).await?;
        self.log.write(step::BUILD, &format!("image {}", image.id));
        let config = AppConfig::default().run_config(&Recipe::image(reference), image.port);
        let artifact = Artifact::Image { id: image.id };
        Ok(Built { artifact, config, revision: self.request.revision.clone() })
    }

    async fn build_image(
        &self,
        plan: &SourcePlan,
        image: ImagePlan,
        revision: Option<Revision>,
        work: &Path,
    ) -> Result<Built, BuildError> {
        let docker = self.inner.engine.docker().await?;
        let id = self.told(step::BUILD, self.solve(&docker, image)).await?;
        let (artifact, port) = match &plan.recipe.output {
            Output::Image => {
                let port = pull::find(&docker, &id).await?.and_then(|image| image.port);
                self.log.write(step::PUBLISH, &format!("image {} ({id})", self.tag()));
                (Artifact::Image { id }, port)
            }
            Output::Static { directory, single_page } => {
                let files = self.publish_image(&docker, &id, directory, work);
                let digest = self.told(step::PUBLISH, files).await;
                garbage::remove_image(&docker, &self.tag()).await?;
                (Artifact::Static { digest: digest?, single_page: *single_page }, None)
            }
        };
        let config = plan.config.run_config(&plan.recipe, port);
        Ok(Built { artifact, config, revision: revision.or(self.request.revision.clone()) })
    }

    async fn solve(&self, docker: &Docker, image: ImagePlan) -> Result<String, BuildError> {
        let info = docker.info().await;
        let info =
            info.map_err(|source| BuildError::Engine { doing: "describe itself", source })?;
        let limits = &self.request.limits;
        let natural = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        self.ready_base_images(docker, &image).await;
        let (path, text) = image.dockerfile;
        let text = frontend::readable(docker, text, self.log).await;
        let rewritten =
            self.in_known_words(&info.server_version.unwrap_or_default(), text, &image.args);
        let build = ImageBuild {
            engine: &self.inner.engine,
            engine_root: info.docker_root_dir.unwrap_or_default().into(),
            log: self.log,
            deployment: self.request.deployment,
            context: image.context,
            ignore: image.ignore,
            dockerfile: (path, rewritten.dockerfile),
            files: rewritten.files,
            target: image.target,
            args: image.args,
            labels: self.labels(),
            tag: self.tag(),
            secrets: BuildSecrets::default()
                .with(VARIABLES_SECRET, shell_file(&self.request.variables))
                .with(CA_SECRET, limits.ca_certificates.clone()),
            caps: Caps::of(limits, natural(info.ncpu), natural(info.mem_total)),
        };
        build.run().await
    }

    /// Has the base images made that are not here, before the engine is sent anything. What cannot be made is left to
    /// the engine: it pulls it, or says why it cannot.
    async fn ready_base_images(&self, docker: &Docker, image: &ImagePlan) {
        let base_images = &self.builder.base_images;
        if !base_images.are_made() {
            return;
        }
        let names = dockerfile::images(&image.dockerfile.1, &image.args);
        for name in names.iter().take(BASE_IMAGES_MAX) {
            if let Ok(None) = pull::find(docker, name).await {
                base_images.make(name, self.log).await;
            }
        }
    }

    fn in_known_words(
        &self,
        engine_version: &str,
        text: String,
        args: &BTreeMap<String, String>,
    ) -> Rewritten {
        let lacks = older_words::lacks_them(engine_version);
        match lacks.then(|| older_words::in_older_words(&text, args)).flatten() {
            Some(rewritten) => {
                let told = format!(
                    "Docker {engine_version} knows neither here-documents nor `COPY --link` by itself: they are \
                     written in its words"
                );
                self.log.write(step::BUILD, &told);
                rewritten
            }
            None => Rewritten { dockerfile: text, files: Vec::new() },
        }
    }

    async fn publish_image(
        &self,
        docker: &Docker,
        image: &str,
        directory: &str,
        work: &Path,
    ) -> Result<String, BuildError> {
        let deployment = self.request.deployment;
        let folder = ImageFolder { docker, image, deployment, directory };
        let files = folder.copy(work).await?;
        self.publish(files, Served::All, directory).await
    }

    async fn publish_source(
        &self,
        plan: &SourcePlan,
        source: SourceFolder,
    ) -> Result<Built, BuildError> {
        let Output::Static { directory, single_page } = &plan.recipe.output else {
            return Err(BuildError::NothingToBuild);
        };
        let folder = crate::checkout::app_folder(&source.root, directory);
        let publish = async { self.publish(folder?, Served::Visible, directory).await };
        let digest = self.told(step::PUBLISH, publish).await?;
        Ok(Built {
            artifact: Artifact::Static { digest, single_page: *single_page },
            config: plan.config.run_config(&plan.recipe, None),
            revision: source.revision.or(self.request.revision.clone()),
        })
    }

    async fn publish(
        &self,
        files: PathBuf,
        served: Served,
        directory: &str,
    ) -> Result<String, BuildError> {
        let sites = self.folder("static");
        let writing =
            tokio::task::spawn_blocking(move || static_site::publish(&files, &sites, served));
        let written = writing.await.map_err(|panic| BuildError::Write {
            what: "the static site",
            source: io::Error::other(panic),
        })?;
        match written {
            Err(BuildError::OutputEmpty { .. }) => {
                Err(BuildError::OutputEmpty { directory: directory.into() })
            }
            written => written.inspect(|digest| {
                self.log.write(step::PUBLISH, &format!("static site {digest}"));
            }),
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.inner.data_dir.join(name)
    }

    fn tag(&self) -> String {
        format!("temps/{}:{}", self.request.project, self.request.deployment)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        [
            (label::MANAGED, "true".to_owned()),
            (label::DATA_DIR, self.inner.data_dir.display().to_string()),
            (label::PROJECT, self.request.project.to_string()),
            (label::DEPLOYMENT, self.request.deployment.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}
