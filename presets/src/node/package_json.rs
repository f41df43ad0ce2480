//! A package.json, as far as presets need it. Fields of unexpected types count as missing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::detect::DetectError;
use crate::listening::capture;

#[derive(Debug, Clone, Default)]
pub(crate) struct PackageJson {
    fields: Map<String, Value>,
    scripts: BTreeMap<String, String>,
    dependencies: BTreeMap<String, String>,
}

impl PackageJson {
    pub(crate) const FILE: &str = "package.json";

    pub(crate) fn parse(text: &str) -> Result<Self, DetectError> {
        let fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|source| DetectError::PackageInvalid { source })?;
        let scripts = strings(fields.get("scripts"));
        let dependencies = ["devDependencies", "dependencies"]
            .iter()
            .flat_map(|key| strings(fields.get(*key)))
            .collect();
        Ok(Self { fields, scripts, dependencies })
    }

    /// A script's text.
    pub(crate) fn script(&self, name: &str) -> Option<&str> {
        self.scripts.get(name).map(String::as_str)
    }

    /// Whether there is a dependency, for production or development.
    pub(crate) fn has(&self, dependency: &str) -> bool {
        self.dependencies.contains_key(dependency)
    }

    /// The first of these that is a dependency.
    pub(crate) fn first_of<'d>(&self, dependencies: &[&'d str]) -> Option<&'d str> {
        dependencies.iter().find(|name| self.has(name)).copied()
    }

    /// The major version that a dependency asks for.
    pub(crate) fn major(&self, dependency: &str) -> Option<u32> {
        capture(r"(\d+)", self.dependencies.get(dependency)?)?.parse().ok()
    }

    /// Whether any dependency, by name and version, fits.
    pub(crate) fn any(&self, fits: impl Fn(&str, &str) -> bool) -> bool {
        self.dependencies.iter().any(|(name, version)| fits(name, version))
    }

    pub(crate) fn has_dependencies(&self) -> bool {
        !self.dependencies.is_empty()
    }

    pub(crate) fn main(&self) -> Option<&str> {
        self.fields.get("main")?.as_str()
    }

    pub(crate) fn node_requirement(&self) -> Option<&str> {
        self.fields.get("engines")?.get("node")?.as_str()
    }

    /// `packageManager`: name and version, such as `pnpm` and `9.1.0`.
    pub(crate) fn package_manager(&self) -> Option<(&str, &str)> {
        let (name, version) = self.fields.get("packageManager")?.as_str()?.split_once('@')?;
        Some((name, version.split('+').next().unwrap_or(version)))
    }

    pub(crate) fn has_workspaces(&self) -> bool {
        self.fields.contains_key("workspaces")
    }

    /// The reason a preset gives for a dependency.
    pub(crate) fn because(&self, dependency: &str) -> Option<String> {
        self.has(dependency).then(|| format!("package.json has the dependency `{dependency}`"))
    }

    /// A script that runs when dependencies are installed and may need the source.
    pub(crate) fn has_install_hook(&self) -> bool {
        ["preinstall", "install", "postinstall", "prepare"]
            .iter()
            .filter_map(|name| self.script(name))
            .any(|script| !script.contains("husky") && !script.contains("|| "))
    }
}

fn strings(value: Option<&Value>) -> BTreeMap<String, String> {
    let Some(Value::Object(fields)) = value else { return BTreeMap::new() };
    fields
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
