//! Go.
//!
//! Recognised by go.mod or go.work, or by a main package at the root. Writes a build of the one main package, and an image with the
//! binary beside the source, whose templates and assets programs read at run time.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer};
use crate::listening::{Speech, capture, listening, regex};
use crate::source::Source;

const PORT: u16 = 8_080;
/// The minor version of the base image that builds everything up to it.
const MINOR_DEFAULT: u32 = 24;
/// What a module, or a workspace of several, is told by.
const MODULES: &[&str] = &["go.mod", "go.work"];
/// Files that are looked at for a port.
const FILES_SCANNED_MAX: usize = 40;
/// Modules that need a C compiler.
const CGO: &[&str] = &["github.com/mattn/go-sqlite3", "github.com/confluentinc/confluent-kafka-go"];
/// Names of the program that is meant, where there are several.
const TELLING: &[&str] = &["server", "web", "api", "app", "main", "http"];
const CACHES: (&str, &str) = ("/root/.cache/go-build", "/go/pkg/mod");

const SPEECH: Speech = Speech {
    reads_port: r#"(?:Getenv|LookupEnv|env\w*\.?\w*)\(\s*"PORT""#,
    literals: &[
        r#"(?:ListenAndServe(?:TLS)?|Run|Listen|Start|Addr:)\s*\(?\s*(?:"tcp",\s*)?"[^":\s]*:(\d{2,5})""#,
        r#""(?:0\.0\.0\.0|localhost|127\.0\.0\.1)?:(\d{2,5})""#,
        r#"(?i)\bport\w*"?\s*(?::?=|,)\s*"?:?(\d{4,5})\b"#,
    ],
    loopback: r#"(?:ListenAndServe(?:TLS)?|Run|Listen|Start|Addr:)\s*\(?\s*(?:"tcp",\s*)?"(?:127\.0\.0\.1|localhost):"#,
};

