//! What a Python app depends on, and which tool installs it.

use toml::{Table, Value};

use crate::detect::DetectError;
use crate::source::Source;

/// How dependencies are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Installer {
    /// pip, from this requirements file.
    Requirements(&'static str),
    /// pip, with the dependencies that pyproject.toml lists (PEP 621).
    Project(Vec<String>),
    Uv,
    Poetry {
        locked: bool,
    },
    Pipenv {
        locked: bool,
    },
    /// There is nothing to install.
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct Dependencies {
    pub(crate) installer: Installer,
    /// The file that lists them.
    pub(crate) file: &'static str,
    /// Requirements, in lower case, with extras and versions.
    requirements: Vec<String>,
}

const REQUIREMENTS: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
];

impl Dependencies {
    /// The dependencies of a Python source; `None` when it lists none.
    pub(crate) fn of(source: Source) -> Result<Option<Self>, DetectError> {
        let project = source.toml("pyproject.toml")?;
        if let Some(project) = project {
            let found = Self::of_project(source, &project);
            if found.is_some() {
                return Ok(found);
            }
        }
        if let Some(file) = source.first_of(REQUIREMENTS) {
            let requirements = lines(&source.text_of(&[file]));
            return Ok(Some(Self { installer: Installer::Requirements(file), file, requirements }));
        }
        let Some(pipfile) = source.toml("Pipfile")? else { return Ok(None) };
        let locked = source.tree.exists("Pipfile.lock");
        let requirements = table(&pipfile, &["packages"]).map(keys).unwrap_or_default();
        Ok(Some(Self { installer: Installer::Pipenv { locked }, file: "Pipfile", requirements }))
    }

    fn of_project(source: Source, project: &Table) -> Option<Self> {
        let listed = strings(table(project, &["project"]).and_then(|p| p.get("dependencies")));
        let poetry = table(project, &["tool", "poetry"]);
        let groups = poetry.and_then(|poetry| table(poetry, &["dependencies"])).map(keys);
        let installer = if source.tree.exists("uv.lock") {
            Installer::Uv
        } else if source.tree.exists("poetry.lock") {
            Installer::Poetry { locked: true }
        } else if groups.is_some() {
            Installer::Poetry { locked: false }
        } else if let (true, Some(file)) = (listed.is_empty(), source.first_of(REQUIREMENTS)) {
            Installer::Requirements(file)
        } else {
            project.get("project")?;
            Installer::Project(listed.clone())
        };
        let mut requirements: Vec<String> = listed.iter().map(|r| r.to_lowercase()).collect();
        requirements.extend(groups.unwrap_or_default());
        let file = match installer {
            Installer::Requirements(file) => {
                requirements = lines(&source.text_of(&[file]));
                file
            }
            _ => "pyproject.toml",
        };
        Some(Self { installer, file, requirements })
    }

    /// No dependencies at all.
    pub(crate) fn nothing() -> Self {
        Self { installer: Installer::Nothing, file: "", requirements: Vec::new() }
    }

    /// Whether a package is among them.
    pub(crate) fn has(&self, package: &str) -> bool {
        self.requirements.iter().any(|requirement| name(requirement) == package)
    }

    /// Whether any requirement starts like this, extras included.
    pub(crate) fn has_like(&self, start: &str) -> bool {
        self.requirements.iter().any(|requirement| requirement.starts_with(start))
    }

    /// The reason a preset gives for a dependency.
    pub(crate) fn because(&self, package: &str) -> Option<String> {
        self.has(package).then(|| format!("{} lists `{package}`", self.file))
    }
}

/// The name of a requirement such as `fastapi[standard]>=0.115 ; python_version > "3.8"`.
fn name(requirement: &str) -> &str {
    let end = requirement.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c)));
    &requirement[..end.unwrap_or(requirement.len())]
}

fn lines(text: &str) -> Vec<String> {
    // pip's own tools wrote UTF-16 on Windows; what is left of it after reading still has the letters.
    let text = text.replace(['\0', '\u{fffd}'], "");
    text.lines()
        .map(|line| line.trim().to_lowercase())
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '-']))
        .collect()
}

fn table<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Table> {
    path.iter().try_fold(table, |table, key| table.get(*key)?.as_table())
}

/// The keys of a table of dependencies, with their extras.
fn keys(table: &Table) -> Vec<String> {
    table
        .iter()
        .map(|(key, value)| {
            let extras = strings(value.get("extras"));
            let extras =
                if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
            format!("{}{extras}", key.to_lowercase())
        })
        .collect()
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
