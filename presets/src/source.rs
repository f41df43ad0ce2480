//! A source under inspection: its tree, its configuration, and questions that many presets ask.

use crate::config::AppConfig;
use crate::detect::DetectError;
use crate::node::PackageJson;
use crate::procfile;
use crate::source_tree::SourceTree;

/// How many files of one source are searched for a text.
const FILES_SEARCHED_MAX: usize = 200;
/// How deep folders are searched.
const DEPTH_SEARCHED_MAX: usize = 4;
/// Folders that hold no code of the app itself.
const SKIPPED: &[&str] = &[
    "node_modules/",
    "vendor/",
    "venv/",
    "env/",
    "target/",
    "dist/",
    "build/",
    "tests/",
    "test/",
    "docs/",
    "examples/",
    "migrations/",
    "__pycache__/",
    "coverage/",
    "public/",
    "static/",
];

#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) tree: &'a dyn SourceTree,
    pub(crate) config: &'a AppConfig,
}

impl Source<'_> {
    /// The first of these paths that exists.
    pub(crate) fn first_of<'p>(&self, paths: &[&'p str]) -> Option<&'p str> {
        paths.iter().find(|path| self.tree.exists(path)).copied()
    }

    /// Those of these paths that exist.
    pub(crate) fn all_of(&self, paths: &[&str]) -> Vec<String> {
        paths.iter().filter(|path| self.tree.exists(path)).map(|path| (*path).into()).collect()
    }

    /// The text of the first of these files that exists; empty when none does.
    pub(crate) fn text_of(&self, paths: &[&str]) -> String {
        self.first_of(paths).and_then(|path| self.tree.read(path)).unwrap_or_default()
    }

    pub(crate) fn package(&self) -> Result<Option<PackageJson>, DetectError> {
        self.tree.read(PackageJson::FILE).map(|text| PackageJson::parse(&text)).transpose()
    }

    /// The package.json that a preset cannot do without.
    pub(crate) fn needed_package(&self, preset: &'static str) -> Result<PackageJson, DetectError> {
        self.package()?.ok_or(DetectError::FileMissing { preset, file: PackageJson::FILE })
    }

    pub(crate) fn toml(&self, file: &'static str) -> Result<Option<toml::Table>, DetectError> {
        let parse = |text: String| {
            text.parse().map_err(|source: toml::de::Error| DetectError::TomlInvalid {
                file,
                source: Box::new(source),
            })
        };
        self.tree.read(file).map(parse).transpose()
    }

    /// The start command that the configuration or a Procfile gives.
    pub(crate) fn start(&self) -> Option<String> {
        let configured = self.config.start.as_ref().map(|line| line.to_string());
        configured.or_else(|| procfile::web(self.tree))
    }

    /// The port to listen on: the configured one, or else the preset's.
    pub(crate) fn port_or(&self, preset: u16) -> u16 {
        self.config.port().unwrap_or(preset)
    }

    pub(crate) fn build_command(&self) -> Option<String> {
        self.config.build.build_command.as_ref().map(|line| line.to_string())
    }

    pub(crate) fn install_command(&self) -> Option<String> {
        self.config.build.install_command.as_ref().map(|line| line.to_string())
    }

    /// The output folder: the configured one, or else the preset's.
    pub(crate) fn output_directory(&self, preset: &str) -> String {
        let configured = self.config.build.output_directory.as_ref().map(|path| path.to_string());
        configured.unwrap_or_else(|| preset.trim_start_matches("./").trim_matches('/').into())
    }

    pub(crate) fn single_page(&self, preset: bool) -> bool {
        self.config.single_page.unwrap_or(preset)
    }

    /// Code files with one of these endings, folder by folder from the root down; a bounded number.
    pub(crate) fn code_files(&self, endings: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let mut level = vec![String::new()];
        for _ in 0..DEPTH_SEARCHED_MAX {
            let mut below = Vec::new();
            for dir in level {
                for name in self.tree.list(&dir) {
                    let hidden = name.starts_with('.') || SKIPPED.contains(&name.as_str());
                    if hidden || found.len() + below.len() >= FILES_SEARCHED_MAX {
                        continue;
                    }
                    if name.ends_with('/') {
                        below.push(format!("{dir}{name}"));
                    } else if endings.iter().any(|ending| name.ends_with(ending)) {
                        found.push(format!("{dir}{name}"));
                    }
                }
            }
            level = below;
        }
        found
    }
}
