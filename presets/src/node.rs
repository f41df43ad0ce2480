//! What the presets of Node.js share.

pub(crate) mod entry;
mod package_json;
mod package_manager;
mod workshop;

pub(crate) use package_json::PackageJson;
pub(crate) use package_manager::PackageManager;
pub(crate) use workshop::{PORT, Workshop};
