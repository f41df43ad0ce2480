//! How a Node.js server is started, and where it listens.

use super::package_json::PackageJson;
use super::package_manager::PackageManager;
use crate::listening::{Listening, Speech, listening};
use crate::source::Source;

/// Files that are looked at for a port.
const FILES_SCANNED_MAX: usize = 40;
/// Files that servers are started from, by habit.
const ENTRIES: &[&str] = &[
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "server.mjs",
    "index.mjs",
    "app.mjs",
    "server.cjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
    "bin/www",
    "server/index.js",
    "server.ts",
    "index.ts",
    "app.ts",
    "main.ts",
    "src/server.ts",
    "src/index.ts",
    "src/app.ts",
    "src/main.ts",
];
/// Scripts that start a server, surest first.
const START_SCRIPTS: &[&str] = &["start:prod", "start:production", "start", "serve", "server"];

const SPEECH: Speech = Speech {
    reads_port: r"(?:env\.PORT\b|env\[.PORT.\]|\bPORT\b\s*[,}][^=]*=\s*process\.env|env\.get\(.PORT.\))",
    literals: &[
        r"\.listen\(\s*(\d{2,5})\b",
        r"\.listen\(\s*\{[^}]*?port:\s*(\d{2,5})\b",
        r"(?im)^[^/\n]*\bport\b\s*[:=][^;\n]*?\b(\d{2,5})\b",
        r"Bun\.serve\(\s*\{[^}]*?port:\s*(\d{2,5})\b",
    ],
    loopback: r#"(?:\.listen\([^)]*['"](?:127\.0\.0\.1|localhost)['"]|\b(?:host|hostname|HOST|HOSTNAME)\s*[:=]\s*['"](?:127\.0\.0\.1|localhost)['"])"#,
};

/// The start command, and where it was found.
pub(crate) struct Start {
    pub(crate) command: String,
    pub(crate) because: String,
}

/// The start command of package.json, or of a file with a telling name.
pub(crate) fn start(
    source: Source,
    package: &PackageJson,
    manager: &PackageManager,
) -> Option<Start> {
    let scripted = START_SCRIPTS.iter().find_map(|name| Some((*name, package.script(name)?)));
    if let Some((name, script)) = scripted {
        return Some(Start {
            command: script_command(package, manager, name, script),
            because: format!("package.json has the script `{name}`"),
        });
    }
    let main = package.main().map(str::to_owned);
    let main = main.and_then(|main| existing(source, &main));
    let entry = main
        .map(|entry| (entry, "main"))
        .or_else(|| source.first_of(ENTRIES).map(|entry| (entry.to_owned(), "by its name")));
    entry.map(|(entry, how)| Start {
        command: runner(source, package, manager, &entry),
        because: format!("{entry} is the entry ({how})"),
    })
}

/// `main` may leave out its ending, or name a folder.
fn existing(source: Source, main: &str) -> Option<String> {
    let main = main.trim_start_matches("./").trim_end_matches('/');
    let candidates = [main.to_owned(), format!("{main}.js"), format!("{main}/index.js")];
    candidates.into_iter().find(|path| !path.is_empty() && source.tree.read(path).is_some())
}

fn runner(source: Source, package: &PackageJson, manager: &PackageManager, entry: &str) -> String {
    let typescript = entry.ends_with(".ts");
    match manager {
        PackageManager::Bun => format!("bun {entry}"),
        _ if typescript && package.has("tsx") => format!("tsx {entry}"),
        _ if typescript && package.has("ts-node") => format!("ts-node {entry}"),
        _ if source.text_of(&[entry]).contains("Bun.serve") => format!("bun {entry}"),
        _ => format!("node {entry}"),
    }
}

/// The script itself, so that signals reach it; through the package manager where that adds something.
fn script_command(
    package: &PackageJson,
    manager: &PackageManager,
    name: &str,
    script: &str,
) -> String {
    let hooked =
        ["pre", "post"].iter().any(|hook| package.script(&format!("{hook}{name}")).is_some());
    let needs_manager =
        ["$npm_", "npm ", "pnpm ", "yarn ", "bun run"].iter().any(|part| script.contains(part));
    if hooked || needs_manager { manager.run_script(name) } else { script.to_owned() }
}

/// Where the server listens, by its entry and the files beside it.
pub(crate) fn heard(source: Source, command: &str) -> Listening {
    let named =
        command.split_whitespace().filter_map(|word| existing(source, word.trim_matches('\'')));
    let beside = source.code_files(&[".js", ".ts", ".mjs", ".cjs", "www"]);
    let mut files: Vec<String> = Vec::new();
    for file in named.chain(beside) {
        if !files.contains(&file) && files.len() < FILES_SCANNED_MAX {
            files.push(file);
        }
    }
    listening(source, &files, &SPEECH)
}
