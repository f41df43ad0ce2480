//! Eleventy.
//!
//! Recognised by the dependency `@11ty/eleventy`. Writes a build whose `_site` the edge serves.

use super::Preset;
use crate::node::Workshop;

pub(crate) const PRESET: Preset = Preset {
    name: "eleventy",
    looks_for: "package.json with `@11ty/eleventy`",
    recognise: |source| Ok(source.package()?.and_then(|package| package.because("@11ty/eleventy"))),
    plan: |source| Ok(Workshop::new(source, PRESET.name)?.site("eleventy", "_site", false)),
};
