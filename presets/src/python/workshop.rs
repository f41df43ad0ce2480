//! The image that a Python app is built and run in.

use super::dependencies::{Dependencies, Installer};
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer, shell_word};
use crate::listening::capture;
use crate::preset::Plan;
use crate::source::Source;
use crate::version::Line;

const VERSIONS: Line = Line { default: 12, offered: &[14, 13, 11, 10, 9], component: 1 };
/// The port of a Python server that says nothing else.
pub(crate) const PORT: u16 = 8_000;
const PIP_CACHE: &str = "/root/.cache/pip";
/// Prints the requirements that pyproject.toml has in Poetry's own words, in pip's.
const POETRY_REQUIREMENTS: &str = "from poetry.core.factory import Factory; \
     found = Factory().create_poetry().package.requires; \
     print(*(one.to_pep_508() for one in found if not one.is_optional()), sep=chr(10))";
/// Packages that need a compiler and libraries of the system: their names, and the Debian packages.
const COMPILED: &[(&str, &[&str])] = &[
    ("psycopg2", &["gcc", "libc6-dev", "libpq-dev"]),
    ("psycopg", &["libpq5"]),
    ("mysqlclient", &["gcc", "libc6-dev", "pkg-config", "default-libmysqlclient-dev"]),
    ("pycairo", &["gcc", "libc6-dev", "pkg-config", "libcairo2-dev"]),
    ("python-ldap", &["gcc", "libc6-dev", "libldap2-dev", "libsasl2-dev"]),
    ("uwsgi", &["gcc", "libc6-dev"]),
    ("opencv-python", &["libgl1", "libglib2.0-0"]),
];

