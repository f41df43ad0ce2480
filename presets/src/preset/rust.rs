//! Rust.
//!
//! Recognised by Cargo.toml. Writes a release build of the one binary with a kept target folder, and an image with the
//! binary beside the source, whose templates and assets programs read at run time.

use toml::Table;

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer};
use crate::listening::{Speech, capture, listening};
use crate::source::Source;

const PORT: u16 = 8_080;
/// Crates that need more of the system: their name in Cargo.lock, what building and what running needs.
const SYSTEM: &[(&str, &[&str], &[&str])] = &[
    ("openssl-sys", &["pkg-config", "libssl-dev"], &["libssl3"]),
    ("pq-sys", &["libpq-dev"], &["libpq5"]),
    ("mysqlclient-sys", &["default-libmysqlclient-dev"], &["libmariadb3"]),
    ("libsqlite3-sys", &["pkg-config", "libsqlite3-dev"], &["libsqlite3-0"]),
    ("prost-build", &["protobuf-compiler"], &[]),
    ("aws-lc-sys", &["cmake"], &[]),
];

const SPEECH: Speech = Speech {
    reads_port: r#"(?:var(?:_os)?|env!|get_env)\(\s*"PORT"|env\s*=\s*"PORT""#,
    literals: &[
        r#""(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::1?\]):(\d{2,5})""#,
        r"\(\s*\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]\s*,\s*(\d{2,5})\s*\)",
        r#"\(\s*(?:"[\d.]+"|"localhost"|\w*Ipv[46]Addr::\w+(?:\([^)]*\))?)\s*,\s*(\d{2,5})\s*\)"#,
        r"(?i)\bport\w*\b\s*(?::\s*u16\s*)?[=:][^;\n]*?\b(\d{4,5})\b",
    ],
    loopback: r#""(?:127\.0\.0\.1|localhost):\d+"|\[\s*127\s*,\s*0\s*,\s*0\s*,\s*1\s*\]\s*,\s*\d"#,
};

pub(crate) const PRESET: Preset = Preset {
    name: "rust",
    looks_for: "Cargo.toml",
    recognise: |source| Ok(source.first_of(&["Cargo.toml"]).map(|file| format!("there is {file}"))),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let manifest = source
        .toml("Cargo.toml")?
        .ok_or(DetectError::FileMissing { preset: PRESET.name, file: "Cargo.toml" })?;
    let binary = binary(source, &manifest)?;
    let files = source.code_files(&[".rs"]);
    let listening = listening(source, &files, &SPEECH);
    let port = listening.port_or(PORT);
    let (building, running) = system_packages(source);
    let start = source.start().unwrap_or_else(|| "/usr/local/bin/app".into());
    let effective = source.port_or(port);
    let writer = built(source, &manifest, &binary, &building)
        .from("debian:bookworm-slim", None)
        .packages(&running)
        .copy_from("build", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/")
        .line("WORKDIR /app")
        .copy(&["."], ".")
        .copy_from("build", "/out/", "/usr/local/bin/")
        .when(mentions(source, "rocket"), |writer| {
            writer.line(format!("ENV ROCKET_ADDRESS=0.0.0.0 ROCKET_PORT={effective}"))
        })
        .listen(effective)
        .start(&start);
    Ok(Plan::server(writer, port).note(Some(format!("the binary is {binary}"))).heard(listening))
}

fn built(source: Source, manifest: &Table, binary: &str, packages: &[&str]) -> Writer {
    let locked = if source.tree.exists("Cargo.lock") { " --locked" } else { "" };
    let build = source
        .build_command()
        .unwrap_or_else(|| format!("cargo build --release{locked} --bin {binary}"));
    let name = package_name(manifest).unwrap_or(binary);
    let cached = |run: Run| {
        run.cache("cargo-registry", "/usr/local/cargo/registry")
            .cache("cargo-git", "/usr/local/cargo/git")
            .locked_cache(&format!("cargo-target-{name}"), "/src/target")
    };
    // Cargo goes by modification times: touched, the source is always newer than what an earlier build left behind.
    let fresh = "find . -path ./target -prune -o -type f -exec touch {} +";
    let keep = format!("mkdir -p /out && cp target/release/{binary} /out/app");
    Writer::default()
        .from(&image(source), Some("build"))
        .packages(packages)
        .prepare()
        .line("WORKDIR /src")
        .copy(&["."], ".")
        .build_by(cached(Run::of(format!("{fresh} \\\n    && {build} \\\n    && {keep}"))))
}

fn image(source: Source) -> String {
    let pinned = source.text_of(&["rust-toolchain.toml", "rust-toolchain"]);
    let channel =
        capture(r"(?m)^\s*(?:channel\s*=\s*)?\x22?(\d+\.\d+(?:\.\d+)?)\x22?\s*$", &pinned);
    format!("rust:{}-slim-bookworm", channel.as_deref().unwrap_or("1"))
}

fn package_name(manifest: &Table) -> Option<&str> {
    manifest.get("package")?.get("name")?.as_str()
}

/// The binary to run: the default one, the only one, or the one named like its package.
fn binary(source: Source, manifest: &Table) -> Result<String, DetectError> {
    let mut found = binaries(source, "", manifest);
    let own = package_name(manifest).map(str::to_owned);
    let default = manifest.get("package").and_then(|p| p.get("default-run")?.as_str());
    if let Some(default) = default {
        return Ok(default.to_owned());
    }
    if found.is_empty() {
        found = members(source, manifest);
    }
    found.sort();
    found.dedup();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(DetectError::NoStart {
            preset: PRESET.name,
            looked_for: "src/main.rs, src/bin/ and [[bin]], also in workspace members",
            example: "{\"preset\": \"rust\", \"build\": {\"buildCommand\": \"cargo build --release --bin NAME && mkdir -p /out && cp target/release/NAME /out/app\"}}",
        }),
        _ => own.filter(|own| found.contains(own)).or_else(|| telling(&found)).ok_or_else(|| {
            DetectError::SeveralPrograms {
                preset: PRESET.name,
                example: format!("[package] default-run = \"{}\" in Cargo.toml", found[0]),
                found: found.join(", "),
            }
        }),
    }
}

