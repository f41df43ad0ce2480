//! What a source tree is and how it is built.
//!
//! [`AppConfig::read`] reads `temps.json` or `.temps.yaml`; [`detect`] looks at the tree and gives a [`Recipe`]: which
//! preset, why, and the Dockerfile that builds it. Nothing here runs, downloads or writes anything.

mod config;
mod detect;
mod dockerfile;
mod listening;
mod node;
mod preset;
mod procfile;
mod python;
mod recipe;
mod schema;
mod source;
mod source_tree;
mod version;

pub use config::{
    AppConfig, BeforeDeploy, BuildConfig, ConfigError, Cores, CronConfig, HealthConfig, Mebibytes,
    ResourcesConfig, Schedule, Seconds, ShellLine, SourcePath, UrlPath, Whole,
};
pub use detect::{DetectError, PRESETS, detect};
pub use dockerfile::{CA_SECRET, VARIABLES_ARG, VARIABLES_SECRET};
pub use preset::Preset;
pub use recipe::{Commands, Dockerfile, IGNORED, Output, Recipe};
pub use schema::json_schema;
pub use source_tree::{FileMap, Folder, SourceTree};
