//! What can be wrong with a configuration file.

use std::fmt;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Both files are there.
    #[error("both temps.json and .temps.yaml are present: keep one of them")]
    TwoFiles,
    /// The file is no text file, or too large.
    #[error("cannot read {file}: it is not a plain text file of at most 4 MiB")]
    Unreadable {
        /// Its name.
        file: &'static str,
    },
    /// The file is not JSON or YAML.
    #[error("{file}{at} cannot be parsed: {reason}")]
    Syntax {
        /// Its name.
        file: &'static str,
        /// Where.
        at: At,
        /// What the parser says.
        reason: String,
    },
    /// A key that has no meaning.
    #[error("{file}{at}: unknown key `{key}`; {hint}")]
    UnknownKey {
        /// The file's name.
        file: &'static str,
        /// Where.
        at: At,
        /// The key with those above it, such as `build.outputDirectori`.
        key: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A key with a wrong value.
    #[error("{file}{at}: {}{reason}", .key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default())]
    WrongValue {
        /// The file's name.
        file: &'static str,
        /// Where.
        at: At,
        /// The key with those above it; `None` for the whole file.
        key: Option<String>,
        /// What is wrong, and what is expected.
        reason: String,
    },
}

/// A place in a file, when it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    /// Line, from 1; 0 when unknown.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => Ok(()),
            line => write!(f, ":{line}:{}", self.column),
        }
    }
}