fn telling(found: &[String]) -> Option<String> {
    let telling =
        |name: &&String| ["server", "web", "api", "app"].iter().any(|word| name.contains(word));
    found.iter().find(telling).cloned()
}

/// The binaries of the package in a folder.
fn binaries(source: Source, dir: &str, manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    let named = manifest.get("bin").and_then(|bins| bins.as_array()).into_iter().flatten();
    found.extend(named.filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned)));
    let at = |path: &str| if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") };
    let main_is_named = manifest.get("bin").and_then(|bins| bins.as_array()).is_some_and(|bins| {
        bins.iter().any(|bin| {
            bin.get("path").and_then(|path| path.as_str()).is_none_or(|path| path == "src/main.rs")
        })
    });
    if source.tree.exists(&at("src/main.rs")) && !main_is_named {
        found.extend(package_name(manifest).map(str::to_owned));
    }
    let below = source.tree.list(&at("src/bin"));
    found.extend(
        below.iter().map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()),
    );
    found
}

/// The binaries of a workspace's members; of its default members, where it has any.
fn members(source: Source, manifest: &Table) -> Vec<String> {
    let Some(workspace) = manifest.get("workspace").and_then(|w| w.as_table()) else {
        return Vec::new();
    };
    let listed = workspace.get("default-members").or_else(|| workspace.get("members"));
    let globs = listed
        .and_then(|list| list.as_array())
        .into_iter()
        .flatten()
        .filter_map(|glob| glob.as_str());
    let folders = globs.flat_map(|glob| match glob.strip_suffix("/*") {
        Some(dir) => {
            let names = source.tree.list(dir).into_iter().filter(|name| name.ends_with('/'));
            names.map(|name| format!("{dir}/{}", name.trim_end_matches('/'))).collect()
        }
        None => vec![glob.to_owned()],
    });
    folders
        .filter_map(|dir| {
            let manifest: Table = source.tree.read(&format!("{dir}/Cargo.toml"))?.parse().ok()?;
            Some(binaries(source, &dir, &manifest))
        })
        .flatten()
        .collect()
}

fn mentions(source: Source, name: &str) -> bool {
    let lock = source.text_of(&["Cargo.lock"]);
    let text = if lock.is_empty() { source.text_of(&["Cargo.toml"]) } else { lock };
    text.contains(&format!("name = \"{name}\""))
        || text.lines().any(|line| line.starts_with(&format!("{name} =")))
}

fn system_packages(source: Source) -> (Vec<&'static str>, Vec<&'static str>) {
    let lock = source.text_of(&["Cargo.lock"]);
    let needed: Vec<_> =
        SYSTEM.iter().filter(|(name, ..)| lock.contains(&format!("name = \"{name}\""))).collect();
    let building = needed.iter().flat_map(|(_, building, _)| building.iter().copied()).collect();
    let running = needed.iter().flat_map(|(_, _, running)| running.iter().copied()).collect();
    (building, running)
}
