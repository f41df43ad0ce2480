//! What the presets of Python share.

pub(crate) mod app_object;
mod dependencies;
mod django_settings;
mod framework;
mod workshop;

pub(crate) use app_object::AppObject;
pub(crate) use dependencies::Dependencies;
pub(crate) use django_settings::DjangoSettings;
pub(crate) use framework::Framework;
pub(crate) use workshop::{PORT, Workshop};
