//! Values by domain name. Pure.

use std::collections::HashMap;

use temps_state::DomainName;

/// Values of names, and of wildcards by what follows their `*.`. A host is looked up without building text.
#[derive(Debug)]
pub(crate) struct ByName<T> {
    exact: HashMap<Box<str>, T>,
    below: HashMap<Box<str>, T>,
}

impl<T> ByName<T> {
    /// The value of a name itself; a wildcard is a name too.
    pub(crate) fn get(&self, name: &DomainName) -> Option<&T> {
        let names = if name.is_wildcard() { &self.below } else { &self.exact };
        names.get(name.base())
    }

    /// The value of the name that is this host, in lower case and without a dot at its end.
    pub(crate) fn exact(&self, host: &str) -> Option<&T> {
        self.exact.get(host)
    }

    /// The value of the wildcard that covers a host.
    pub(crate) fn below(&self, host: &str) -> Option<&T> {
        let (label, rest) = host.split_once('.')?;
        self.below.get(rest).filter(|_| !label.is_empty())
    }

    /// The value of a host: its own before that of a wildcard.
    pub(crate) fn find(&self, host: &str) -> Option<&T> {
        self.exact(host).or_else(|| self.below(host))
    }

    /// The place of a name's value.
    pub(crate) fn entry(&mut self, name: &DomainName) -> &mut T
    where
        T: Default,
    {
        let names = if name.is_wildcard() { &mut self.below } else { &mut self.exact };
        names.entry(name.base().into()).or_default()
    }

    /// Gives every name the value of the wildcard that covers it, too.
    pub(crate) fn spread(&mut self, mut add: impl FnMut(&mut T, &T)) {
        for (host, value) in &mut self.exact {
            let wildcard = host.split_once('.').and_then(|(_, rest)| self.below.get(rest));
            if let Some(wildcard) = wildcard {
                add(value, wildcard);
            }
        }
    }

    /// All values.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.exact.values_mut().chain(self.below.values_mut())
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: HashMap::new() }
    }
}

impl<T> FromIterator<(DomainName, T)> for ByName<T> {
    fn from_iter<I: IntoIterator<Item = (DomainName, T)>>(pairs: I) -> Self {
        let mut by_name = Self::default();
        for (name, value) in pairs {
            let names = if name.is_wildcard() { &mut by_name.below } else { &mut by_name.exact };
            names.insert(name.base().into(), value);
        }
        by_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_is_itself_before_it_is_below_a_wildcard() {
        let names = ["a.example.com", "*.example.com", "*.b.example.com"];
        let by_name: ByName<&str> = names.into_iter().map(|text| (name(text), text)).collect();
        for (host, found) in [
            ("a.example.com", Some("a.example.com")),
            ("c.example.com", Some("*.example.com")),
            ("b.example.com", Some("*.example.com")),
            ("c.b.example.com", Some("*.b.example.com")),
            ("example.com", None),
            (".example.com", None),
            ("d.c.b.example.com", None),
            ("com", None),
            ("", None),
        ] {
            assert_eq!(by_name.find(host).copied(), found, "{host}");
        }
        for text in names {
            assert_eq!(by_name.get(&name(text)), Some(&text));
        }
        assert_eq!(by_name.get(&name("*.a.example.com")), None);
    }

    #[test]
    fn a_name_takes_what_its_wildcard_has() {
        let names = ["a.example.com", "*.example.com", "a.example.org"];
        let pairs = names.into_iter().map(|text| (name(text), vec![text]));
        let mut by_name: ByName<Vec<&str>> = pairs.collect();
        by_name.spread(|own, wildcard| own.extend(wildcard));
        assert_eq!(by_name.find("a.example.com"), Some(&vec!["a.example.com", "*.example.com"]));
        assert_eq!(by_name.find("a.example.org"), Some(&vec!["a.example.org"]));
    }
}
