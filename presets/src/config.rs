//! `temps.json`, also `.temps.yaml`: what a source says about how it is built and run.

mod app_config;
mod error;
mod file;
mod place;
mod value;

pub use app_config::{AppConfig, BuildConfig, CronConfig, HealthConfig, ResourcesConfig};
pub use error::ConfigError;
pub(crate) use file::nearest;
pub use value::{
    BeforeDeploy, Cores, Mebibytes, Schedule, Seconds, ShellLine, SourcePath, UrlPath, Whole,
};
