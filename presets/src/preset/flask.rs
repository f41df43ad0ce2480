//! Flask.
//!
//! Recognised by the dependency `flask` and an object `Flask(…)` in the code. Writes an image that runs gunicorn, because
//! `app.run()` is for development and listens on 127.0.0.1. One worker with threads, so that state kept in memory is one.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::python::app_object::Making;
use crate::python::{AppObject, Framework, PORT, Workshop};
use crate::source::Source;

const FLASK: Framework = Framework {
    name: "flask",
    making: Making {
        object: r"(?m)^(\w+)\s*(?::\s*[\w.]+\s*)?=\s*(?:(?:flask\.)?Flask|create_app|make_app)\(",
        factory: r"(?m)^def\s+(create_app|make_app|app_factory)\(",
    },
    looked_for: "`app = Flask(__name__)` in the Python files",
    example: "{\"start\": \"gunicorn --bind 0.0.0.0:$PORT package.module:app\"}",
};

pub(crate) const PRESET: Preset = Preset {
    name: FLASK.name,
    looks_for: "requirements.txt or pyproject.toml with `flask`",
    recognise: |source| FLASK.recognise(source),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source)?;
    let (start, because) =
        FLASK.start(source, |app| gunicorn(&app.folder, &app.module, &call(app)))?;
    let server = (!workshop.dependencies.has("gunicorn")).then_some("gunicorn");
    Ok(workshop.server(server, None, &start, PORT).note(because))
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
