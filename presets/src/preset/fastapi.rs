//! FastAPI.
//!
//! Recognised by the dependency `fastapi` and an object `FastAPI(…)` in the code. Writes an image that runs uvicorn.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::python::app_object::Making;
use crate::python::{AppObject, Dependencies, PORT, Workshop};
use crate::source::Source;

pub(crate) const MAKING: Making = Making {
    object: r"(?m)^(\w+)\s*(?::\s*[\w.]+\s*)?=\s*(?:(?:fastapi\.)?FastAPI|create_app|make_app|get_application)\(",
    factory: r"(?m)^def\s+(create_app|make_app|get_app|get_application|app_factory)\(",
};

pub(crate) const PRESET: Preset = Preset {
    name: "fastapi",
    looks_for: "requirements.txt or pyproject.toml with `fastapi`",
    recognise: |source| {
        let reason =
            Dependencies::of(source)?.and_then(|dependencies| dependencies.because("fastapi"));
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
        (Some(app), None) => uvicorn(app),
        (None, None) => {
            return Err(DetectError::NoStart {
                preset: PRESET.name,
                looked_for: "`app = FastAPI()` in the Python files",
                example: "{\"start\": \"uvicorn package.module:app --host 0.0.0.0 --port $PORT\"}",
            });
        }
    };
    let brought = ["fastapi[standard", "fastapi[all", "uvicorn"]
        .iter()
        .any(|r| workshop.dependencies.has_like(r));
    let server = (!brought).then_some("uvicorn");
    Ok(workshop.server(server, None, &start, PORT).note(found.map(|app| app.because())))
}

fn uvicorn(app: &AppObject) -> String {
    let folder =
        if app.folder.is_empty() { String::new() } else { format!("--app-dir {} ", app.folder) };
    let factory = if app.factory { "--factory " } else { "" };
    format!(
        "uvicorn --host 0.0.0.0 --port $PORT --proxy-headers --forwarded-allow-ips '*' {folder}{factory}{}:{}",
        app.module, app.name
    )
}
