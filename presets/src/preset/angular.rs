//! Angular.
//!
//! Recognised by the dependency `@angular/core` and angular.json. Writes a build whose output the edge serves: the
//! `outputPath` of angular.json, and its `browser` folder where the builder makes one; a server-rendered app runs its
//! own server instead.

use serde_json::Value;

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::node::{PORT, Workshop};
use crate::source::Source;

pub(crate) const PRESET: Preset = Preset {
    name: "angular",
    looks_for: "angular.json",
    recognise: |source| {
        let package = source.package()?.filter(|_| source.tree.exists("angular.json"));
        Ok(package.and_then(|package| package.because("@angular/core")))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source, PRESET.name)?;
    let workspace: Value =
        serde_json::from_str(&source.text_of(&["angular.json"])).unwrap_or_default();
    let (base, browser, server) = output(&workspace);
    if server {
        let start = format!("node {base}/server/server.mjs");
        return Ok(workshop.server(Some("ng build"), &start, PORT));
    }
    let directory = if browser { format!("{base}/browser") } else { base };
    Ok(workshop.site("ng build", &directory, true))
}

/// The output folder of the first project, whether its files are in `browser` below it, and whether it has a server.
fn output(workspace: &Value) -> (String, bool, bool) {
    let projects = workspace.get("projects").and_then(Value::as_object);
    let Some((name, project)) = projects.and_then(|projects| projects.iter().next()) else {
        return ("dist".into(), false, false);
    };
    let targets = project.get("architect").or_else(|| project.get("targets"));
    let build = targets.and_then(|targets| targets.get("build")).unwrap_or(&Value::Null);
    let builder = build.get("builder").and_then(Value::as_str).unwrap_or_default();
    let options = build.get("options").unwrap_or(&Value::Null);
    let path = options.get("outputPath").unwrap_or(&Value::Null);
    let base = path.as_str().or_else(|| path.get("base")?.as_str());
    let base = base.map_or_else(|| format!("dist/{name}"), str::to_owned);
    let flat = path.get("browser").and_then(Value::as_str) == Some("");
    let new_builder = builder.ends_with(":application");
    (
        base.trim_start_matches("./").into(),
        new_builder && !flat,
        new_builder && options.get("ssr").is_some_and(|ssr| ssr != false),
    )
}
