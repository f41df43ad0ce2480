//! Django.
//!
//! Recognised by manage.py, at the root or one folder below. Writes an image that collects static files where the
//! settings have a `STATIC_ROOT`, and runs gunicorn on the project's wsgi.py. Migrations are for `beforeDeploy`, except
//! where the database is a file of the container.

use super::flask::gunicorn;
use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::listening::capture;
use crate::python::{DjangoSettings, PORT, Workshop};
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
    let module = capture(
        r#"DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]"#,
        &source.text_of(&[&manage]),
    );
    let settings = DjangoSettings::read(source, folder, module.unwrap_or_default());
    let workshop = Workshop::new(source)?;
    let wsgi = wsgi(source, folder, &settings.module);
    let start = match &wsgi {
        Some(module) => gunicorn(folder, module, "application"),
        None => format!("python {manage} runserver 0.0.0.0:$PORT"),
    };
    let whitenoise = wsgi.is_some() && settings.lacks_static_server(&workshop.dependencies);
    let start = match settings.keeps_data_in_a_file() {
        true => format!("python {manage} migrate --noinput && exec {start}"),
        false => start,
    };
    let collect = settings.collects().then(|| format!("python {manage} collectstatic --noinput"));
    let lacking = [
        ("django", workshop.dependencies.file.is_empty()),
        ("gunicorn", wsgi.is_some() && !workshop.dependencies.has("gunicorn")),
        ("whitenoise", whitenoise),
    ];
    let lacking: Vec<&str> =
        lacking.iter().filter_map(|(name, lacks)| lacks.then_some(*name)).collect();
    let more = (!lacking.is_empty()).then(|| lacking.join(" "));
    let workshop = match settings.overlay(whitenoise) {
        Some(overlay) => workshop.with_settings(overlay),
        None => workshop,
    };
    let mut plan = workshop.server(more.as_deref(), collect, &start, PORT);
    plan.notes.extend(settings.notes(whitenoise));
    plan.warnings.extend(settings.warnings());
    Ok(plan)
}

/// The module `wsgi` of the settings' package, or of one around it.
fn wsgi(source: Source, folder: &str, settings: &str) -> Option<String> {
    let package: Vec<&str> = settings.split('.').collect();
    (1..package.len()).rev().map(|depth| format!("{}.wsgi", package[..depth].join("."))).find(
        |module| {
            let file = format!("{}.py", module.replace('.', "/"));
            source.tree.exists(&if folder.is_empty() { file } else { format!("{folder}/{file}") })
        },
    )
}
