//! What would be built of a source, for people.

use serde::Deserialize;
use serde_json::Value;

use crate::error::CliError;
use crate::table::pairs;
use crate::view;

/// What a node found.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detection {
    preset: String,
    reasons: Vec<String>,
    warnings: Vec<String>,
    commands: Commands,
    output: Value,
    dockerfile: Value,
    port: Option<u16>,
    port_assumed: bool,
    config_file: Option<String>,
    revision: Option<Commit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Commands {
    install: Vec<String>,
    build: Vec<String>,
    start: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Commit {
    commit: String,
    message: String,
}

/// The answer as lines, the reasons one below the other.
pub fn shown(value: &Value) -> Result<String, CliError> {
    let Detection { preset, reasons, warnings, commands, output, dockerfile, .. } =
        view::read(value)?;
    let Detection { port, port_assumed, config_file, revision, .. } = view::read(value)?;
    let mut lines = vec![("preset", preset)];
    lines.extend(column("because", reasons));
    if let Some(Commit { commit, message }) = revision {
        lines.push(("commit", format!("{commit} {message}").trim_end().into()));
    }
    if let Some(path) = dockerfile["path"].as_str() {
        lines.push(("Dockerfile", path.into()));
    }
    lines.extend(column("install", commands.install));
    lines.extend(column("build", commands.build));
    lines.extend(commands.start.map(|start| ("start", start)));
    if let Some(port) = port {
        let unless = if port_assumed { ", unless it listens on another one" } else { "" };
        lines.push(("port", format!("{port}{unless}")));
    }
    lines.push(("output", produced(&output)));
    lines
        .push(("settings", config_file.unwrap_or_else(|| "none; temps.json may hold some".into())));
    lines.extend(column("warning", warnings));
    Ok(pairs(lines))
}

/// Several lines of one name, which is said once.
fn column(name: &'static str, lines: Vec<String>) -> impl Iterator<Item = (&'static str, String)> {
    lines
        .into_iter()
        .enumerate()
        .map(move |(place, line)| (if place == 0 { name } else { "" }, line))
}

fn produced(output: &Value) -> String {
    match output["directory"].as_str() {
        Some("") => "a static site of the whole folder".into(),
        Some(directory) => format!("a static site of the folder {directory}"),
        None => "a container image".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reasons_come_first_and_what_is_run_after_them() {
        let app = json!({
            "preset": "nextjs",
            "reasons": ["package.json has the dependency `next`", "package-lock.json: npm"],
            "warnings": [],
            "commands": {"install": ["npm ci"], "build": ["npm run build"], "start": "npm start"},
            "output": {"type": "image"}, "dockerfile": {"type": "written", "text": "FROM"},
            "port": 3000, "port_assumed": true, "config_file": null, "revision": null,
        });
        let expected = "\
preset    nextjs
because   package.json has the dependency `next`
          package-lock.json: npm
install   npm ci
build     npm run build
start     npm start
port      3000, unless it listens on another one
output    a container image
settings  none; temps.json may hold some";
        assert_eq!(shown(&app).unwrap(), expected);
        let site = json!({"preset": "static", "output": {"type": "static", "directory": ""}});
        assert!(shown(&site).unwrap().contains("a static site of the whole folder"));
    }
}
