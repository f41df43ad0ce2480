//! Sets of records: all of one name and type, as the DNS knows them.

use std::collections::{BTreeMap, BTreeSet};

use temps_state::{ManagedRecord, RecordKind};

/// All records of a name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// The whole name, in lower case and without a dot at its end; `*` may be its first label.
    pub name: String,
    /// The records' type.
    pub kind: RecordKind,
    /// For how long others may remember them, in seconds.
    pub ttl: u32,
    /// The addresses, or the texts as they are.
    pub values: BTreeSet<String>,
}

impl RecordSet {
    /// Which set it is.
    pub fn key(&self) -> ManagedRecord {
        ManagedRecord { name: self.name.clone(), kind: self.kind }
    }
}

/// A set of records that is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The set. Without values where the provider makes up the answers itself.
    pub set: RecordSet,
    /// What the provider calls the records, by value, where it does: some have two of one value.
    pub ids: BTreeMap<String, Vec<String>>,
    /// Which state of the set it is, where the provider tells.
    pub version: Option<String>,
}

impl Found {
    /// A set, of which the provider says no more.
    pub fn new(set: RecordSet) -> Self {
        Self { set, ids: BTreeMap::new(), version: None }
    }

    /// What the provider calls the records, all of them.
    pub(crate) fn written_ids(&self) -> impl Iterator<Item = &str> {
        self.ids.values().flatten().map(String::as_str)
    }
}

/// What is at a provider under the names that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The sets of records.
    pub sets: BTreeMap<ManagedRecord, Found>,
    /// The names that are aliases of others, and can have no records for that.
    pub aliases: BTreeSet<String>,
}

impl Listing {
    /// Adds one record, of whatever type, to those that are there.
    pub(crate) fn add(
        &mut self,
        name: &str,
        kind: &str,
        ttl: u32,
        value: &str,
        id: Option<String>,
    ) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if kind == "CNAME" {
            self.aliases.insert(name);
        } else if let Some(kind) = RecordKind::read(kind) {
            let at = self.place(name, kind, ttl);
            if let Some(id) = id {
                at.ids.entry(value.to_owned()).or_default().push(id);
            }
            at.set.values.insert(value.to_owned());
        }
    }

    /// Adds a set whose answers the provider makes up itself.
    pub(crate) fn add_opaque(&mut self, name: &str, kind: &str) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some(kind) = RecordKind::read(kind) {
            self.place(name, kind, 0);
        }
    }

    /// Notes which state of a set it is, and for how long others may remember it.
    pub(crate) fn mark(&mut self, name: &str, kind: &str, ttl: u32, version: Option<String>) {
        let name = name.to_ascii_lowercase();
        if let Some(kind) = RecordKind::read(kind) {
            let at = self.place(name, kind, ttl);
            at.set.ttl = ttl;
            at.version = version;
        }
    }

    fn place(&mut self, name: String, kind: RecordKind, ttl: u32) -> &mut Found {
        let key = ManagedRecord { name: name.clone(), kind };
        self.sets.entry(key).or_insert_with(|| {
            let set = RecordSet { name, kind, ttl, values: BTreeSet::new() };
            Found::new(set)
        })
    }
}

/// What a zone calls a name in it: `@` for its own.
pub(crate) fn relative<'a>(name: &'a str, zone: &str) -> &'a str {
    let below = name.strip_suffix(zone).and_then(|below| below.strip_suffix('.'));
    if name == zone { "@" } else { below.unwrap_or(name) }
}

/// The whole name of what a zone calls so.
pub(crate) fn absolute(name: &str, zone: &str) -> String {
    if name == "@" { zone.to_owned() } else { format!("{name}.{zone}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_zone_read_back() {
        for (name, within) in [
            ("example.com", "@"),
            ("*.example.com", "*"),
            ("_acme-challenge.a.example.com", "_acme-challenge.a"),
            ("example.com.example.com", "example.com"),
        ] {
            assert_eq!(relative(name, "example.com"), within);
            assert_eq!(absolute(within, "example.com"), name);
        }
    }
}
