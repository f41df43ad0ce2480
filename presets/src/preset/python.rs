//! Any other Python app: a script, Streamlit, aiohttp, the standard library.
//!
//! Recognised by requirements.txt, pyproject.toml or Pipfile, or by main.py or app.py. Writes an image that runs the
//! start command, or the file with the most telling name.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::listening::{Listening, Speech, listening};
use crate::python::{AppObject, Dependencies, PORT, Workshop};
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
    let asgi = AppObject::find(source, &super::fastapi::MAKING);
    if let (Some(app), true) = (asgi, workshop.dependencies.has("uvicorn")) {
        return Some(format!("uvicorn --host 0.0.0.0 --port $PORT {}:{}", app.module, app.name));
    }
    Some(format!("python {entry}"))
}