pub(crate) struct Workshop<'a> {
    source: Source<'a>,
    pub(crate) dependencies: Dependencies,
    /// The lowest Python that the project says it needs.
    requirement: String,
    /// More lines of the image, before the build.
    settings: Option<String>,
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(source: Source<'a>) -> Result<Self, DetectError> {
        let dependencies = Dependencies::of(source)?.unwrap_or_else(Dependencies::nothing);
        let requirement = requirement(source)?;
        Ok(Self { source, dependencies, requirement, settings: None })
    }

    fn image(&self) -> String {
        format!("python:3.{}-slim", VERSIONS.choose(&self.requirement))
    }

    fn system_packages(&self) -> Vec<&'static str> {
        let mut packages = Vec::new();
        let needed = COMPILED.iter().filter(|(name, _)| self.dependencies.has(name));
        packages.extend(needed.flat_map(|(_, packages)| packages.iter().copied()));
        packages.extend(self.dependencies.has_like("git+").then_some("git"));
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// The image up to the source, with `server` installed besides where the dependencies lack it.
    fn furnished(&self, server: Option<&str>) -> Writer {
        let writer = Writer::default()
            .from(&self.image(), None)
            .packages(&self.system_packages())
            .prepare()
            .line("WORKDIR /app")
            .line("ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1")
            .run(Run::of("python -m venv /opt/venv").plain());
        let writer = self.supplied(writer);
        let writer = match server {
            Some(server) => writer.run(pip(&format!("pip install {server}"))),
            None => writer,
        };
        if self.installs_alone() { writer.copy(&["."], ".") } else { writer }
    }

    /// Whether dependencies can be installed without the source.
    fn installs_alone(&self) -> bool {
        let local = match self.dependencies.installer {
            Installer::Requirements(file) => {
                let text = self.source.text_of(&[file]);
                text.lines().any(|line| {
                    let line = line.trim();
                    ["-r", "-c", "-e", "--requirement", "./", "../", "."]
                        .iter()
                        .any(|start| line.starts_with(start))
                })
            }
            _ => false,
        };
        !local && self.source.config.build.install_command.is_none()
    }

    fn supplied(&self, writer: Writer) -> Writer {
        let (manifests, install) = self.installation();
        if !self.installs_alone() {
            let install = self.source.install_command().map(|command| pip(&command)).or(install);
            let writer = writer.copy(&["."], ".");
            return match install {
                Some(install) => writer.run(install),
                None => writer,
            };
        }
        let writer = match manifests.first() {
            // A requirements file keeps its place, other manifests lie at the root.
            Some(file) if file.contains('/') => writer.copy(&[file], file),
            Some(_) => writer.copy(&manifests, "./"),
            None => writer,
        };
        match install {
            Some(install) => writer.run(install),
            None => writer,
        }
    }

    fn installation(&self) -> (Vec<String>, Option<Run>) {
        let file = |names: &[&str]| self.source.all_of(names);
        match &self.dependencies.installer {
            Installer::Requirements(name) => {
                (vec![(*name).to_owned()], Some(pip(&format!("pip install -r {name}"))))
            }
            Installer::Project(listed) if listed.is_empty() => (Vec::new(), None),
            Installer::Project(listed) => {
                let words: Vec<String> = listed.iter().map(|r| shell_word(r)).collect();
                (Vec::new(), Some(pip(&format!("pip install {}", words.join(" ")))))
            }
            Installer::Uv => {
                let sync = "uv sync --frozen --no-dev --no-install-project";
                let run = Run::of(format!(
                    "pip install uv && UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy {sync}"
                ));
                let run = run.cache("pip", PIP_CACHE).cache("uv", "/root/.cache/uv");
                (file(&["pyproject.toml", "uv.lock"]), Some(run))
            }
            Installer::Poetry { locked } => {
                // pip downloads what Poetry names: it knows of mirrors and extra authorities.
                let (tool, export) = if *locked {
                    (
                        "poetry poetry-plugin-export",
                        "poetry export --only main --output /tmp/requirements.txt".to_owned(),
                    )
                } else {
                    (
                        "poetry-core",
                        format!(
                            "python -c {} >/tmp/requirements.txt",
                            shell_word(POETRY_REQUIREMENTS)
                        ),
                    )
                };
                let run = pip(&format!(
                    "python -m venv /opt/poetry && /opt/poetry/bin/pip install {tool} \\\n    \
                     && /opt/poetry/bin/{export} && pip install -r /tmp/requirements.txt"
                ));
                (file(&["pyproject.toml", "poetry.lock"]), Some(run))
            }
            Installer::Pipenv { locked } => {
                let how =
                    if *locked { "pipenv install --deploy" } else { "pipenv install --skip-lock" };
                let run = pip(&format!("pip install pipenv && {how}"));
                (file(&["Pipfile", "Pipfile.lock"]), Some(run))
            }
            Installer::Nothing => (Vec::new(), None),
        }
    }

    /// Adds lines to the image after its packages and before what a build does.
    pub(crate) fn with_settings(mut self, lines: String) -> Self {
        self.settings = Some(lines);
        self
    }

    /// An image that runs `start`; `server` is installed unless the dependencies bring it.
    pub(crate) fn server(
        &self,
        server: Option<&str>,
        prepare: Option<String>,
        start: &str,
        port: u16,
    ) -> Plan {
        let start = self.source.start().unwrap_or_else(|| start.to_owned());
        let build = self.source.build_command().or(prepare);
        let writer = self.furnished(server);
        let path = if self.source.tree.exists("src") { "/app:/app/src" } else { "/app" };
        let writer = writer.line(format!("ENV PYTHONPATH={path}"));
        let writer = self.settings.iter().fold(writer, Writer::line);
        let writer = writer.build(build);
        let writer = writer.listen(self.source.port_or(port)).start(&start);
        Plan::server(writer, port)
    }
}

fn pip(command: &str) -> Run {
    Run::of(command).cache("pip", PIP_CACHE)
}

/// What the source says of its Python: `.python-version`, `runtime.txt`, Pipfile, pyproject.toml.
fn requirement(source: Source) -> Result<String, DetectError> {
    let pinned = source.text_of(&[".python-version", "runtime.txt"]);
    let pinned = pinned.lines().next().unwrap_or_default().trim().trim_start_matches("python-");
    if !pinned.is_empty() {
        return Ok(pinned.to_owned());
    }
    let project = source.toml("pyproject.toml")?.unwrap_or_default();
    let modern = project.get("project").and_then(|p| p.get("requires-python")?.as_str());
    let poetry =
        || project.get("tool")?.get("poetry")?.get("dependencies")?.get("python")?.as_str();
    let pipfile = capture(r#"python_version\s*=\s*"([\d.]+)""#, &source.text_of(&["Pipfile"]));
    Ok(modern.or_else(poetry).map(str::to_owned).or(pipfile).unwrap_or_default())
}
