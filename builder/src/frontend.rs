//! The frontend that a Dockerfile's `# syntax=` line asks for: an image, which takes a registry.

use std::time::Duration;

use bollard::Docker;

use crate::masked_log::MaskedLog;
use crate::step;

/// How long the registry of a frontend may take to answer, in seconds.
pub const REGISTRY_SECONDS_MAX: u64 = 10;

/// The Dockerfile without its `# syntax=` line where that image is not to be had: the engine's own frontend reads it
/// then, which almost always suffices.
pub(crate) async fn readable(docker: &Docker, dockerfile: String, log: &MaskedLog) -> String {
    let Some((frontend, rest)) = without_syntax(&dockerfile) else { return dockerfile };
    let asking = docker.inspect_registry_image(&frontend, None);
    let answer = tokio::time::timeout(Duration::from_secs(REGISTRY_SECONDS_MAX), asking).await;
    if let Ok(Ok(_)) = answer {
        return dockerfile;
    }
    log.write(
        step::BUILD,
        &format!(
            "the image {frontend} of the `# syntax` line cannot be pulled: building with the engine's own frontend \
             instead"
        ),
    );
    rest
}

/// The image of a Dockerfile's `# syntax=` line, and the Dockerfile without it.
fn without_syntax(dockerfile: &str) -> Option<(String, String)> {
    let comments = dockerfile.lines().take_while(|line| line.trim_start().starts_with('#'));
    let (at, line) = comments.enumerate().find(|(_, line)| syntax(line).is_some())?;
    let lines = dockerfile.lines().enumerate();
    // An empty comment in its place keeps the line numbers of errors right.
    let rest: Vec<&str> = lines.map(|(n, line)| if n == at { "#" } else { line }).collect();
    Some((syntax(line)?.into(), rest.join("\n") + "\n"))
}

fn syntax(line: &str) -> Option<&str> {
    let (key, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    key.trim().eq_ignore_ascii_case("syntax").then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_line_is_found_among_the_first_comments_only() {
        let (image, rest) =
            without_syntax("# hello\n# Syntax = docker/dockerfile:1.7\nFROM a\n").unwrap();
        assert_eq!(image, "docker/dockerfile:1.7");
        assert_eq!(rest, "# hello\n#\nFROM a\n");
        assert_eq!(without_syntax("FROM a\n# syntax=b\n"), None);
        assert_eq!(without_syntax(""), None);
    }
}
