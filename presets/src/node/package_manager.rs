//! npm, pnpm, yarn or bun: told by `packageManager` or by the lock file.

use super::package_json::PackageJson;
use crate::dockerfile::{Run, Writer};
use crate::listening::capture;
use crate::source::Source;

/// Where package managers keep what they have downloaded, from build to build.
const CACHE: &str = "/cache";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PackageManager {
    Npm,
    Pnpm {
        version: String,
    },
    /// yarn 1, which official Node.js images bring along.
    Yarn,
    /// yarn 2 and later; `None` when the repository carries the program itself.
    Berry {
        version: Option<String>,
    },
    Bun,
}

use PackageManager::{Berry, Bun, Npm, Pnpm, Yarn};

impl PackageManager {
    pub(crate) fn of(source: Source, package: &PackageJson) -> Self {
        let named = package.package_manager();
        let version = |name: &str| {
            named.filter(|(known, _)| *known == name).map(|(_, version)| version.to_owned())
        };
        let lock = source.first_of(&[
            "pnpm-lock.yaml",
            "bun.lock",
            "bun.lockb",
            "yarn.lock",
            "package-lock.json",
        ]);
        let told_by_lock = match lock {
            Some("pnpm-lock.yaml") => "pnpm",
            Some("bun.lock" | "bun.lockb") => "bun",
            Some("yarn.lock") => "yarn",
            _ => "npm",
        };
        match named.map_or(told_by_lock, |(name, _)| name) {
            "pnpm" => Pnpm { version: version("pnpm").unwrap_or_else(|| pnpm_version(source)) },
            "bun" => Bun,
            "yarn" => yarn(source, version("yarn")),
            _ => Npm,
        }
    }

    /// Its lock file, where the source has one.
    pub(crate) fn lock_file(&self, source: Source) -> Option<&'static str> {
        source.first_of(match self {
            Npm => &["package-lock.json", "npm-shrinkwrap.json"],
            Pnpm { .. } => &["pnpm-lock.yaml"],
            Yarn | Berry { .. } => &["yarn.lock"],
            Bun => &["bun.lock", "bun.lockb"],
        })
    }

    /// The files besides package.json that decide what is installed.
    pub(crate) fn manifests(&self, source: Source) -> Vec<String> {
        let settings: &[&str] = match self {
            Npm => &[".npmrc"],
            Pnpm { .. } => &[".npmrc", ".pnpmfile.cjs", "pnpm-workspace.yaml"],
            Yarn => &[".npmrc", ".yarnrc"],
            Berry { .. } => &[".yarnrc.yml"],
            Bun => &[".npmrc", "bunfig.toml"],
        };
        self.lock_file(source)
            .map(str::to_owned)
            .into_iter()
            .chain(source.all_of(settings))
            .collect()
    }

    /// Puts the package manager itself into the image, as root.
    pub(crate) fn set_up(&self, writer: Writer) -> Writer {
        let install = |writer: Writer, package: String| {
            let command = format!("npm install --global --force --cache {CACHE} {package}");
            writer.run(Run::of(command).cache("npm-root", CACHE))
        };
        match self {
            Npm | Yarn => writer,
            Pnpm { version } => install(writer, format!("pnpm@{version}")),
            // Plug'n'Play would hide programs from everything that is not started by yarn.
            Berry { version } => {
                let writer =
                    writer.line("ENV YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0");
                match version {
                    Some(version) => install(writer, format!("@yarnpkg/cli-dist@{version}")),
                    None => writer,
                }
            }
            Bun => writer.line("COPY --from=oven/bun:1-slim /usr/local/bin/bun /usr/local/bin/bun"),
        }
    }

    /// Installs everything, development dependencies too, even where a variable says NODE_ENV=production: builds and many
    /// start scripts need them.
    pub(crate) fn install(&self, source: Source) -> Run {
        let locked = self.lock_file(source).is_some();
        let command = match (self, locked) {
            (Npm, true) => npm("npm ci --include=dev"),
            (Npm, false) => npm("npm install --include=dev"),
            (Pnpm { .. }, true) => {
                format!("pnpm install --frozen-lockfile --prod=false --store-dir {CACHE}")
            }
            (Pnpm { .. }, false) => {
                format!("pnpm install --no-frozen-lockfile --prod=false --store-dir {CACHE}")
            }
            (Yarn, true) => {
                format!(
                    "yarn install --frozen-lockfile --production=false --non-interactive --cache-folder {CACHE}"
                )
            }
            (Yarn, false) => {
                format!("yarn install --production=false --non-interactive --cache-folder {CACHE}")
            }
            (Berry { .. }, true) => format!("YARN_GLOBAL_FOLDER={CACHE} yarn install --immutable"),
            (Berry { .. }, false) => {
                format!("YARN_GLOBAL_FOLDER={CACHE} yarn install --no-immutable")
            }
            (Bun, true) => format!("bun install --frozen-lockfile --cache-dir {CACHE}"),
            (Bun, false) => format!("bun install --cache-dir {CACHE}"),
        };
        self.cached(Run::of(source.install_command().unwrap_or(command)))
    }

    /// Adds one package to what is installed, without touching the lock file.
    pub(crate) fn add(&self, package: &str) -> Run {
        let command = match self {
            Npm => format!("npm install --no-save --no-audit --no-fund --cache {CACHE} {package}"),
            Pnpm { .. } => format!("pnpm add --save-dev --store-dir {CACHE} {package}"),
            Yarn => format!("yarn add --dev --non-interactive --cache-folder {CACHE} {package}"),
            Berry { .. } => format!("YARN_GLOBAL_FOLDER={CACHE} yarn add --dev {package}"),
            Bun => format!("bun add --dev --cache-dir {CACHE} {package}"),
        };
        self.cached(Run::of(command))
    }

    fn cached(&self, run: Run) -> Run {
        run.cache(self.name(), CACHE)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Npm => "npm",
            Pnpm { .. } => "pnpm",
            Yarn | Berry { .. } => "yarn",
            Bun => "bun",
        }
    }

    /// The command that runs a script of package.json.
    pub(crate) fn run_script(&self, script: &str) -> String {
        format!("{} run {script}", self.name())
    }
}

