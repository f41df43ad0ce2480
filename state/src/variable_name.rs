//! Names of environment variables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest variable name, in octets.
pub const VARIABLE_NAME_BYTES_MAX: usize = 128;

/// A variable's name as POSIX shells take it (IEEE Std 1003.1 §3.216): a letter or `_`, then letters, digits and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(String);

/// Why a text is not a [`VariableName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a variable name: use letters, digits and `_`, no digit first, \
     {VARIABLE_NAME_BYTES_MAX} characters at most"
)]
pub struct VariableNameError {
    text: String,
}

impl VariableName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VariableName {
    type Err = VariableNameError;

    fn from_str(text: &str) -> Result<Self, VariableNameError> {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let whole = text.len() <= VARIABLE_NAME_BYTES_MAX
            && text.starts_with(letter)
            && text.chars().all(|c| letter(c) || c.is_ascii_digit());
        if whole {
            Ok(Self(text.into()))
        } else {
            Err(VariableNameError { text: text.chars().take(64).collect() })
        }
    }
}

impl TryFrom<String> for VariableName {
    type Error = VariableNameError;

    fn try_from(text: String) -> Result<Self, VariableNameError> {
        text.parse()
    }
}

impl From<VariableName> for String {
    fn from(name: VariableName) -> Self {
        name.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_names_are_what_shells_take() {
        for good in ["A", "_", "DATABASE_URL", "a1"] {
            assert!(good.parse::<VariableName>().is_ok(), "{good}");
        }
        for bad in ["", "1A", "A-B", "A=B", "A B", "É"] {
            assert!(bad.parse::<VariableName>().is_err(), "{bad}");
        }
    }
}
