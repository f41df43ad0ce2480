//! Names in the DNS that domains and certificates are for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::INTERNAL_DOMAIN;
use crate::settings::is_under;

/// The longest name in octets (RFC 1035 §2.3.4, without the root's).
pub const DOMAIN_NAME_BYTES_MAX: usize = 253;
/// The longest label in octets.
const LABEL_BYTES_MAX: usize = 63;
/// What a wildcard begins with.
const WILDCARD: &str = "*.";

/// A host name in lower case and ASCII, as it goes over the wire (RFC 5890 A-labels), of at least two labels; the first
/// may be `*`, for every name that has one label more than the rest (RFC 6125 §6.4.3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// Why a text is not a [`DomainName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no domain: {why}")]
pub struct DomainNameError {
    text: String,
    why: &'static str,
}

impl DomainName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for every name one label below.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(WILDCARD)
    }

    /// The name itself, or what stands after a wildcard's `*.`.
    pub fn base(&self) -> &str {
        self.0.strip_prefix(WILDCARD).unwrap_or(&self.0)
    }

    /// The wildcard that covers the name; none does a wildcard, nor what is right below the top.
    pub fn wildcard_above(&self) -> Option<Self> {
        let (_, above) = self.0.split_once('.')?;
        let covered = !self.is_wildcard() && above.contains('.');
        covered.then(|| Self(format!("{WILDCARD}{above}")))
    }

    /// Whether it is the preview domain or below it.
    pub fn is_preview(&self, preview_domain: &str) -> bool {
        is_under(self.base(), preview_domain)
    }

    /// Whether a host, in lower case and without a dot at its end, is this name or covered by this wildcard.
    pub fn covers(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(rest) => host
                .strip_suffix(rest)
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
            None => self.0 == host,
        }
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        let bad = |why| DomainNameError { text: text.chars().take(80).collect(), why };
        let (star, rest) = match text.trim().strip_prefix(WILDCARD) {
            Some(rest) => (WILDCARD, rest),
            None => ("", text.trim()),
        };
        let rest = rest.strip_suffix('.').unwrap_or(rest);
        let ascii =
            idna::domain_to_ascii(rest).map_err(|_| bad("it has letters that no name has"))?;
        check(&ascii).map_err(bad)?;
        let name = format!("{star}{ascii}");
        if name.len() > DOMAIN_NAME_BYTES_MAX {
            return Err(bad("it is longer than 253 octets"));
        }
        Ok(Self(name))
    }
}

fn check(name: &str) -> Result<(), &'static str> {
    let labels: Vec<&str> = name.split('.').collect();
    if labels.len() < 2 {
        return Err("a domain has at least two labels, such as example.com");
    }
    if !labels.iter().all(|label| is_label(label)) {
        return Err("each label has 1 to 63 letters, digits and inner hyphens");
    }
    if labels.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err("it is an address, and certificates are for names");
    }
    if is_under(name, INTERNAL_DOMAIN) {
        return Err("apps reach each other under temps.internal; nobody outside can");
    }
    Ok(())
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl TryFrom<String> for DomainName {
    type Error = DomainNameError;

    fn try_from(text: String) -> Result<Self, DomainNameError> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        text.parse::<DomainName>().ok().map(String::from)
    }

    #[test]
    fn names_are_written_in_one_way() {
        for (text, name) in [
            ("example.com", "example.com"),
            (" Shop.Example.COM. ", "shop.example.com"),
            ("*.example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
            ("a.b.c.d.e.example", "a.b.c.d.e.example"),
            ("1.example.com", "1.example.com"),
        ] {
            assert_eq!(read(text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        let longer = format!("{}.com", vec!["abcdefg"; 32].join("."));
        for text in [
            "",
            ".",
            "com",
            "*.com",
            "*",
            "a..com",
            "-a.com",
            "a-.com",
            "a_b.com",
            "10.0.0.1",
            "[::1]",
            "a.*.com",
            "**.example.com",
            "*.*.example.com",
            "http://example.com",
            "example.com/x",
            "example.com:443",
            "shop.temps.internal",
            "a b.com",
            &long,
            &longer,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let wildcard: DomainName = "*.example.com".parse().unwrap();
        let exact: DomainName = "example.com".parse().unwrap();
        assert!(wildcard.covers("a.example.com") && exact.covers("example.com"));
        for not in ["example.com", "a.b.example.com", ".example.com", "aexample.com"] {
            assert!(!wildcard.covers(not), "{not}");
        }
        assert!(!exact.covers("a.example.com"));
        assert_eq!((wildcard.base(), exact.base()), ("example.com", "example.com"));
    }

    #[test]
    fn the_wildcard_above_a_name_covers_it() {
        for (name, above) in [
            ("a.example.com", Some("*.example.com")),
            ("b.a.example.com", Some("*.a.example.com")),
            ("example.com", None),
            ("*.example.com", None),
        ] {
            let name: DomainName = name.parse().unwrap();
            let wildcard = name.wildcard_above();
            assert_eq!(wildcard.as_ref().map(DomainName::as_str), above, "{name}");
            assert!(wildcard.is_none_or(|wildcard| wildcard.covers(name.as_str())));
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back_as_itself(text in "\\PC{0,40}(\\.\\PC{0,20}){0,3}") {
            if let Ok(name) = text.parse::<DomainName>() {
                if let Some(above) = name.wildcard_above() {
                    prop_assert_eq!(above.as_str().parse(), Ok(above));
                }
                prop_assert_eq!(name.as_str().parse::<DomainName>().ok(), Some(name));
            }
        }
    }
}
