//! Accounts with DNS providers, and which records the cluster keeps there.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::THIRD;
use crate::row::Value;
use crate::settings::is_under;
use crate::{DnsProviderId, DomainName, Name, Rejected, Reply, Sealed, State};

/// The most accounts with DNS providers.
pub const DNS_PROVIDERS_MAX: usize = 16;
/// The most zones of an account that the cluster keeps records in.
pub const PROVIDER_ZONES_MAX: usize = 50;
/// The most sets of records that the cluster keeps with an account.
pub const MANAGED_RECORDS_MAX: usize = 5_000;
/// The longest text of an error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 500;

/// An account with a DNS provider, in whose zones the cluster keeps records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsProvider {
    /// The account's id.
    pub id: DnsProviderId,
    /// What people call it; unique.
    pub name: Name,
    /// Whose it is, in the words of whoever speaks to it.
    pub kind: String,
    /// The zones that the cluster keeps records in.
    pub zones: Vec<DomainName>,
    /// Where it is asked and what lets the cluster in, in JSON; sealed at [`DnsProvider::place`].
    pub credentials: Sealed,
    /// Whether records that the cluster has not made give way to those of verified domains.
    pub takes_over: bool,
    /// The sets of records that are there, or about to be, because the cluster made them.
    pub managed: BTreeSet<ManagedRecord>,
    /// What keeps the records from being as they should.
    pub trouble: Option<DnsTrouble>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What is to be different about an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsProviderChange {
    /// All its zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<Vec<DomainName>>,
    /// Its credentials; sealed at [`DnsProvider::place`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Sealed>,
    /// Whether records that the cluster has not made give way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_over: Option<bool>,
}

/// A set of records that the cluster made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ManagedRecord {
    /// The records' whole name.
    pub name: String,
    /// Their type.
    pub kind: RecordKind,
}

/// The type of a record that the cluster makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// A text.
    Txt,
}

impl RecordKind {
    /// Every type that there is.
    pub const ALL: [Self; 3] = [Self::A, Self::Aaaa, Self::Txt];

    /// The type as zone files have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Txt => "TXT",
        }
    }

    /// Reads what [`RecordKind::as_str`] gives.
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What keeps an account's records from being as they should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsTrouble {
    /// In words.
    pub error: String,
    /// Since when.
    pub since: Timestamp,
}

impl DnsProvider {
    /// Where the credentials of an account are sealed.
    pub fn place(id: DnsProviderId) -> String {
        format!("dns-provider/{id}")
    }

    /// Whether it is reached in the same way for the same zones as another time.
    pub fn has_terms_of(&self, other: &Self) -> bool {
        self.zones == other.zones
            && self.credentials == other.credentials
            && self.takes_over == other.takes_over
    }

    fn check(&self) -> Result<(), Rejected> {
        let wrong = |why| Err(Rejected::Invalid { what: "zones".into(), why });
        if self.zones.is_empty() {
            return wrong("name at least one, such as example.com".into());
        }
        if self.zones.len() > PROVIDER_ZONES_MAX {
            return Err(Rejected::TooMany { noun: "zones".into(), max: PROVIDER_ZONES_MAX });
        }
        for (at, zone) in self.zones.iter().enumerate() {
            if zone.is_wildcard() {
                return wrong(format!("{zone} is no zone: name {}, without the star", zone.base()));
            }
            if self.zones[..at].contains(zone) {
                return wrong(format!("{zone} is named twice"));
            }
        }
        Ok(())
    }
}

impl State {
    /// The account and its zone that the records of a name belong to: the nearest zone. None where the nodes answer for
    /// the name themselves.
    pub fn dns_zone_of(&self, name: &str) -> Option<(&DnsProvider, &DomainName)> {
        if self.settings().dns.zone_of(name).is_some() {
            return None;
        }
        let each = self.dns_providers.values();
        let zones = each.flat_map(|one| one.zones.iter().map(move |zone| (one, zone)));
        let holding = zones.filter(|(_, zone)| is_under(name, zone.as_str()));
        holding.max_by_key(|(_, zone)| zone.as_str().len())
    }

    /// Whether the cluster can show an authority that a name is its own. A wildcard is shown in the DNS alone: in a zone that
    /// the nodes answer for, where an alias may lead from elsewhere, or at a provider.
    pub fn is_provable(&self, name: &DomainName) -> bool {
        !name.is_wildcard()
            || !self.settings().dns.zones.is_empty()
            || self.dns_zone_of(name.base()).is_some()
    }

