//! Gatsby.
//!
//! Recognised by the dependency `gatsby`. Writes a build whose `public` the edge serves.

use super::Preset;
use crate::node::Workshop;

pub(crate) const PRESET: Preset = Preset {
    name: "gatsby",
    looks_for: "package.json with `gatsby`",
    recognise: |source| Ok(source.package()?.and_then(|package| package.because("gatsby"))),
    plan: |source| Ok(Workshop::new(source, PRESET.name)?.site("gatsby build", "public", false)),
};
