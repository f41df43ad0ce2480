//! Which files of a build context stay out of it, by the rules of `.dockerignore`.
//!
//! Lines are patterns from the context's root, the last that matches a path or a folder above it counts, and `!` takes
//! a path back in. The patterns themselves are matched by the `ignore` crate, one matcher for each line.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The most lines of a `.dockerignore` that count.
const LINES_MAX: usize = 2_000;

/// What stays out of a build context.
pub(crate) struct Dockerignore {
    lines: Vec<Line>,
}

struct Line {
    takes_back: bool,
    pattern: Gitignore,
}

impl Dockerignore {
    /// Reads the lines of a file; a pattern that cannot be read is skipped.
    pub(crate) fn read(text: &str) -> Self {
        Self { lines: text.lines().take(LINES_MAX).filter_map(Line::read).collect() }
    }

    /// Whether a path, relative to the context's root, stays out.
    pub(crate) fn excludes(&self, path: &Path, is_folder: bool) -> bool {
        self.lines.iter().fold(false, |out, line| {
            let hit = line.pattern.matched_path_or_any_parents(path, is_folder).is_ignore();
            if hit { !line.takes_back } else { out }
        })
    }

    /// Whether something below an excluded folder may be taken back in.
    pub(crate) fn takes_back(&self) -> bool {
        self.lines.iter().any(|line| line.takes_back)
    }
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (takes_back, pattern) = match line.strip_prefix('!') {
            Some(pattern) => (true, pattern.trim_start()),
            None => (false, line),
        };
        let pattern = pattern.trim_start_matches("./").trim_matches('/');
        let mut builder = GitignoreBuilder::new("");
        builder.add_line(None, &format!("/{pattern}")).ok()?;
        Some(Self { takes_back, pattern: builder.build().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept<'a>(rules: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let ignore = Dockerignore::read(rules);
        paths.iter().copied().filter(|path| !ignore.excludes(Path::new(path), false)).collect()
    }

    #[test]
    fn the_rules_are_dockers() {
        let paths =
            ["a.md", "docs/a.md", "docs/keep.md", "node_modules/x/i.js", "web/node_modules/y", "b"];
        for (rules, expected) in [
            ("", &paths[..]),
            ("# a.md\n\n", &paths[..]),
            (
                "*.md",
                &["docs/a.md", "docs/keep.md", "node_modules/x/i.js", "web/node_modules/y", "b"],
            ),
            ("**/*.md", &["node_modules/x/i.js", "web/node_modules/y", "b"]),
            ("node_modules", &["a.md", "docs/a.md", "docs/keep.md", "web/node_modules/y", "b"]),
            ("**/node_modules/", &["a.md", "docs/a.md", "docs/keep.md", "b"]),
            (
                "/docs\n!docs/keep.md",
                &["a.md", "docs/keep.md", "node_modules/x/i.js", "web/node_modules/y", "b"],
            ),
            ("!docs/keep.md\ndocs", &["a.md", "node_modules/x/i.js", "web/node_modules/y", "b"]),
            ("*\n!b", &["b"]),
            ("**", &[]),
            ("docs/*.md", &["a.md", "node_modules/x/i.js", "web/node_modules/y", "b"]),
            (
                "./b",
                &["a.md", "docs/a.md", "docs/keep.md", "node_modules/x/i.js", "web/node_modules/y"],
            ),
        ] {
            assert_eq!(kept(rules, &paths), expected, "{rules:?}");
        }
    }
}