    pub(crate) fn add_dns_provider(&mut self, provider: DnsProvider) -> Result<Reply, Rejected> {
        provider.check()?;
        if self.dns_providers.len() >= DNS_PROVIDERS_MAX {
            return Err(Rejected::TooMany { noun: "DNS providers".into(), max: DNS_PROVIDERS_MAX });
        }
        let same = |one: &&DnsProvider| one.id == provider.id || one.name == provider.name;
        if self.dns_providers.values().any(|one| same(&one)) {
            return Err(Rejected::taken("DNS provider", &provider.name));
        }
        self.check_zones_of(&provider)?;
        let provider = DnsProvider { managed: BTreeSet::new(), trouble: None, ..provider };
        self.dns_providers.insert(provider.id, provider);
        // What a certificate was missing may be there now.
        self.retry_orders();
        self.forget_previews();
        Ok(Reply::Done)
    }

    /// The records in zones that stay are the cluster's as before; those in others are nobody's, as when an account goes.
    pub(crate) fn change_dns_provider(
        &mut self,
        id: DnsProviderId,
        change: DnsProviderChange,
    ) -> Result<Reply, Rejected> {
        let known = self.dns_providers.get(&id).cloned();
        let mut provider = known.ok_or_else(|| Rejected::not_found("DNS provider", id))?;
        let DnsProviderChange { zones, credentials, takes_over } = change;
        provider.zones = zones.unwrap_or(provider.zones);
        provider.credentials = credentials.unwrap_or(provider.credentials);
        provider.takes_over = takes_over.unwrap_or(provider.takes_over);
        provider.check()?;
        self.check_zones_of(&provider)?;
        let is_held = |name: &str| provider.zones.iter().any(|zone| is_under(name, zone.as_str()));
        provider.managed.retain(|key| is_held(&key.name));
        self.dns_providers.insert(id, provider);
        self.retry_orders();
        self.forget_previews();
        Ok(Reply::Done)
    }

    /// No other account may have a zone of this one.
    fn check_zones_of(&self, provider: &DnsProvider) -> Result<(), Rejected> {
        let others = self.dns_providers.values().filter(|one| one.id != provider.id);
        let mut kept = others.flat_map(|one| &one.zones);
        match kept.find(|zone| provider.zones.contains(zone)) {
            Some(zone) => Err(Rejected::taken("zone", zone)),
            None => Ok(()),
        }
    }

    /// The records stay as they are: somebody may be on their way to them.
    pub(crate) fn delete_dns_provider(&mut self, id: DnsProviderId) -> Result<Reply, Rejected> {
        if self.dns_providers.remove(&id).is_none() {
            return Err(Rejected::not_found("DNS provider", id));
        }
        self.forget_previews();
        Ok(Reply::Done)
    }

    /// Says which records are the cluster's, and what keeps them from being as they should.
    pub(crate) fn keep_dns_records(
        &mut self,
        id: DnsProviderId,
        managed: BTreeSet<ManagedRecord>,
        error: Option<String>,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        if managed.len() > MANAGED_RECORDS_MAX {
            return Err(Rejected::TooMany { noun: "records".into(), max: MANAGED_RECORDS_MAX });
        }
        let known = self.dns_providers.get_mut(&id);
        let provider = known.ok_or_else(|| Rejected::not_found("DNS provider", id))?;
        provider.managed = managed;
        let error: Option<String> = error.map(|text| text.chars().take(ERROR_CHARS_MAX).collect());
        let before = provider.trouble.take();
        provider.trouble = error.map(|error| match before {
            Some(before) if before.error == error => before,
            _ => DnsTrouble { error, since: at },
        });
        Ok(Reply::Done)
    }
}

impl Value for DnsProvider {
    fn since(&self) -> u8 {
        THIRD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterKey, DnsSettings, Id, PREVIEW_DOMAIN_DEFAULT, Settings};

