//! Django.
//!
//! Recognised by manage.py, at the root or one folder below. Writes an image that collects static files where the
//! settings have a `STATIC_ROOT`, and runs gunicorn on the project's wsgi.py. Migrations are for `beforeDeploy`.

use super::flask::gunicorn;
use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::listening::capture;
use crate::python::{PORT, Workshop};
use crate::source::Source;

pub(crate) const PRESET: Preset = Preset {
    name: "django",
    looks_for: "manage.py",
    recognise: |source| Ok(manage(source).map(|file| format!("there is {file}"))),
    plan,
};

fn manage(source: Source) -> Option<String> {
    let django = |path: &String| source.text_of(&[path]).contains("DJANGO_SETTINGS_MODULE");
    let below = source.tree.list("").into_iter().filter(|name| name.ends_with('/'));
    let mut candidates =
        std::iter::once("manage.py".to_owned()).chain(below.map(|dir| format!("{dir}manage.py")));
    candidates.find(django)
}

fn plan(source: Source) -> Result<Plan, DetectError> {
    let manage = manage(source)
        .ok_or(DetectError::FileMissing { preset: PRESET.name, file: "manage.py" })?;
    let folder = manage.trim_end_matches("manage.py").trim_end_matches('/');
    let settings = capture(
        r#"DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]"#,
        &source.text_of(&[&manage]),
    );
    let settings = settings.unwrap_or_default();
    let workshop = Workshop::new(source)?;
    let server = (!workshop.dependencies.has("gunicorn")).then_some("gunicorn");
    let collect = collects(source, folder, &settings)
        .then(|| format!("python {manage} collectstatic --noinput"));
    let start = start(source, folder, &settings, &manage);
    let server = if start.starts_with("gunicorn") { server } else { None };
    let bare = match workshop.dependencies.has("django") {
        true => server.map(str::to_owned),
        false if workshop.dependencies.file.is_empty() => {
            Some(format!("django {}", server.unwrap_or_default()).trim().to_owned())
        }
        false => server.map(str::to_owned),
    };
    Ok(workshop.server(bare.as_deref(), collect, &start, PORT))
}

/// The settings' file, or any of its package, names a folder for static files.
fn collects(source: Source, folder: &str, settings: &str) -> bool {
    let module = within(folder, &settings.replace('.', "/"));
    let package = module.rsplit_once('/').map_or("", |(package, _)| package);
    let candidates = [
        format!("{module}.py"),
        format!("{module}/__init__.py"),
        format!("{package}/base.py"),
        format!("{package}/common.py"),
    ];
    candidates.iter().any(|file| {
        let text = source.text_of(&[file]);
        text.lines().any(|line| line.trim_start().starts_with("STATIC_ROOT"))
    })
}

fn start(source: Source, folder: &str, settings: &str, manage: &str) -> String {
    let package: Vec<&str> = settings.split('.').collect();
    for depth in (1..package.len()).rev() {
        let module = format!("{}.wsgi", package[..depth].join("."));
        if source.tree.exists(&within(folder, &format!("{}.py", module.replace('.', "/")))) {
            return gunicorn(folder, &module, "application");
        }
    }
    format!("python {manage} runserver 0.0.0.0:$PORT")
}

fn within(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}
