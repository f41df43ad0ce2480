//! Remix, and React Router in framework mode.
//!
//! Recognised by the dependency `@remix-run/dev` or `@react-router/dev`. Writes an image that runs the start script, or
//! the framework's own server; with `ssr: false`, a build whose `build/client` the edge serves.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::listening::regex;
use crate::node::{PORT, PackageManager, Workshop, entry};
use crate::source::Source;

const CONFIG: &[&str] =
    &["react-router.config.ts", "react-router.config.js", "vite.config.ts", "vite.config.js"];

pub(crate) const PRESET: Preset = Preset {
    name: "remix",
    looks_for: "package.json with `@remix-run/dev` or `@react-router/dev`",
    recognise: |source| {
        let package = source.package()?;
        Ok(package.and_then(|package| {
            package.because("@remix-run/dev").or_else(|| package.because("@react-router/dev"))
        }))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source, PRESET.name)?;
    let router = workshop.package.has("@react-router/dev");
    let (build, server) = if router {
        ("react-router build", "react-router-serve build/server/index.js")
    } else {
        ("remix vite:build", "remix-serve build/server/index.js")
    };
    if regex(r"(?m)^[^/\n]*\bssr:\s*false").is_match(&source.text_of(CONFIG)) {
        return Ok(workshop.site(build, "build/client", true));
    }
    Ok(workshop.server(Some(build), &start(source, &workshop, server), PORT))
}

fn start(source: Source, workshop: &Workshop, server: &str) -> String {
    let manager: &PackageManager = &workshop.manager;
    let scripted = entry::start(source, &workshop.package, manager);
    scripted.map_or_else(|| server.to_owned(), |start| start.command)
}
