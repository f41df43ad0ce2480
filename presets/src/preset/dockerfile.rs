//! A Dockerfile of the source's own.
//!
//! Recognised by `Dockerfile` or `Containerfile` at the root, or by `build.dockerfile` of the configuration.
//! Writes nothing; the port is that of the last `EXPOSE`.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::recipe::{Commands, Dockerfile, Output};
use crate::source::Source;

const FILES: &[&str] = &["Dockerfile", "Containerfile"];

pub(crate) const PRESET: Preset = Preset {
    name: "dockerfile",
    looks_for: "a Dockerfile",
    recognise: |source| {
        if source.config.build.dockerfile.is_some() {
            let file = source.config.file.unwrap_or_default();
            return Ok(Some(format!("{file} names it as `build.dockerfile`")));
        }
        Ok(source.first_of(FILES).map(|file| format!("there is a {file}")))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let configured = source.config.build.dockerfile.as_ref().map(|path| path.to_string());
    let path = match configured {
        Some(path) => path,
        None => source
            .first_of(FILES)
            .ok_or(DetectError::FileMissing { preset: PRESET.name, file: "Dockerfile" })?
            .to_owned(),
    };
    let text = source
        .tree
        .read(&path)
        .ok_or_else(|| DetectError::DockerfileMissing { path: path.clone() })?;
    let port = exposed(&text);
    Ok(Plan {
        notes: port.map(|port| format!("{path} exposes port {port}")).into_iter().collect(),
        dockerfile: Dockerfile::InSource(path),
        commands: Commands::default(),
        output: Output::Image,
        port,
        warnings: Vec::new(),
    })
}

/// The first port of the last `EXPOSE`; `$NAME` is what an `ENV` or `ARG` before it says.
fn exposed(text: &str) -> Option<u16> {
    let mut values: Vec<(&str, &str)> = Vec::new();
    let mut port = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next().map(str::to_uppercase).as_deref() {
            Some("FROM") => port = None,
            Some("EXPOSE") => port = words.find_map(|word| number(word, &values)).or(port),
            Some("ENV" | "ARG") => {
                let rest: Vec<&str> = words.collect();
                values.extend(rest.iter().filter_map(|word| word.split_once('=')));
                if let [name, value] = rest[..] {
                    values.push((name, value));
                }
            }
            _ => {}
        }
    }
    port
}

fn number(word: &str, values: &[(&str, &str)]) -> Option<u16> {
    let port = word.strip_suffix("/tcp").unwrap_or(word);
    let name = port.trim_start_matches('$').trim_matches(['{', '}']);
    let value = values.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value);
    value.unwrap_or(port).trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::exposed;

    #[test]
    fn the_last_stage_tells_the_port() {
        for (text, expect) in [
            ("FROM a\nEXPOSE 8080", Some(8080)),
            ("FROM a\nexpose 80/tcp 443", Some(80)),
            ("FROM a\nEXPOSE 53/udp", None),
            ("FROM a\nEXPOSE 1\nFROM b\nEXPOSE 3000", Some(3000)),
            ("FROM a\nEXPOSE 1\nFROM b", None),
            ("FROM a\nENV PORT=4000\nEXPOSE $PORT", Some(4000)),
            ("ARG PORT=4000\nFROM a\nEXPOSE ${PORT}", Some(4000)),
            ("FROM a\nENV PORT 4000\nEXPOSE ${PORT}", Some(4000)),
            ("FROM a", None),
        ] {
            assert_eq!(exposed(text), expect, "{text}");
        }
    }
}
