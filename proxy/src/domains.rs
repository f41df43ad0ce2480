//! Which domain a host belongs to, and where it leads. Pure: made from the state, never changed.

use std::cmp::Reverse;
use std::sync::Arc;

use imbl::OrdMap;
use temps_state::{Domain, DomainName, EnvironmentId, PathPrefix, Redirect};

use crate::by_name::ByName;

/// The domains of a state. One table lasts until they change, however often anything else does.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    source: OrdMap<DomainName, Domain>,
    by_name: ByName<Leads>,
}

/// Where a domain leads.
#[derive(Debug, Clone)]
pub(crate) struct Leads {
    /// What whoever looks whether the host leads here is told.
    pub(crate) proof: String,
    /// Whose domain it is.
    pub(crate) environment: EnvironmentId,
    /// Where clients are sent instead of to the environment.
    redirect: Option<Redirect>,
    /// What leads elsewhere, the longest first.
    paths: Vec<(PathPrefix, EnvironmentId)>,
}

/// Where a path of a domain leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lead<'a> {
    /// To an environment.
    To(EnvironmentId),
    /// Away.
    Away(&'a Redirect),
}

impl Domains {
    /// The domains of another state; this very table where they are the same.
    pub(crate) fn next(self: &Arc<Self>, domains: &OrdMap<DomainName, Domain>) -> Arc<Self> {
        if self.source.ptr_eq(domains) {
            return self.clone();
        }
        let by_name = domains.iter().map(|(name, domain)| (name.clone(), Leads::of(domain)));
        Arc::new(Self { source: domains.clone(), by_name: by_name.collect() })
    }

    /// The domain that a host is.
    pub(crate) fn exact(&self, host: &str) -> Option<&Leads> {
        self.by_name.exact(host)
    }

    /// The wildcard that covers a host.
    pub(crate) fn below(&self, host: &str) -> Option<&Leads> {
        self.by_name.below(host)
    }

    /// The domain that a host belongs to.
    pub(crate) fn find(&self, host: &str) -> Option<&Leads> {
        self.by_name.find(host)
    }
}

impl Leads {
    fn of(domain: &Domain) -> Self {
        let mut paths: Vec<_> = domain.paths.iter().map(|(path, to)| (path.clone(), *to)).collect();
        paths.sort_by_key(|(path, _)| Reverse(path.as_str().len()));
        Self {
            proof: domain.proof.clone(),
            environment: domain.environment,
            redirect: domain.redirect.clone(),
            paths,
        }
    }

    /// Where a path leads: by the longest prefix of it that leads elsewhere, else as the whole domain does.
    pub(crate) fn at(&self, path: &str) -> Lead<'_> {
        match (self.paths.iter().find(|(prefix, _)| prefix.covers(path)), &self.redirect) {
            (Some((_, to)), _) => Lead::To(*to),
            (None, Some(redirect)) => Lead::Away(redirect),
            (None, None) => Lead::To(self.environment),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{Id, RedirectStatus};

    use super::*;

    fn env(n: u128) -> EnvironmentId {
        EnvironmentId::from_parts(0, n)
    }

    fn domain(name: &str, to: u128, redirect: Option<&str>, paths: &[(&str, u128)]) -> Domain {
        let status = RedirectStatus::Found;
        Domain {
            name: name.parse().unwrap(),
            environment: env(to),
            redirect: redirect.map(|to| Redirect { to: to.into(), status }),
            paths: paths.iter().map(|(path, to)| (path.parse().unwrap(), env(*to))).collect(),
            proof: format!("proof of {name}"),
            verified_at: None,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn table(domains: impl IntoIterator<Item = Domain>) -> OrdMap<DomainName, Domain> {
        domains.into_iter().map(|domain| (domain.name.clone(), domain)).collect()
    }

    #[test]
    fn the_longest_prefix_leads() {
        let paths = [("/api", 2), ("/api/v2", 3), ("/docs", 4)];
        let plain = Leads::of(&domain("a.example.com", 1, None, &paths));
        let away = Leads::of(&domain("a.example.com", 1, Some("https://example.com/"), &paths));
        for (path, to) in [
            ("/", 1),
            ("/api", 2),
            ("/api/", 2),
            ("/api/v1", 2),
            ("/api/v2", 3),
            ("/api/v2/x", 3),
            ("/api/v20", 2),
            ("/apis", 1),
            ("/docs", 4),
            ("*", 1),
        ] {
            assert_eq!(plain.at(path), Lead::To(env(to)), "{path}");
            match away.at(path) {
                Lead::To(seen) => assert_eq!(seen, env(to), "{path}"),
                Lead::Away(redirect) => {
                    assert_eq!((to, redirect.to.as_str()), (1, "https://example.com/"), "{path}");
                }
            }
        }
    }

    #[test]
    fn one_table_lasts_until_the_domains_change() {
        let mut domains = table([domain("*.example.com", 1, None, &[])]);
        let first = Arc::new(Domains::default()).next(&domains);
        assert!(Arc::ptr_eq(&first, &first.next(&domains)));
        let added = domain("a.example.com", 2, None, &[]);
        domains.insert(added.name.clone(), added);
        let second = first.next(&domains);
        let of = |table: &Domains, host| table.find(host).map(|leads| leads.environment);
        assert_eq!(of(&first, "a.example.com"), Some(env(1)));
        assert_eq!(of(&second, "a.example.com"), Some(env(2)));
        assert_eq!(of(&second, "b.example.com"), Some(env(1)));
        assert_eq!(second.find("b.example.com").unwrap().proof, "proof of *.example.com");
        assert!(second.exact("b.example.com").is_none() && second.below("a.example.com").is_some());
    }

    #[test]
    fn ten_thousand_domains_are_told_apart() {
        let name = |n: u128| format!("shop-{n}.example.com");
        let domains = table((0..10_000).map(|n| domain(&name(n), n, None, &[])));
        let table = Arc::new(Domains::default()).next(&domains);
        for n in 0..10_000 {
            assert_eq!(table.find(&name(n)).map(|leads| leads.environment), Some(env(n)));
        }
        assert!(table.find("shop-10000.example.com").is_none());
    }
}
