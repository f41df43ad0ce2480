//! FastAPI.
//!
//! Recognised by the dependency `fastapi` and an object `FastAPI(…)` in the code. Writes an image that runs uvicorn.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::python::app_object::Making;
use crate::python::{AppObject, Framework, PORT, Workshop};
use crate::source::Source;

pub(crate) const FASTAPI: Framework = Framework {
    name: "fastapi",
    making: Making {
        object: r"(?m)^(\w+)\s*(?::\s*[\w.]+\s*)?=\s*(?:(?:fastapi\.)?FastAPI|create_app|make_app|get_application)\(",
        factory: r"(?m)^def\s+(create_app|make_app|get_app|get_application|app_factory)\(",
    },
    looked_for: "`app = FastAPI()` in the Python files",
    example: "{\"start\": \"uvicorn package.module:app --host 0.0.0.0 --port $PORT\"}",
};

pub(crate) const PRESET: Preset = Preset {
    name: FASTAPI.name,
    looks_for: "requirements.txt or pyproject.toml with `fastapi`",
    recognise: |source| FASTAPI.recognise(source),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source)?;
    let (start, because) = FASTAPI.start(source, uvicorn)?;
    let brought = ["fastapi[standard", "fastapi[all", "uvicorn"]
        .iter()
        .any(|r| workshop.dependencies.has_like(r));
    let server = (!brought).then_some("uvicorn");
    Ok(workshop.server(server, None, &start, PORT).note(because))
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
