//! Docusaurus.
//!
//! Recognised by the dependency `@docusaurus/core`. Writes a build whose `build` the edge serves.

use super::Preset;
use crate::node::Workshop;

pub(crate) const PRESET: Preset = Preset {
    name: "docusaurus",
    looks_for: "package.json with `@docusaurus/core`",
    recognise: |source| {
        Ok(source.package()?.and_then(|package| package.because("@docusaurus/core")))
    },
    plan: |source| Ok(Workshop::new(source, PRESET.name)?.site("docusaurus build", "build", false)),
};
