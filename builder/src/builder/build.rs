//! One build, from its source to its artifact.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bollard::Docker;
use temps_presets::{AppConfig, CA_SECRET, Output, Recipe, VARIABLES_SECRET};
use temps_state::{Artifact, Built, Revision, Source};

use super::Inner;
use super::fetch::Fetch;
use crate::base_images::BASE_IMAGES_MAX;
use crate::caps::Caps;
use crate::image_build::ImageBuild;
use crate::image_folder::ImageFolder;
use crate::masked_log::MaskedLog;
use crate::older_words::{self, Rewritten};
use crate::recipe::{ImagePlan, SourcePlan};
use crate::session::{BuildSecrets, shell_file};
use crate::source_folder::SourceFolder;
use crate::static_site::{self, Served};
use crate::{
    BuildError, BuildRequest, Builder, OWN_REGISTRY, OwnImage, dockerfile, frontend, garbage,
    label, pull, step,
};

/// One build under way.
pub(super) struct Build<'a> {
    pub(super) inner: &'a Inner,
    pub(super) builder: &'a Builder,
    pub(super) request: &'a BuildRequest,
    pub(super) log: &'a MaskedLog,
}

impl Build<'_> {
    pub(super) async fn run(&self) -> Result<Built, BuildError> {
        if let Source::Image { reference } = &self.request.source {
            return self.told(step::BUILD, self.ready_image(reference)).await;
        }
        let work = self.builder.work_folder(&format!("{}-", self.request.deployment))?;
        let BuildRequest { source, deploy_key, nodes, .. } = self.request;
        let fetch =
            Fetch { builder: self.builder, source, deploy_key: deploy_key.as_deref(), nodes };
        let source = self.told(step::SOURCE, fetch.run(work.path(), self.log)).await?;
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

    fn detect(&self, source: &SourceFolder) -> Result<SourcePlan, BuildError> {
        let plan = SourcePlan::read(&source.root)?;
        let Recipe { preset, warnings, .. } = &plan.recipe;
        self.log.write(step::DETECT, &format!("preset {preset}: {}", plan.recipe.because()));
        for warning in warnings {
            self.log.write(step::DETECT, &format!("warning: {warning}"));
        }
        Ok(plan)
    }

    async fn ready_image(&self, reference: &str) -> Result<Built, BuildError> {
        let docker = self.inner.engine.docker().await?;
        let image = match OwnImage::read(reference, |host| host == OWN_REGISTRY) {
            Some(own) => self.builder.ready_pushed(&docker, &own.name(), self.request).await?,
            None => pull::ready_image(&docker, reference, self.log).await?,
        };
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
