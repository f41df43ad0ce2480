//! Any other Python app: a script, Streamlit, aiohttp, the standard library.
//!
//! Recognised by requirements.txt, pyproject.toml or Pipfile, or by main.py or app.py. Writes an image that runs the
//! start command, or the file with the most telling name.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::listening::{Listening, Speech, listening};
use crate::python::app_object::{AppObject, Making};
use crate::python::{Dependencies, PORT, Workshop};
use crate::source::Source;

const ENTRIES: &[&str] = &[
    "main.py",
    "app.py",
    "server.py",
    "run.py",
    "wsgi.py",
    "bot.py",
    "index.py",
    "__main__.py",
    "streamlit_app.py",
    "src/main.py",
    "src/app.py",
    "src/server.py",
    "app/main.py",
    "app/app.py",
];
const SPEECH: Speech = Speech {
    reads_port: r#"(?:environ[^\n]*['"]PORT['"]|getenv\(\s*['"]PORT['"])"#,
    literals: &[
        r"(?i)\bport\s*=\s*(\d{2,5})\b",
        r#"\(\s*['"](?:0\.0\.0\.0|localhost|127\.0\.0\.1)?['"]\s*,\s*(\d{2,5})\s*\)"#,
        r"(?i)\bport\b\s*[:=][^;\n]*?\b(\d{4,5})\b",
    ],
    loopback: r#"(?:host\s*=\s*['"](?:127\.0\.0\.1|localhost)['"]|\(\s*['"](?:127\.0\.0\.1|localhost)['"]\s*,\s*(?:\d|port|PORT))"#,
};

/// Objects of ASGI frameworks that have no preset of their own.
const ASGI: Making = Making {
    object: r"(?m)^(\w+)\s*(?::\s*[\w.]+\s*)?=\s*(?:\w+\.)?(?:FastAPI|Starlette|Quart|Litestar|Sanic|BlackSheep|Application|create_app|make_app)\(",
    factory: r"(?m)^def\s+(create_app|make_app)\(",
};

pub(crate) const PRESET: Preset = Preset {
    name: "python",
    looks_for: "requirements.txt, pyproject.toml, Pipfile, or main.py",
    recognise: |source| {
        let entry = source.first_of(ENTRIES);
        if source.start().is_none() && entry.is_none() {
            return Ok(None);
        }
        let listed =
            Dependencies::of(source)?.map(|dependencies| format!("there is {}", dependencies.file));
        let unlisted =
            entry.filter(|entry| !entry.contains('/')).map(|entry| format!("there is {entry}"));
        Ok(listed.or(unlisted))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source)?;
    let entry = source.first_of(ENTRIES);
    let Some(start) = source.start().or_else(|| start(source, &workshop, entry?)) else {
        return Err(DetectError::NoStart {
            preset: PRESET.name,
            looked_for: "main.py, app.py, server.py and run.py",
            example: "{\"start\": \"python path/to/script.py\"}",
        });
    };
    let files: Vec<String> =
        entry.iter().map(|entry| (*entry).to_owned()).chain(source.code_files(&[".py"])).collect();
    let listening = if start.contains("$PORT") {
        Listening::default()
    } else {
        listening(source, &files, &SPEECH)
    };
    let port = listening.port_or(PORT);
    Ok(workshop.server(None, None, &start, port).heard(listening))
}

fn start(source: Source, workshop: &Workshop, entry: &str) -> Option<String> {
    if workshop.dependencies.has("streamlit") && source.text_of(&[entry]).contains("streamlit") {
        return Some(format!(
            "streamlit run {entry} --server.address 0.0.0.0 --server.port $PORT --server.headless true"
        ));
    }
    if workshop.dependencies.has("gradio") {
        return Some(format!("GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python {entry}"));
    }
    Some(served(source, workshop).unwrap_or_else(|| format!("python {entry}")))
}

/// The server of an app object, where the code does not run one itself.
fn served(source: Source, workshop: &Workshop) -> Option<String> {
    let app = AppObject::find(source, &ASGI)?;
    let text = source.text_of(&[&app.file]);
    let runs = ["uvicorn.run(", ".run(", "hypercorn", "run_app("].iter().any(|r| text.contains(r));
    let server = ["uvicorn", "hypercorn"].into_iter().find(|s| workshop.dependencies.has(s));
    let folder = if app.folder.is_empty() { ".".to_owned() } else { app.folder };
    match server.or_else(|| workshop.dependencies.has("quart").then_some("hypercorn"))? {
        "uvicorn" if !runs => Some(format!(
            "uvicorn --host 0.0.0.0 --port $PORT --app-dir {folder} {}:{}",
            app.module, app.name
        )),
        // `app.run()` of Quart is for development.
        "hypercorn" => Some(format!(
            "cd {folder} && exec hypercorn --bind 0.0.0.0:$PORT {}:{}",
            app.module, app.name
        )),
        _ => None,
    }
}
