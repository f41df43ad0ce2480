//! The image that a Node.js app is built in: its version, packages, dependencies and source.

use super::package_json::PackageJson;
use super::package_manager::PackageManager;
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer};
use crate::listening::capture;
use crate::preset::{Plan, SITE};
use crate::source::Source;
use crate::version::Line;

const VERSIONS: Line = Line { default: 22, offered: &[24, 20, 18], component: 0 };
/// The user that official Node.js images bring along.
const USER: (&str, u32) = ("node", 1_000);
/// Where presets that take several steps to a server keep the app.
const APP: &str = "/app";
/// The port of a Node.js server that says nothing else.
pub(crate) const PORT: u16 = 3_000;

/// Dependencies that compile when no ready build fits.
const COMPILED: &[&str] = &[
    "bcrypt",
    "better-sqlite3",
    "sqlite3",
    "canvas",
    "argon2",
    "node-gyp",
    "re2",
    "isolated-vm",
    "usb",
    "serialport",
    "node-pty",
];

/// What every Node.js preset needs to know of a source.
pub(crate) struct Workshop<'a> {
    source: Source<'a>,
    pub(crate) package: PackageJson,
    pub(crate) manager: PackageManager,
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(source: Source<'a>, preset: &'static str) -> Result<Self, DetectError> {
        let package = source.needed_package(preset)?;
        let manager = PackageManager::of(source, &package);
        Ok(Self { source, package, manager })
    }

    /// The base image: of the wanted major version, where that is offered.
    pub(crate) fn image(&self) -> String {
        let pinned = self.source.text_of(&[".nvmrc", ".node-version"]);
        let requirement = match pinned.trim() {
            "" => self.package.node_requirement().unwrap_or_default(),
            "lts/hydrogen" => "18",
            "lts/iron" => "20",
            "lts/jod" => "22",
            "lts/krypton" => "24",
            pinned => pinned,
        };
        format!("node:{}-slim", VERSIONS.choose(requirement))
    }

    fn system_packages(&self) -> Vec<&'static str> {
        let compiles = self.package.first_of(COMPILED).is_some();
        let from_git = self.package.any(|_, version| {
            version.starts_with("git") || version.contains("github:") || version.contains(".git#")
        });
        let prisma = self.package.any(|name, _| name == "prisma" || name == "@prisma/client");
        let mut packages = Vec::new();
        packages.extend(compiles.then_some(["python3", "make", "g++"]).into_iter().flatten());
        packages.extend(from_git.then_some(["git", "ca-certificates"]).into_iter().flatten());
        packages.extend(prisma.then_some("openssl"));
        packages
    }

    /// Whether dependencies can be installed without the source.
    fn installs_alone(&self) -> bool {
        let local = |_: &str, version: &str| {
            ["file:", "link:", "workspace:", "portal:", "patch:"]
                .iter()
                .any(|local| version.starts_with(local))
        };
        let workspace = self.source.text_of(&["pnpm-workspace.yaml"]);
        !(self.package.has_workspaces()
            || self.package.has_install_hook()
            || self.package.any(local)
            || workspace.contains("packages:")
            || workspace.contains("patchedDependencies")
            || self.source.tree.exists("patches")
            || self.source.tree.exists(".yarn")
            || self.source.config.build.install_command.is_some())
    }

    /// The image up to the source: system, package manager, dependencies, source. In a build stage as root; in an image
    /// that runs as the user that official images bring along.
    fn furnished(&self, stage: Option<&str>) -> Writer {
        let writer = Writer::default().from(&self.image(), stage);
        let packages = self.system_packages();
        let writer = writer
            .packages(&packages)
            .when(packages.contains(&"make"), |writer| {
                // Headers come with the image; node-gyp would download them.
                writer.line("ENV npm_config_nodedir=/usr/local")
            })
            .prepare();
        let writer = self.manager.set_up(writer).line(format!("WORKDIR {APP}"));
        let writer = writer
            .line(format!("ENV PATH={APP}/node_modules/.bin:$PATH NEXT_TELEMETRY_DISABLED=1"));
        let writer = match stage {
            Some(_) => writer,
            None => writer
                .run(Run::of(format!("chown {0}:{0} {APP}", USER.0)).plain())
                .user(USER.0, USER.1),
        };
        self.supplied(writer)
    }

    fn supplied(&self, writer: Writer) -> Writer {
        let install = self.manager.install(self.source);
        if !self.installs_alone() {
            return writer.copy(&["."], ".").run(install);
        }
        let mut manifests = vec![PackageJson::FILE.to_owned()];
        manifests.extend(self.manager.manifests(self.source));
        writer.copy(&manifests, "./").run(install).copy(&["."], ".")
    }

    /// The build command: the configured one, the script `build`, or the preset's.
    pub(crate) fn build_command(&self, preset: Option<&str>) -> Option<String> {
        let script = self.package.script("build").map(|_| self.manager.run_script("build"));
        self.source.build_command().or(script).or(preset.map(str::to_owned))
    }

    /// The stage `build`, up to and with the build.
    pub(crate) fn built(&self, preset: &str) -> Writer {
        self.furnished(Some("build")).build(self.build_command(Some(preset)))
    }

    /// As [`Self::built`], with another step before the build.
    pub(crate) fn built_after(&self, step: impl FnOnce(Writer) -> Writer, preset: &str) -> Writer {
        step(self.furnished(Some("build"))).build(self.build_command(Some(preset)))
    }

    /// A site of static files: built, and nothing else kept.
    pub(crate) fn site(&self, build: &str, directory: &str, single_page: bool) -> Plan {
        if let Some(start) = &self.source.config.start {
            return self.server(Some(build), &start.to_string(), PORT);
        }
        let directory = self.source.output_directory(directory);
        let missing = format!(
            "the build made no folder {directory}: name the one it makes in temps.json: {{\"build\": {{\"outputDirectory\": \"…\"}}}}"
        );
        let writer = self
            .built(build)
            .run(
                Run::of(format!("test -d {directory} || {{ echo '{missing}' >&2; exit 1; }}"))
                    .plain(),
            )
            .from("scratch", None)
            .copy_from("build", &format!("{APP}/{directory}"), SITE);
        Plan::site(writer, self.source.single_page(single_page)).note(self.note())
    }

    /// A server that needs the whole app folder.
    pub(crate) fn server(&self, build: Option<&str>, start: &str, port: u16) -> Plan {
        let writer = self.furnished(None).build(self.build_command(build));
        let port = commanded_port(start).unwrap_or(port);
        Plan::server(self.finished(writer, start, port), port).note(self.note())
    }

    /// A server that needs only what a build put into some folders: pairs of where from and where to.
    pub(crate) fn bundle(
        &self,
        writer: Writer,
        folders: &[(&str, &str)],
        start: &str,
        port: u16,
    ) -> Plan {
        let writer =
            writer.from(&self.image(), None).line(format!("WORKDIR {APP}")).user(USER.0, USER.1);
        let writer = folders.iter().fold(writer, |writer, (from, to)| {
            writer.copy_from("build", &format!("{APP}/{from}"), to)
        });
        Plan::server(self.finished(writer, start, port), port).note(self.note())
    }

    fn finished(&self, writer: Writer, start: &str, port: u16) -> Writer {
        let start = self.source.start().unwrap_or_else(|| start.to_owned());
        writer
            .line("ENV NODE_ENV=production HOSTNAME=0.0.0.0")
            .listen(self.source.port_or(port))
            .start(&start)
    }

    /// Which lock file decided what is installed.
    fn note(&self) -> Option<String> {
        let manager = self.manager.name();
        Some(match self.manager.lock_file(self.source) {
            Some(lock) => format!("{lock}: {manager}"),
            None => format!("no lock file: {manager}"),
        })
    }
}

/// The port that a start command names.
fn commanded_port(command: &str) -> Option<u16> {
    capture(r"(?:-p|--port|\bPORT)[ =](\d{2,5})\b", command)?.parse().ok()
}
