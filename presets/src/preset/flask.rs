//! Flask.
//!
//! Recognised by the dependency `flask` and an object `Flask(…)` in the code. Writes an image that runs gunicorn, because
//! `app.run()` is for development and listens on 127.0.0.1. One worker with threads, so that state kept in memory is one.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::python::app_object::Making;
use crate::python::{AppObject, Dependencies, PORT, Workshop};
use crate::source::Source;

pub(crate) const MAKING: Making = Making {
    object: r"(?m)^(\w+)\s*(?::\s*[\w.]+\s*)?=\s*(?:(?:flask\.)?Flask|create_app|make_app)\(",
    factory: r"(?m)^def\s+(create_app|make_app|app_factory)\(",
};

pub(crate) const PRESET: Preset = Preset {
    name: "flask",
    looks_for: "requirements.txt or pyproject.toml with `flask`",
    recognise: |source| {
        let reason =
            Dependencies::of(source)?.and_then(|dependencies| dependencies.because("flask"));
        Ok(reason
            .filter(|_| source.start().is_some() || AppObject::find(source, &MAKING).is_some()))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source)?;
    let found = AppObject::find(source, &MAKING);
    let start = match (&found, source.start()) {
        (_, Some(start)) => start,
        (Some(app), None) => gunicorn(&app.folder, &app.module, &call(app)),
        (None, None) => {
            return Err(DetectError::NoStart {
                preset: PRESET.name,
                looked_for: "`app = Flask(__name__)` in the Python files",
                example: "{\"start\": \"gunicorn --bind 0.0.0.0:$PORT package.module:app\"}",
            });
        }
    };
    let server = (!workshop.dependencies.has("gunicorn")).then_some("gunicorn");
    Ok(workshop.server(server, None, &start, PORT).note(found.map(|app| app.because())))
}

fn call(app: &AppObject) -> String {
    if app.factory { format!("{}()", app.name) } else { app.name.clone() }
}

/// gunicorn for a WSGI object.
pub(crate) fn gunicorn(folder: &str, module: &str, object: &str) -> String {
    let folder = if folder.is_empty() { String::new() } else { format!("--chdir {folder} ") };
    format!(
        "gunicorn --bind 0.0.0.0:$PORT --workers ${{WEB_CONCURRENCY:-1}} --threads 8 --worker-tmp-dir /dev/shm \
         --access-logfile - {folder}'{module}:{object}'"
    )
}