/// npm 7 and later refuse peer dependencies that contradict each other; many apps were made before, or told npm not to.
fn npm(command: &str) -> String {
    let flags = format!("--no-audit --no-fund --cache {CACHE}");
    format!("{command} {flags} \\\n    || {command} --legacy-peer-deps {flags}")
}

fn yarn(source: Source, version: Option<String>) -> PackageManager {
    let carried = source.text_of(&[".yarnrc.yml"]).contains("yarnPath:");
    let lock = capture(r"(?m)^__metadata:\s+version: (\d+)", &source.text_of(&["yarn.lock"]));
    match (version, lock.as_deref()) {
        (Some(version), _) if version.starts_with("1.") => Yarn,
        (Some(_), _) | (None, Some(_)) if carried => Berry { version: None },
        (Some(version), _) => Berry { version: Some(version) },
        (None, Some("4" | "5" | "6")) => Berry { version: Some("3".into()) },
        (None, Some(_)) => Berry { version: Some("4".into()) },
        (None, None) => Yarn,
    }
}

/// pnpm of the age of its files: version 9 still reads `pnpm-workspace.yaml` as a list of packages only, version 10 no
/// longer runs the install scripts of dependencies unless told to.
fn pnpm_version(source: Source) -> String {
    let lock = source.text_of(&["pnpm-lock.yaml"]);
    let workspace = source.tree.read("pnpm-workspace.yaml");
    let settings_only = workspace.is_some_and(|text| !text.contains("packages:"));
    let version = match capture(r"(?m)^lockfileVersion:\s*'?(\d+)", &lock).as_deref() {
        Some("5") => "7",
        Some("6") => "8",
        _ if settings_only => "10",
        _ => "9",
    };
    version.into()
}
