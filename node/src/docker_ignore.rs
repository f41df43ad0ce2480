//! What a `.dockerignore` keeps out: Docker's rules, which are not Git's. Pure.
//!
//! Every pattern is anchored at the root, a folder's verdict covers what is in it, and the last pattern that matches
//! decides, so that `!keep` can bring back what an earlier pattern took, folders included.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The most patterns that are read; a file with more is cut there.
const PATTERNS_MAX: usize = 1_000;

/// A parsed `.dockerignore`.
#[derive(Default)]
pub struct DockerIgnore {
    patterns: Vec<Pattern>,
}

struct Pattern {
    keeps: bool,
    glob: Gitignore,
}

impl DockerIgnore {
    /// Reads the file's text; a pattern that is no glob is left out, as it can match nothing.
    pub fn parse(text: &str) -> Self {
        let patterns = text.lines().filter_map(pattern).take(PATTERNS_MAX).collect();
        Self { patterns }
    }

    /// Whether a path relative to the root is kept out.
    pub fn excludes(&self, path: &str, is_folder: bool) -> bool {
        let matching = self
            .patterns
            .iter()
            .rfind(|pattern| pattern.glob.matched_path_or_any_parents(path, is_folder).is_ignore());
        matching.is_some_and(|pattern| !pattern.keeps)
    }
}

fn pattern(line: &str) -> Option<Pattern> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (keeps, path) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() || path == "." {
        return None;
    }
    let mut builder = GitignoreBuilder::new("");
    builder.add_line(None, &format!("/{path}")).ok()?;
    Some(Pattern { keeps, glob: builder.build().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_cover_what_is_inside() {
        let ignore = DockerIgnore::parse("# comment\nlogs\n*.md\n**/*.tmp\n/dist/\n./a/b\n");
        for (path, excluded) in [
            ("logs", true),
            ("logs/today.txt", true),
            ("src/logs", false),
            ("README.md", true),
            ("docs/README.md", false),
            ("deep/down/x.tmp", true),
            ("x.tmp", true),
            ("dist/app.js", true),
            ("a/b/c", true),
            ("a/c", false),
        ] {
            assert_eq!(ignore.excludes(path, false), excluded, "{path}");
        }
    }

    #[test]
    fn the_last_match_decides() {
        let ignore = DockerIgnore::parse("*\n!src\n!package.json\nsrc/secret\n");
        for (path, excluded) in [
            ("README.md", true),
            ("src/main.ts", false),
            ("src/deep/a.ts", false),
            ("src/secret/key", true),
            ("package.json", false),
            ("other/package.json", true),
        ] {
            assert_eq!(ignore.excludes(path, false), excluded, "{path}");
        }
    }
}
