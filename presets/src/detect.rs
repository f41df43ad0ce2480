//! Decides which preset a source is of.

use crate::config::{AppConfig, nearest};
use crate::preset::{self, Plan, Preset};
use crate::recipe::{Output, Recipe};
use crate::source::Source;
use crate::source_tree::SourceTree;

/// The presets in the order they are tried. What a source says outright comes first; back-end manifests come before
/// package.json, because many of them have one for their assets only; plain folders come last.
pub const PRESETS: &[&Preset] = &[
    &preset::dockerfile::PRESET,
    &preset::laravel::PRESET,
    &preset::php::PRESET,
    &preset::rails::PRESET,
    &preset::ruby::PRESET,
    &preset::java::PRESET,
    &preset::go::PRESET,
    &preset::rust::PRESET,
    &preset::django::PRESET,
    &preset::nextjs::PRESET,
    &preset::nuxt::PRESET,
    &preset::sveltekit::PRESET,
    &preset::remix::PRESET,
    &preset::astro::PRESET,
    &preset::angular::PRESET,
    &preset::docusaurus::PRESET,
    &preset::gatsby::PRESET,
    &preset::fastapi::PRESET,
    &preset::flask::PRESET,
    &preset::python::PRESET,
    &preset::eleventy::PRESET,
    &preset::vue_cli::PRESET,
    &preset::create_react_app::PRESET,
    &preset::vite::PRESET,
    &preset::bundler::PRESET,
    &preset::node::PRESET,
    &preset::static_folder::PRESET,
];

/// Why a source cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// No preset fits.
    #[error(
        "nothing in the source says how to build it; looked for {looked_for}. Add a Dockerfile, or deploy the \
         folder that holds the app, or name a preset in temps.json: {{\"preset\": \"…\"}}"
    )]
    NothingFits {
        /// What the presets look for.
        looked_for: String,
    },
    /// The configuration names a preset that does not exist.
    #[error("{file} names the preset `{name}`, which does not exist; {hint}")]
    UnknownPreset {
        /// The configuration file.
        file: &'static str,
        /// The name.
        name: String,
        /// The nearest preset, or all of them.
        hint: String,
    },
    /// A preset needs a file that is not there.
    #[error("the preset `{preset}` needs {file}, which the source does not have")]
    FileMissing {
        /// The preset.
        preset: &'static str,
        /// The file.
        file: &'static str,
    },
    /// The configuration names a Dockerfile that is not there.
    #[error("there is no {path}: `build.dockerfile` is relative to the source's root")]
    DockerfileMissing {
        /// The path.
        path: String,
    },
    /// A package.json cannot be read.
    #[error("package.json cannot be read")]
    PackageInvalid {
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// A composer.json cannot be read.
    #[error("composer.json cannot be read")]
    ComposerInvalid {
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// A TOML file cannot be read.
    #[error("{file} cannot be read")]
    TomlInvalid {
        /// The file.
        file: &'static str,
        /// What the parser says.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// It is not clear what to run.
    #[error(
        "{preset}: cannot tell how the app is started; looked for {looked_for}. Name it in temps.json: {example}"
    )]
    NoStart {
        /// The preset.
        preset: &'static str,
        /// Where a start command was looked for.
        looked_for: &'static str,
        /// What to write in the configuration.
        example: &'static str,
    },
    /// There are several programs, and no telling which is meant.
    #[error("{preset}: there are several programs ({found}). Name one in temps.json: {example}")]
    SeveralPrograms {
        /// The preset.
        preset: &'static str,
        /// The programs.
        found: String,
        /// What to write in the configuration.
        example: String,
    },
    /// There is nothing that a command could run in.
    #[error(
        "{file} has `beforeDeploy`, but the preset `{preset}` makes a static site, which has no container to run it in; \
         remove `beforeDeploy`, or run the command in `build.buildCommand`"
    )]
    NothingToRunIn {
        /// The configuration file.
        file: &'static str,
        /// The preset.
        preset: &'static str,
    },
    /// The app is made for another platform.
    #[error("{file} uses {adapter}, whose output runs on that platform only; use {instead}")]
    OtherPlatform {
        /// Where it says so.
        file: &'static str,
        /// The adapter.
        adapter: String,
        /// What to use here.
        instead: &'static str,
    },
}

/// Decides how a source is built: by the preset that the configuration names, or by the first that recognises it.
pub fn detect(tree: &dyn SourceTree, config: &AppConfig) -> Result<Recipe, DetectError> {
    let source = Source { tree, config };
    let (preset, because) = match &config.preset {
        Some(name) => named(source, name)?,
        None => recognised(source)?,
    };
    let plan = (preset.plan)(source)?;
    let is_site = matches!(plan.output, Output::Static { .. });
    if is_site && !config.before_deploy.lines().is_empty() {
        let file = config.file.unwrap_or(AppConfig::JSON);
        return Err(DetectError::NothingToRunIn { file, preset: preset.name });
    }
    Ok(recipe(preset, because, plan))
}

fn named(source: Source, name: &str) -> Result<(&'static Preset, String), DetectError> {
    let file = source.config.file.unwrap_or(AppConfig::JSON);
    let preset = PRESETS.iter().find(|preset| preset.name == name);
    let preset = preset.ok_or_else(|| DetectError::UnknownPreset {
        file,
        name: name.into(),
        hint: hint(name),
    })?;
    Ok((preset, format!("{file} names the preset `{name}`")))
}

fn hint(name: &str) -> String {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    match nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("presets are {}", names.join(", ")),
    }
}

fn recognised(source: Source) -> Result<(&'static Preset, String), DetectError> {
    for preset in PRESETS {
        if let Some(because) = (preset.recognise)(source)? {
            return Ok((preset, because));
        }
    }
    let looked_for: Vec<&str> = PRESETS.iter().map(|preset| preset.looks_for).collect();
    Err(DetectError::NothingFits { looked_for: looked_for.join("; ") })
}

fn recipe(preset: &Preset, because: String, plan: Plan) -> Recipe {
    Recipe {
        preset: preset.name,
        reasons: std::iter::once(because).chain(plan.notes).collect(),
        warnings: plan.warnings,
        dockerfile: plan.dockerfile,
        commands: plan.commands,
        output: plan.output,
        port: plan.port,
    }
}
