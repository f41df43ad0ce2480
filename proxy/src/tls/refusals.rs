//! Handshakes that were refused because there is no certificate for the name: counted for each domain, and logged, both
//! within bounds and without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use imbl::OrdMap;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use temps_state::{Domain, DomainName};
use tracing::{info, warn};

use crate::by_name::ByName;
use crate::tls::minutes::{Minutes, is_first};

/// How often clients were refused that asked for a domain's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// How often, since the domain was added or the node was started.
    pub count: u64,
    /// When last, to the second.
    pub last: Timestamp,
}

/// Counts and logs.
#[derive(Debug)]
pub(crate) struct Refusals {
    domains: ArcSwap<Tallies>,
    /// When names were logged that belong to no domain.
    strangers: Minutes,
    all: Counter,
}

#[derive(Debug, Default)]
struct Tallies {
    source: OrdMap<DomainName, Domain>,
    by_name: ByName<Arc<Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    count: AtomicU64,
    last: AtomicI64,
    logged: AtomicI64,
}

impl Refusals {
    /// None yet; `all` counts them together.
    pub(crate) fn new(all: Counter) -> Self {
        Self { domains: ArcSwap::default(), strangers: Minutes::new(), all }
    }

    /// Counts for the domains of a state; what was counted stays.
    pub(crate) fn follow(&self, domains: &OrdMap<DomainName, Domain>) {
        let older = self.domains.load();
        if older.source.ptr_eq(domains) {
            return;
        }
        let tally = |name| older.by_name.get(name).cloned().unwrap_or_default();
        let by_name = domains.keys().map(|name| (name.clone(), tally(name))).collect();
        self.domains.store(Arc::new(Tallies { source: domains.clone(), by_name }));
    }

    /// Counts a refusal, and logs it where the name was not logged in this minute.
    pub(crate) fn note(&self, name: &str, now: Timestamp) {
        self.all.inc();
        let second = now.as_second();
        match self.domains.load().by_name.find(name) {
            Some(tally) => {
                if tally.note(second) {
                    warn!(name, "refused a TLS handshake: the domain has no certificate yet");
                }
            }
            None => {
                if self.strangers.is_first(name, now) {
                    info!(name, "refused a TLS handshake: there is no certificate for the name");
                }
            }
        }
    }

    /// What was counted for a domain.
    pub(crate) fn of(&self, name: &DomainName) -> Option<Refused> {
        self.domains.load().by_name.get(name).and_then(|tally| tally.seen())
    }
}

impl Tally {
    /// Counts; whether that is the first of the minute.
    fn note(&self, second: i64) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.last.store(second, Ordering::Relaxed);
        is_first(&self.logged, second)
    }

    fn seen(&self) -> Option<Refused> {
        let count = self.count.load(Ordering::Relaxed);
        let last = Timestamp::from_second(self.last.load(Ordering::Relaxed)).ok()?;
        (count > 0).then_some(Refused { count, last })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use temps_state::{EnvironmentId, Id};

    use super::*;

    fn domains(names: &[&str]) -> OrdMap<DomainName, Domain> {
        let domain = |text: &&str| {
            let name: DomainName = text.parse().unwrap();
            let domain = Domain {
                name: name.clone(),
                environment: EnvironmentId::from_parts(0, 1),
                redirect: None,
                paths: BTreeMap::new(),
                proof: "proof".into(),
                verified_at: None,
                created_at: Timestamp::UNIX_EPOCH,
            };
            (name, domain)
        };
        names.iter().map(domain).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn refusals_are_counted_for_the_domain_of_the_name() {
        let refusals = Refusals::new(Counter::default());
        refusals.follow(&domains(&["a.example.com", "*.example.com"]));
        for (second, name) in
            [(1, "a.example.com"), (2, "b.example.com"), (3, "c.example.com"), (4, "example.org")]
        {
            refusals.note(name, at(second));
        }
        let seen = |text: &str| refusals.of(&text.parse().unwrap()).map(|r| (r.count, r.last));
        assert_eq!(seen("a.example.com"), Some((1, at(1))));
        assert_eq!(seen("*.example.com"), Some((2, at(3))));
        assert_eq!(seen("example.org"), None);
        refusals.follow(&domains(&["a.example.com", "example.org"]));
        assert_eq!(seen("a.example.com"), Some((1, at(1))), "it is remembered");
        assert_eq!((seen("*.example.com"), seen("example.org")), (None, None));
        assert_eq!(refusals.all.get(), 4);
    }

    #[test]
    fn a_domain_is_logged_once_a_minute() {
        let tally = Tally::default();
        let noted = [60, 61, 119, 120, 121].map(|second| tally.note(second));
        assert_eq!(noted, [true, false, false, true, false]);
    }
}