    fn provider(n: u128, name: &str, zones: &[&str]) -> DnsProvider {
        DnsProvider {
            id: DnsProviderId::from_parts(0, n),
            name: name.parse().unwrap(),
            kind: "rfc2136".into(),
            zones: zones.iter().map(|zone| zone.parse().unwrap()).collect(),
            credentials: ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
            takes_over: false,
            managed: BTreeSet::new(),
            trouble: None,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn with(providers: &[DnsProvider]) -> State {
        let mut state = State::default();
        for one in providers {
            state.add_dns_provider(one.clone()).unwrap();
        }
        state
    }

    #[test]
    fn a_name_belongs_to_the_nearest_zone_that_the_nodes_do_not_answer_for() {
        let mut state = with(&[
            provider(1, "one", &["example.com", "example.net"]),
            provider(2, "two", &["apps.example.com"]),
        ]);
        let dns = DnsSettings { zones: vec!["own.example.com".parse().unwrap()] };
        state.change_settings(Settings { dns, ..Settings::default() }).unwrap();
        for (name, zone) in [
            ("example.com", Some("example.com")),
            ("*.example.com", Some("example.com")),
            ("_acme-challenge.www.example.net", Some("example.net")),
            ("a.apps.example.com", Some("apps.example.com")),
            ("a.own.example.com", None),
            ("myexample.com", None),
        ] {
            let found = state.dns_zone_of(name).map(|(_, zone)| zone.as_str());
            assert_eq!(found, zone, "{name}");
        }
    }

    #[test]
    fn a_zone_belongs_to_one_account() {
        for (name, zones, fits) in [
            ("two", &["example.net"][..], true),
            ("two", &["www.example.com"], true),
            ("two", &["example.com"], false),
            ("one", &["example.net"], false),
            ("two", &[], false),
            ("two", &["*.example.net"], false),
            ("two", &["example.net", "example.net"], false),
        ] {
            let mut state = with(&[provider(1, "one", &["example.com"])]);
            let added = state.add_dns_provider(provider(2, name, zones));
            assert_eq!(added.is_ok(), fits, "{name} {zones:?}");
        }
    }

    #[test]
    fn an_account_that_changes_keeps_its_records() {
        let mut state = with(&[
            provider(1, "one", &["example.com", "example.net"]),
            provider(2, "two", &["example.org"]),
        ]);
        let id = DnsProviderId::from_parts(0, 1);
        let record = |name: &str| ManagedRecord { name: name.into(), kind: RecordKind::A };
        let managed = BTreeSet::from(["a.example.com", "a.example.net"].map(record));
        state.keep_dns_records(id, managed.clone(), None, Timestamp::UNIX_EPOCH).unwrap();
        let change = |zones: &[&str]| {
            let zones = zones.iter().map(|zone| zone.parse().unwrap()).collect();
            DnsProviderChange { zones: Some(zones), ..Default::default() }
        };
        for wrong in [&["example.org"][..], &[], &["*.example.com"]] {
            assert!(state.change_dns_provider(id, change(wrong)).is_err(), "{wrong:?}");
        }
        let other = ClusterKey::new([1; 32]).seal([1; 12], "", "").unwrap();
        let credentials = DnsProviderChange {
            credentials: Some(other.clone()),
            takes_over: Some(true),
            zones: None,
        };
        state.change_dns_provider(id, credentials).unwrap();
        let found = &state.dns_providers[&id];
        assert_eq!((&found.managed, found.takes_over), (&managed, true));
        assert_eq!((&found.credentials, found.zones.len()), (&other, 2));
        state.change_dns_provider(id, change(&["a.example.com", "example.edu"])).unwrap();
        let found = &state.dns_providers[&id];
        assert_eq!(found.managed, [record("a.example.com")].into());
        assert_eq!(found.credentials, other);
        let stranger = DnsProviderId::from_parts(0, 9);
        assert!(state.change_dns_provider(stranger, Default::default()).is_err());
    }

    #[test]
    fn trouble_is_as_old_as_its_words() {
        let mut state = with(&[provider(1, "one", &["example.com"])]);
        let id = DnsProviderId::from_parts(0, 1);
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, error, since) in [
            (1, Some("a"), Some(1)),
            (2, Some("a"), Some(1)),
            (3, Some("b"), Some(3)),
            (4, None, None),
        ] {
            let error = error.map(str::to_owned);
            state.keep_dns_records(id, BTreeSet::new(), error, at(second)).unwrap();
            let found = state.dns_providers[&id].trouble.as_ref().map(|trouble| trouble.since);
            assert_eq!(found, since.map(at));
        }
    }

    #[test]
    fn a_preview_domain_in_a_providers_zone_gets_a_wildcard() {
        let mut state = with(&[provider(1, "one", &["example.com"])]);
        for (domain, wildcard) in [
            ("apps.example.com", Some("*.apps.example.com")),
            ("example.net", None),
            (PREVIEW_DOMAIN_DEFAULT, None),
        ] {
            let settings = Settings { preview_domain: domain.into(), ..Settings::default() };
            state.change_settings(settings).unwrap();
            let found = state.preview_wildcard();
            assert_eq!(found.as_ref().map(DomainName::as_str), wildcard, "{domain}");
        }
    }
}
