//! Vue CLI.
//!
//! Recognised by the dependency `@vue/cli-service`. Writes a build whose `dist` the edge serves.

use super::Preset;
use crate::node::Workshop;

pub(crate) const PRESET: Preset = Preset {
    name: "vue-cli",
    looks_for: "package.json with `@vue/cli-service`",
    recognise: |source| {
        Ok(source.package()?.and_then(|package| package.because("@vue/cli-service")))
    },
    plan: |source| {
        Ok(Workshop::new(source, PRESET.name)?.site("vue-cli-service build", "dist", true))
    },
};
