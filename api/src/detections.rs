//! `/api/detections`: what would be built of a source, and why, before anything is.

use axum::Json as Out;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use temps_builder::{DetectRequest, Detected};
use temps_presets::{Commands, Dockerfile, Output, Recipe};
use temps_state::{Project, Source};
use utoipa::ToSchema;

use crate::auth::MayDeploy;
use crate::body::Json;
use crate::context::{Context, Shared};
use crate::deployments::{RevisionBody, SourceIn, ensure_upload};
use crate::{ApiError, ids};

/// A source to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDetection)]
pub struct DetectionIn {
    /// The project it is for, by name or id: what the source leaves out comes from its repository, with its deploy key.
    pub project: Option<String>,
    /// An upload, or a commit of a Git repository.
    pub source: SourceIn,
}

/// What would be built of a source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Detection)]
pub struct DetectionOut {
    /// The kind of source, such as `nextjs`.
    pub preset: String,
    /// Which files decided, and what in them; the preset's reason comes first.
    pub reasons: Vec<String>,
    /// What will probably not work, and what to do about it.
    pub warnings: Vec<String>,
    /// What is run to install, build and start it.
    pub commands: CommandsOut,
    /// What the build gives.
    pub output: OutputOut,
    /// What the image is built by; null when there is nothing to build.
    pub dockerfile: Option<DockerfileOut>,
    /// The port the app is to listen on; null for static sites.
    pub port: Option<u16>,
    /// Whether the port is the preset's: the only other port that the app listens on is taken instead.
    pub port_assumed: bool,
    /// The source's own configuration, where what was detected can be changed; null when it has none.
    pub config_file: Option<String>,
    /// The commit that was looked at; null for uploads. Deploy this one to get what is shown.
    pub revision: Option<RevisionBody>,
}

/// What is run; empty where the source's own Dockerfile says it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Commands)]
pub struct CommandsOut {
    /// Before the build.
    pub install: Vec<String>,
    /// To build the app.
    pub build: Vec<String>,
    /// To run it; null for static sites.
    pub start: Option<String>,
}

/// What a build gives.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Output)]
pub enum OutputOut {
    /// A container image.
    Image,
    /// A folder that the edge serves.
    Static {
        /// Where it is: absolute in the built image, or else in the source, where it is empty for the root.
        directory: String,
        /// Whether unknown paths get `index.html`.
        single_page: bool,
    },
}

/// What an image is built by.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Dockerfile)]
pub enum DockerfileOut {
    /// The preset's.
    Written {
        /// It.
        text: String,
    },
    /// The source's own.
    InSource {
        /// Where it is.
        path: String,
    },
}

/// Looks at a source as a build would, and says what would be built, and why. Builds nothing and keeps nothing.
#[utoipa::path(
    post, path = "/api/detections", tag = "deployments",
    request_body = DetectionIn, responses((status = 200, body = DetectionOut))
)]
pub(crate) async fn detect(
    State(context): State<Shared>,
    MayDeploy(_): MayDeploy,
    Json(DetectionIn { project, source }): Json<DetectionIn>,
) -> Result<Out<DetectionOut>, ApiError> {
    let state = context.cluster.read_latest().await?;
    let project = project.map(|p| ids::project(&state, &p)).transpose()?;
    let built = |_: &str| Err(nothing_to_detect());
    let source = source.read(project, built)?;
    match &source {
        Source::Upload { digest } => ensure_upload(&context, &state, digest).await?,
        Source::Git { .. } => {}
        Source::Image { .. } | Source::Artifact { .. } => return Err(nothing_to_detect()),
    }
    let _slot = context.detection_slot()?;
    let deploy_key = project.map(|project| deploy_key(&context, project)).transpose()?.flatten();
    // An upload is on this node by now.
    let request = DetectRequest { source, deploy_key, nodes: Vec::new() };
    let detected = context.builder.detect(request).await.map_err(ApiError::Source)?;
    Ok(Out(detected.into()))
}

fn nothing_to_detect() -> ApiError {
    ApiError::invalid("source.type", "only an `upload` or a `git` source is looked at")
}

fn deploy_key(context: &Context, project: &Project) -> Result<Option<String>, ApiError> {
    let sealed = project.repository.as_ref().and_then(|repository| repository.deploy_key.as_ref());
    let place = Project::deploy_key_place(project.id);
    Ok(sealed.map(|sealed| context.cluster.open(&place, sealed)).transpose()?)
}

impl From<Detected> for DetectionOut {
    fn from(detected: Detected) -> Self {
        let Detected { recipe, config, config_file, revision } = detected;
        let Recipe { preset, reasons, warnings, dockerfile, commands, output, .. } = recipe;
        let Commands { install, build, start } = commands;
        // In a source with its own Dockerfile, the configuration's command comes with a shell before it.
        let start = start.or_else(|| config.command.and_then(|mut words| words.pop()));
        let is_site = matches!(output, Output::Static { .. });
        Self {
            preset: preset.into(),
            reasons,
            warnings,
            commands: CommandsOut { install, build, start: start.filter(|_| !is_site) },
            output: output.into(),
            dockerfile: shown(dockerfile),
            port: (!is_site).then_some(config.port),
            port_assumed: !is_site && config.port_assumed,
            config_file: config_file.map(String::from),
            revision: revision.as_ref().map(RevisionBody::from),
        }
    }
}

impl From<Output> for OutputOut {
    fn from(output: Output) -> Self {
        match output {
            Output::Image => Self::Image,
            Output::Static { directory, single_page } => Self::Static { directory, single_page },
        }
    }
}

fn shown(dockerfile: Dockerfile) -> Option<DockerfileOut> {
    match dockerfile {
        Dockerfile::Written(text) => Some(DockerfileOut::Written { text }),
        Dockerfile::InSource(path) => Some(DockerfileOut::InSource { path }),
        Dockerfile::None => None,
    }
}
