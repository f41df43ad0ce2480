//! What the settings of a Django project lack to be served, and what is put over them.

use super::dependencies::Dependencies;
use crate::listening::regex;
use crate::source::Source;

/// The folder of the settings that are put over the project's.
const FOLDER: &str = "/opt/temps";

pub(crate) struct DjangoSettings {
    /// The module, such as `mysite.settings`.
    pub(crate) module: String,
    /// The text of its file, and of what its package has beside it.
    text: String,
}

impl DjangoSettings {
    pub(crate) fn read(source: Source, folder: &str, module: String) -> Self {
        let path = module.replace('.', "/");
        let path = if folder.is_empty() { path } else { format!("{folder}/{path}") };
        let package = path.rsplit_once('/').map_or("", |(package, _)| package);
        let files = [
            format!("{path}.py"),
            format!("{path}/__init__.py"),
            format!("{package}/base.py"),
            format!("{package}/common.py"),
        ];
        let text: Vec<String> = files.iter().map(|file| source.text_of(&[file])).collect();
        Self { module, text: text.join("\n") }
    }

    /// There is a folder to collect static files in.
    pub(crate) fn collects(&self) -> bool {
        self.text.lines().any(|line| line.trim_start().starts_with("STATIC_ROOT"))
    }

    /// The only database is an SQLite file, which lives and ends with the container.
    pub(crate) fn keeps_data_in_a_file(&self) -> bool {
        let other = ["DATABASE_URL", "dj_database_url", "postgresql", "mysql", "oracle"];
        self.text.contains("django.db.backends.sqlite3")
            && !other.iter().any(|word| self.text.contains(word))
    }

    /// As `django-admin startproject` writes it. The edge lets only the app's own host names through.
    fn allows_no_host(&self) -> bool {
        regex(r"(?m)^ALLOWED_HOSTS(?:\s*:[^=\n]+)?\s*=\s*\[\s*\]").is_match(&self.text)
    }

    /// gunicorn serves no static files, and nothing else here does.
    pub(crate) fn lacks_static_server(&self, dependencies: &Dependencies) -> bool {
        let served = ["whitenoise", "storages", "staticfiles.urls"];
        self.text.contains("django.contrib.staticfiles")
            && regex(r"(?m)^MIDDLEWARE\s*=\s*\[").is_match(&self.text)
            && !dependencies.has("whitenoise")
            && !served.iter().any(|word| self.text.contains(word))
    }

    /// Lines of a Dockerfile that put a module over the settings; `None` when nothing is lacking. A variable
    /// `DJANGO_SETTINGS_MODULE` of the project's takes the module out again.
    pub(crate) fn overlay(&self, whitenoise: bool) -> Option<String> {
        let mut lines = vec![format!("from {} import *", self.module)];
        if self.allows_no_host() {
            lines.push("ALLOWED_HOSTS = [\"*\"]".into());
        }
        if whitenoise {
            lines.push(
                "MIDDLEWARE = [*MIDDLEWARE[:1], \"whitenoise.middleware.WhiteNoiseMiddleware\", *MIDDLEWARE[1:]]".into(),
            );
            lines.push("WHITENOISE_USE_FINDERS = True".into());
        }
        let quoted: Vec<String> = lines.iter().map(|line| format!("    '{line}'")).collect();
        (lines.len() > 1).then(|| {
            format!(
                "RUN mkdir -p {FOLDER} && printf '%s\\n' \\\n{} \\\n    >{FOLDER}/temps_settings.py\n\
                 ENV PYTHONPATH=$PYTHONPATH:{FOLDER} DJANGO_SETTINGS_MODULE=temps_settings",
                quoted.join(" \\\n")
            )
        })
    }

    pub(crate) fn notes(&self, whitenoise: bool) -> Vec<String> {
        let hosts =
            "ALLOWED_HOSTS is empty: the hosts of this app, which the edge checks, are allowed";
        let files = "nothing serves the static files: WhiteNoise does";
        let notes = [(hosts, self.allows_no_host()), (files, whitenoise)];
        notes.into_iter().filter(|(_, holds)| *holds).map(|(note, _)| note.to_owned()).collect()
    }

    pub(crate) fn warnings(&self) -> Option<String> {
        self.keeps_data_in_a_file().then(|| {
            "the database is an SQLite file in the container: it is migrated at every start and its data is lost at \
             every deploy; use a database server for data to keep"
                .to_owned()
        })
    }
}
