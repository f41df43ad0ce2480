//! Astro.
//!
//! Recognised by the dependency `astro`. Writes a build whose `dist` the edge serves; with the Node adapter it writes an
//! image that runs the server.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::node::{PORT, Workshop};
use crate::source::Source;

/// Adapters whose output runs elsewhere.
const OTHERS: &[&str] = &["@astrojs/vercel", "@astrojs/netlify", "@astrojs/cloudflare"];
const CONFIG: &[&str] =
    &["astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts"];

pub(crate) const PRESET: Preset = Preset {
    name: "astro",
    looks_for: "package.json with `astro`",
    recognise: |source| Ok(source.package()?.and_then(|package| package.because("astro"))),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source, PRESET.name)?;
    let config = source.text_of(CONFIG);
    if config.contains("@astrojs/node") {
        let plan = workshop.server(Some("astro build"), "node dist/server/entry.mjs", PORT);
        return Ok(plan.note(Some("astro.config uses @astrojs/node".into())));
    }
    match OTHERS.iter().find(|adapter| config.contains(**adapter)) {
        Some(adapter) => Err(DetectError::OtherPlatform {
            file: "astro.config",
            adapter: (*adapter).into(),
            instead: "@astrojs/node for a server, or no adapter for a static site",
        }),
        None => Ok(workshop.site("astro build", "dist", false)),
    }
}
