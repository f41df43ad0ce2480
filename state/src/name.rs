//! Names that end up in host names: lower-case DNS labels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, so that `<project>-<environment>` fits a DNS label of 63 octets (RFC 1035 §2.3.1).
pub const NAME_CHARS_MAX: usize = 31;

/// A project's or environment's name: `a-z`, `0-9` and inner hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a name: use 1 to {NAME_CHARS_MAX} lower-case letters, digits and inner hyphens"
)]
pub struct NameError {
    text: String,
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest name to any text, such as a folder's or branch's: `Feature/Log_In` becomes `feature-log-in`.
    pub fn slug(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let mut joined = words.join("-");
        joined.truncate(NAME_CHARS_MAX);
        joined.trim_end_matches('-').parse().ok()
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let whole = (1..=NAME_CHARS_MAX).contains(&text.len())
            && text.chars().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if whole {
            Ok(Self(text.into()))
        } else {
            Err(NameError { text: text.chars().take(64).collect() })
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "shop", "shop-2", "0", &"x".repeat(NAME_CHARS_MAX)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"x".repeat(NAME_CHARS_MAX + 1)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn any_text_with_a_letter_has_a_slug() {
        let slug = |text| Name::slug(text).map(String::from);
        assert_eq!(slug("Feature/Log_In"), Some("feature-log-in".into()));
        assert_eq!(slug("  My App  "), Some("my-app".into()));
        assert_eq!(slug("///"), None);
        assert_eq!(slug(&"a-".repeat(40)).map(|s| s.len()), Some(31));
    }
}
