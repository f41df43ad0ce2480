//! Next.js.
//!
//! Recognised by the dependency `next`. Writes an image that runs `next start`, or the standalone server where
//! next.config asks for `output: 'standalone'`; with `output: 'export'`, a build whose `out` the edge serves.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::listening::capture;
use crate::node::{PORT, Workshop};
use crate::source::Source;

const CONFIG: &[&str] = &["next.config.ts", "next.config.mjs", "next.config.js", "next.config.cjs"];

pub(crate) const PRESET: Preset = Preset {
    name: "nextjs",
    looks_for: "package.json with `next`",
    recognise: |source| Ok(source.package()?.and_then(|package| package.because("next"))),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source, PRESET.name)?;
    let output = capture(r#"(?m)^[^/\n]*\boutput:\s*['"](\w+)['"]"#, &source.text_of(CONFIG));
    let note = output.as_ref().map(|output| format!("next.config has the output `{output}`"));
    let plan = match output.as_deref() {
        Some("export") => workshop.site("next build", "out", false),
        Some("standalone") => standalone(source, &workshop),
        _ => workshop.server(Some("next build"), &start(&workshop), PORT),
    };
    Ok(plan.note(note))
}

/// The start script where it is more than `next start`, such as a server of the app's own.
fn start(workshop: &Workshop) -> String {
    let script = workshop.package.script("start").filter(|script| !script.contains("next dev"));
    script.unwrap_or("next start").to_owned()
}

fn standalone(source: Source, workshop: &Workshop) -> Plan {
    let mut folders = vec![(".next/standalone", "./"), (".next/static", ".next/static")];
    folders.extend(source.tree.exists("public").then_some(("public", "public")));
    workshop.bundle(workshop.built("next build"), &folders, "node server.js", PORT)
}
