//! Vite: React, Vue, Svelte, Solid, Preact and plain sites.
//!
//! Recognised by the dependency `vite`, unless the app brings its own server. Writes a build whose `dist`, or the
//! `build.outDir` of vite.config, the edge serves.

use super::Preset;
use super::node::brings_server;
use crate::listening::capture;
use crate::node::Workshop;
use crate::source::Source;

pub(crate) const PRESET: Preset = Preset {
    name: "vite",
    looks_for: "package.json with `vite`",
    recognise: |source| {
        let package = source.package()?.filter(|package| !brings_server(package));
        Ok(package.and_then(|package| package.because("vite")))
    },
    plan: |source| {
        Ok(Workshop::new(source, PRESET.name)?.site("vite build", &out_dir(source), true))
    },
};

fn out_dir(source: Source) -> String {
    let config =
        source.text_of(&["vite.config.ts", "vite.config.js", "vite.config.mjs", "vite.config.mts"]);
    capture(r#"outDir:\s*['"]\.?/?([\w./-]+)['"]"#, &config)
        .filter(|directory| !directory.split('/').any(|part| part == ".."))
        .unwrap_or_else(|| "dist".into())
}
