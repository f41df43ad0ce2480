//! A folder of files for the edge.
//!
//! Recognised by index.html at the root or in a folder that usually holds a site. Writes nothing: no container runs.
//! With a configured build command and a package.json, it writes a build whose output the edge serves.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::node::Workshop;
use crate::recipe::{Commands, Dockerfile, Output};
use crate::source::Source;

/// Where sites are, by habit; the root first.
const FOLDERS: &[&str] = &[
    "", "public", "dist", "build", "www", "site", "_site", "htdocs", "html", "docs", "static",
    "src",
];

pub(crate) const PRESET: Preset = Preset {
    name: "static",
    looks_for: "index.html at the root or in public/",
    recognise: |source| Ok(folder(source).map(|folder| format!("there is {}", index(&folder)))),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    if let (Some(build), true) = (source.build_command(), source.package()?.is_some()) {
        return Ok(Workshop::new(source, PRESET.name)?.site(&build, "dist", false));
    }
    let directory = folder(source)
        .ok_or(DetectError::FileMissing { preset: PRESET.name, file: "index.html" })?;
    Ok(Plan {
        dockerfile: Dockerfile::None,
        commands: Commands::default(),
        output: Output::Static { directory, single_page: source.single_page(false) },
        port: None,
        notes: Vec::new(),
        warnings: Vec::new(),
    })
}

fn folder(source: Source) -> Option<String> {
    if let Some(configured) = &source.config.build.output_directory {
        let configured = configured.to_string();
        return source.tree.exists(&configured).then_some(configured);
    }
    FOLDERS.iter().find(|folder| source.tree.exists(&index(folder))).map(|folder| (*folder).into())
}

fn index(folder: &str) -> String {
    if folder.is_empty() { "index.html".into() } else { format!("{folder}/index.html") }
}
