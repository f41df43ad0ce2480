//! The handle: one call from a request to an artifact.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::Docker;
use temps_presets::{AppConfig, CA_SECRET, Output, Recipe, VARIABLES_SECRET};
use temps_state::{Artifact, Built, Revision, Source, State};
use tokio_util::sync::CancellationToken;

use crate::base_images::{BASE_IMAGES_MAX, BaseImages};
use crate::caps::Caps;
use crate::checkout::Wanted;
use crate::garbage::{self, GRACE_SECONDS, Needed};
use crate::image_build::ImageBuild;
use crate::image_folder::ImageFolder;
use crate::masked_log::MaskedLog;
use crate::recipe::{ImagePlan, SourcePlan};
use crate::session::{BuildSecrets, shell_file};
use crate::source_folder::{self, GitSource, SourceFolder};
use crate::static_site::{self, Served};
use crate::variables_digest::DigestKey;
use crate::{BuildError, BuildLogs, BuildRequest, Engine, Uploads, label, pull, step};

/// Builds on this node; cheap to clone.
#[derive(Clone)]
pub struct Builder {
    inner: Arc<Inner>,
    base_images: BaseImages,
}

struct Inner {
    engine: Engine,
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
        for folder in ["uploads", "static", "logs", "work"] {
            std::fs::create_dir_all(data_dir.join(folder)).map_err(failed)?;
        }
        let inner = Inner {
            engine,
            uploads: Uploads::new(data_dir.join("uploads")),
            logs: BuildLogs::new(data_dir.join("logs")),
            key: DigestKey::open(&data_dir.join("build.key")).map_err(failed)?,
            data_dir,
        };
        Ok(Self { inner: Arc::new(inner), base_images: BaseImages::default() })
    }

    /// The same builder, with something that makes base images which cannot be pulled.
    pub fn with_base_images(self, base_images: BaseImages) -> Self {
        Self { base_images, ..self }
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
        let build = Build {
            inner: &self.inner,
            base_images: &self.base_images,
            request: &request,
            log: &log,
        };
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

    /// The archives sent to this node.
    pub fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    /// The logs of this node's builds.
    pub fn logs(&self) -> &BuildLogs {
        &self.inner.logs
    }

    /// Removes images, static sites, uploads and logs of this node that no deployment of the state needs.
    pub async fn collect_garbage(&self, state: &State) -> Result<(), BuildError> {
        self.collect_older_than(state, Duration::from_secs(GRACE_SECONDS)).await
    }

    async fn collect_older_than(&self, state: &State, grace: Duration) -> Result<(), BuildError> {
        let needed = Needed::of(state);
        let Inner { data_dir, engine, .. } = &*self.inner;
        for (folder, needed) in
            [("uploads", &needed.uploads), ("static", &needed.sites), ("logs", &needed.logs)]
        {
            garbage::sweep(&data_dir.join(folder), needed, grace);
        }
        let docker = engine.docker().await?;
        let data_dir = data_dir.display().to_string();
        garbage::sweep_exports(&docker, &data_dir, grace).await?;
        garbage::sweep_images(&docker, &data_dir, &needed.images, grace).await
    }
}

/// One build under way.
struct Build<'a> {
    inner: &'a Inner,
    base_images: &'a BaseImages,
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
        let build = ImageBuild {
            engine: &self.inner.engine,
            engine_root: info.docker_root_dir.unwrap_or_default().into(),
            log: self.log,
            deployment: self.request.deployment,
            context: image.context,
            ignore: image.ignore,
            dockerfile: image.dockerfile,
            target: image.target,
            args: image.args,
            labels: self.labels(),
            tag: self.tag(),
            secrets: BuildSecrets::default()
                .with(VARIABLES_SECRET, shell_file(&self.request.variables))
                .with(CA_SECRET, limits.ca_certificates.clone()),
            caps: Caps::of(limits, natural(info.ncpu), natural(info.mem_total)),
        };
        for _ in 0..BASE_IMAGES_MAX {
            match build.run().await {
                Err(BuildError::BaseImageNotFound { image, detail }) => {
                    if !self.base_images.make(&image, self.log).await {
                        return Err(BuildError::BaseImageNotFound { image, detail });
                    }
                }
                ended => return ended,
            }
        }
        build.run().await
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
