//! What the presets of Python share.

pub(crate) mod app_object;
mod dependencies;
mod workshop;

pub(crate) use app_object::AppObject;
pub(crate) use dependencies::Dependencies;
pub(crate) use workshop::{PORT, Workshop};
