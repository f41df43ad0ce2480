//! SvelteKit.
//!
//! Recognised by the dependency `@sveltejs/kit`. With adapter-static it writes a build whose `build` folder the edge
//! serves; with adapter-node an image that runs `build`. adapter-auto knows no plain server, so the build puts
//! adapter-node in its place.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer};
use crate::listening::capture;
use crate::node::{PORT, Workshop};
use crate::source::Source;

const CONFIG: &[&str] =
    &["svelte.config.js", "svelte.config.ts", "vite.config.ts", "vite.config.js"];

pub(crate) const PRESET: Preset = Preset {
    name: "sveltekit",
    looks_for: "package.json with `@sveltejs/kit`",
    recognise: |source| Ok(source.package()?.and_then(|package| package.because("@sveltejs/kit"))),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source, PRESET.name)?;
    let file = source.first_of(CONFIG).unwrap_or("svelte.config.js");
    let adapter = capture(r#"['"]@sveltejs/adapter-(\w+)['"]"#, &source.text_of(CONFIG));
    match adapter.as_deref() {
        Some("static") => {
            Ok(workshop.site("vite build", "build", source.text_of(CONFIG).contains("fallback")))
        }
        Some("node") => Ok(workshop.server(Some("vite build"), "node build", PORT)),
        Some("auto") | None => Ok(with_node_adapter(&workshop, file)),
        Some(other) => Err(DetectError::OtherPlatform {
            file: "svelte.config.js",
            adapter: format!("@sveltejs/adapter-{other}"),
            instead: "@sveltejs/adapter-node for a server, or @sveltejs/adapter-static",
        }),
    }
}

fn with_node_adapter(workshop: &Workshop, config: &str) -> Plan {
    // Each major version of the adapter is for one of SvelteKit.
    let version = match workshop.package.major("@sveltejs/kit") {
        Some(1) => "1",
        Some(2) => "5",
        _ => "latest",
    };
    let swap = |writer: Writer| {
        writer.run(workshop.manager.add(&format!("@sveltejs/adapter-node@{version}"))).run(
            Run::of(format!("sed -i s#@sveltejs/adapter-auto#@sveltejs/adapter-node# {config}"))
                .plain(),
        )
    };
    let built = workshop.built_after(swap, "vite build");
    let folders = [("build", "build"), ("node_modules", "node_modules"), ("package.json", "./")];
    workshop
        .bundle(built, &folders, "node build", PORT)
        .note(Some(format!("{config} uses adapter-auto: adapter-node takes its place")))
}