pub(crate) const PRESET: Preset = Preset {
    name: "go",
    looks_for: "go.mod",
    recognise: |source| {
        let module = source.first_of(MODULES).map(|file| format!("there is {file}"));
        Ok(module.or_else(|| {
            let file = main_file(source, "")?;
            Some(format!("{file} is a main package"))
        }))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let module = source.text_of(MODULES);
    let (build, package) = match source.build_command() {
        Some(command) => (command, None),
        None => {
            let package = main_package(source, &module)?;
            (
                format!("go build -trimpath -ldflags='-s -w' -o /out/app {}", target(&package)),
                Some(package),
            )
        }
    };
    let listening = listening(source, &go_files(source, package.as_deref().unwrap_or("")), &SPEECH);
    let port = listening.port_or(PORT);
    let start = source.start().unwrap_or_else(|| "/usr/local/bin/app".into());
    let writer = built(source, &module, &build)
        .from("debian:bookworm-slim", None)
        .copy_from("build", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/")
        .line("WORKDIR /app")
        .copy(&["."], ".")
        .copy_from("build", "/out/", "/usr/local/bin/")
        .listen(source.port_or(port))
        .start(&start);
    let note = package
        .filter(|package| !package.is_empty())
        .map(|package| format!("the program is {package}"));
    Ok(Plan::server(writer, port).note(note).heard(listening))
}

fn built(source: Source, module: &str, build: &str) -> Writer {
    let vendored = source.tree.exists("vendor/modules.txt");
    let workspace = source.tree.exists("go.work");
    let local = regex(r"(?m)=>\s*\.{1,2}/").is_match(module);
    let needs = regex(r"(?m)^\s*require\b|^\s+\S+\.\S+/\S+ v").is_match(module) && !vendored;
    let summed = source.tree.exists("go.sum");
    let cgo = u8::from(CGO.iter().any(|name| module.contains(name)));
    let flags = if vendored { "-buildvcs=false -mod=vendor" } else { "-buildvcs=false" };
    let cached =
        |command: &str| Run::of(command).cache("go-build", CACHES.0).cache("go-mod", CACHES.1);
    let writer = Writer::default()
        .from(&image(module), Some("build"))
        .prepare()
        .line("WORKDIR /src")
        .line(format!("ENV CGO_ENABLED={cgo} GOTOOLCHAIN=local GOFLAGS=\"{flags}\""));
    let writer = if needs && summed && !local && !workspace {
        writer.copy(&["go.mod", "go.sum"], "./").run(cached("go mod download"))
    } else {
        writer
    };
    writer
        .copy(&["."], ".")
        .when(module.is_empty(), |writer| writer.run(Run::of("go mod init app").plain()))
        .when(needs && !summed, |writer| writer.run(cached("go mod tidy")))
        .build_by(cached(&format!("mkdir -p /out && {build}")))
}

/// The default, unless go.mod asks for a newer one.
fn image(module: &str) -> String {
    let asked = [r"(?m)^go\s+1\.(\d+)", r"(?m)^toolchain\s+go1\.(\d+)"]
        .iter()
        .filter_map(|pattern| capture(pattern, module)?.parse::<u32>().ok())
        .max();
    format!("golang:1.{}-bookworm", asked.unwrap_or(MINOR_DEFAULT).max(MINOR_DEFAULT))
}

fn target(package: &str) -> String {
    if package.is_empty() { ".".into() } else { format!("./{package}") }
}

/// The folder of the main package: the root, or the only one below it, or the one whose name tells.
fn main_package(source: Source, module: &str) -> Result<String, DetectError> {
    if main_file(source, "").is_some() {
        return Ok(String::new());
    }
    let folders = |dir: &str| -> Vec<String> {
        let names = source
            .tree
            .list(dir)
            .into_iter()
            .filter(|name| name.ends_with('/') && !name.starts_with('.'));
        names.map(|name| format!("{dir}{}", name.trim_end_matches('/'))).collect()
    };
    let mut found: Vec<String> =
        folders("cmd/").into_iter().chain(main_file(source, "cmd").map(|_| "cmd".into())).collect();
    found.retain(|dir| main_file(source, dir).is_some());
    if found.is_empty() {
        found = folders("");
        found.retain(|dir| main_file(source, dir).is_some());
    }
    let own =
        capture(r"(?m)^module\s+(?:\S*/)?([^/\s]+?)(?:/v\d+)?\s*$", module).unwrap_or_default();
    let told = found.iter().find(|dir| {
        let name = dir.rsplit('/').next().unwrap_or(dir);
        name == own || TELLING.contains(&name)
    });
    match (told.cloned(), found.len()) {
        (_, 1) => Ok(found.remove(0)),
        (Some(told), _) => Ok(told),
        (None, 0) => Err(DetectError::NoStart {
            preset: PRESET.name,
            looked_for: "a main package at the root, in cmd/ and one folder down",
            example: "{\"build\": {\"buildCommand\": \"go build -o /out/app ./path/to/package\"}}",
        }),
        (None, _) => Err(DetectError::SeveralPrograms {
            preset: PRESET.name,
            example: format!(
                "{{\"build\": {{\"buildCommand\": \"go build -o /out/app ./{}\"}}}}",
                found[0]
            ),
            found: found.join(", "),
        }),
    }
}

/// A file of a main package in a folder.
fn main_file(source: Source, dir: &str) -> Option<String> {
    let main = regex(r"(?m)^package\s+main\b");
    go_files_in(source, dir).into_iter().find(|file| {
        let text = source.text_of(&[file]);
        main.is_match(&text) && !text.contains("//go:build ignore")
    })
}

fn go_files_in(source: Source, dir: &str) -> Vec<String> {
    let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
    let names = source.tree.list(dir).into_iter();
    names
        .filter(|name| name.ends_with(".go") && !name.ends_with("_test.go"))
        .map(|name| format!("{prefix}{name}"))
        .collect()
}

/// The main package's files first, then the others.
fn go_files(source: Source, package: &str) -> Vec<String> {
    let mut files = go_files_in(source, package);
    let others = source.code_files(&[".go"]).into_iter().filter(|file| !file.ends_with("_test.go"));
    files.extend(others.take(FILES_SCANNED_MAX));
    files.dedup();
    files
}
