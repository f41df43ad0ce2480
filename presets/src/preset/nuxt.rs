//! Nuxt.
//!
//! Recognised by the dependency `nuxt`. Writes an image that holds only `.output` and runs its server; where the build
//! script is `nuxt generate`, a build whose `.output/public` the edge serves.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::node::{PORT, Workshop};
use crate::source::Source;

pub(crate) const PRESET: Preset = Preset {
    name: "nuxt",
    looks_for: "package.json with `nuxt`",
    recognise: |source| {
        let package = source.package()?;
        Ok(package.and_then(|package| package.because("nuxt").or_else(|| package.because("nuxt3"))))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source, PRESET.name)?;
    let build = workshop.build_command(None).unwrap_or_default();
    let script = workshop.package.script("build").unwrap_or_default();
    if build.contains("generate") || script.contains("generate") {
        return Ok(workshop.site("nuxt generate", ".output/public", false));
    }
    let built = workshop.built("nuxt build");
    Ok(workshop.bundle(built, &[(".output", ".output")], "node .output/server/index.mjs", PORT))
}
