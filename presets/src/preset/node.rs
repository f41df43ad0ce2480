//! A Node.js server of any kind: Express, Fastify, Nest, Hono, or none of them.
//!
//! Recognised by a package.json with a start script or an entry, or by a lone server.js. Writes an image that installs,
//! builds where there is a build script, and starts the server itself, not the package manager.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::dockerfile::Writer;
use crate::node::{PORT, PackageJson, Workshop, entry};
use crate::source::Source;

/// Dependencies of apps that answer requests themselves, even where Vite builds a part of them.
const SERVERS: &[&str] = &[
    "express",
    "fastify",
    "koa",
    "hono",
    "@nestjs/core",
    "@hapi/hapi",
    "restify",
    "polka",
    "h3",
    "@solidjs/start",
    "@tanstack/react-start",
    "@tanstack/solid-start",
    "vinxi",
    "@adonisjs/core",
    "@feathersjs/express",
    "@builder.io/qwik-city",
];
/// Servers that stand alone, without a package.json.
const LONE: &[&str] = &["server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs"];

pub(crate) const PRESET: Preset = Preset {
    name: "node",
    looks_for: "package.json with a start script, or server.js",
    recognise: |source| {
        let Some(package) = source.package()? else {
            return Ok(lone_server(source).map(|file| format!("{file} is a server")));
        };
        if !package.has_dependencies()
            && package.script("start").is_none()
            && source.tree.exists("index.html")
        {
            return Ok(None);
        }
        let manager = crate::node::PackageManager::of(source, &package);
        let start = source.start().map(|_| "the start command is given".to_owned());
        Ok(start.or_else(|| entry::start(source, &package, &manager).map(|start| start.because)))
    },
    plan,
};

/// Whether the app runs a server of its own beside what it builds for browsers.
pub(crate) fn brings_server(package: &PackageJson) -> bool {
    let start = package.script("start").unwrap_or_default();
    let runs_code = ["node ", "tsx ", "ts-node", "bun ", "vinxi", "start"]
        .iter()
        .any(|word| start.contains(word));
    package.first_of(SERVERS).is_some() && runs_code && !start.starts_with("vite")
}

/// A file that is plainly a server: it listens, and no page loads it.
fn lone_server(source: Source) -> Option<&'static str> {
    let file = source.first_of(LONE)?;
    let text = source.tree.read(file)?;
    text.contains(".listen(").then_some(file)
}

fn plan(source: Source) -> Result<Plan, DetectError> {
    if source.package()?.is_none() {
        return alone(source);
    }
    let workshop = Workshop::new(source, PRESET.name)?;
    let start = source.start().map(Ok).unwrap_or_else(|| {
        entry::start(source, &workshop.package, &workshop.manager)
            .map(|start| start.command)
            .ok_or(DetectError::NoStart {
                preset: PRESET.name,
                looked_for: "the script `start` and `main` in package.json, server.js, index.js and app.js",
                example: "{\"start\": \"node path/to/server.js\"}",
            })
    })?;
    let listening = entry::heard(source, &start);
    let port = listening.port_or(PORT);
    Ok(workshop.server(compile(source, &workshop, &start), &start, port).heard(listening))
}

/// TypeScript that is started from its output needs compiling, script or not.
fn compile(source: Source, workshop: &Workshop, start: &str) -> Option<&'static str> {
    let compiled = start.contains("dist/") || start.contains("build/");
    (compiled && source.tree.exists("tsconfig.json") && workshop.package.has("typescript"))
        .then_some("tsc")
}

fn alone(source: Source) -> Result<Plan, DetectError> {
    let file = lone_server(source)
        .ok_or(DetectError::FileMissing { preset: PRESET.name, file: PackageJson::FILE })?;
    let start = source.start().unwrap_or_else(|| format!("node {file}"));
    let listening = entry::heard(source, &start);
    let port = listening.port_or(PORT);
    let writer = Writer::default()
        .from("node:22-slim", None)
        .line("WORKDIR /app")
        .user("node", 1_000)
        .copy(&["."], ".")
        .line("ENV NODE_ENV=production")
        .listen(source.port_or(port))
        .start(&start);
    Ok(Plan::server(writer, port).heard(listening))
}
