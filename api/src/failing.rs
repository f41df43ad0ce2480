//! Names whose certificate cannot be had or renewed, or was brought and ends without another one, told wherever somebody looks at the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use jiff::Timestamp;
use serde::Serialize;
use temps_state::{DomainName, Order, State};
use utoipa::ToSchema;

/// How many of them are told at most; the most urgent come first.
const TOLD_MAX: usize = 20;

/// What is told of a certificate that somebody brought and that ends.
const BROUGHT: &str = "it was brought, and the cluster gets no other one for the name by itself: bring the next one with \
                       `temps certificates add --chain FILE --key FILE`";

/// A name whose certificate cannot be had or renewed, or was brought and ends without another one.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FailingCertificate)]
pub struct FailingOut {
    /// The name.
    #[schema(value_type = String)]
    pub name: DomainName,
    /// When the certificate ends that is shown meanwhile; null where there is none.
    pub ends: Option<Timestamp>,
    /// Whether somebody brought that certificate and is to bring the next one, as the cluster gets none.
    pub brought: bool,
    /// How often it failed in a row.
    pub failures: u32,
    /// Why it failed the last time, or what to do.
    pub error: Option<String>,
    /// When it is tried again; null while it is.
    pub retry_at: Option<Timestamp>,
}

/// How many names there are whose certificate cannot be had or renewed, or ends without another one.
pub(crate) fn count(state: &State, now: Timestamp) -> usize {
    failing(state, now).count() + unfollowed(state, now).len()
}

/// Those whose last try failed, and for which nobody has brought a certificate that lasts.
fn failing(state: &State, now: Timestamp) -> impl Iterator<Item = &Order> {
    let mut failing = state.orders.values().filter(|order| order.failures > 0).peekable();
    // Mostly none failed, and there may be many certificates.
    let brought = failing.peek().map(|_| brought(state, now)).unwrap_or_default();
    failing.filter(move |order| !is_covered(&brought, &order.name))
}

/// The names of the certificates that somebody brought and that last.
fn brought(state: &State, now: Timestamp) -> BTreeSet<&DomainName> {
    let brought = state.certificates.values();
    let brought = brought.filter(|one| one.issued_for().is_none() && one.lasts(now));
    brought.flat_map(|one| &one.names).collect()
}

/// Whether certificates for these names are for a name.
fn is_covered(names: &BTreeSet<&DomainName>, name: &DomainName) -> bool {
    names.contains(name) || name.wildcard_above().is_some_and(|above| names.contains(&above))
}

/// Names of the cluster's for which somebody brought a certificate that ends soon or has ended, for which nothing else stands
/// ready, and for which the cluster gets none.
pub(crate) fn unfollowed(state: &State, now: Timestamp) -> BTreeSet<DomainName> {
    let (mut ending, mut ready) = (BTreeSet::new(), BTreeSet::new());
    for one in state.certificates.values() {
        match one.issued_for() {
            None if !one.lasts(now) => ending.extend(&one.names),
            Some(_) if !one.is_valid(now) => {}
            _ => ready.extend(&one.names),
        }
    }
    if ending.is_empty() {
        return BTreeSet::new();
    }
    let ends = |name: &DomainName| {
        let failed = state.orders.get(name).is_some_and(|order| order.failures > 0);
        is_covered(&ending, name) && !is_covered(&ready, name) && !failed
    };
    let asks = state.settings().acme.enabled;
    let domains = state.domains.values().filter(|domain| {
        let is_asked_for = asks && domain.verified_at.is_some() && state.is_provable(&domain.name);
        !is_asked_for
    });
    let preview = format!("*.{}", state.settings().preview_domain).parse().ok();
    let preview = preview.filter(|_| !asks || state.preview_wildcard().is_none());
    domains.map(|domain| domain.name.clone()).chain(preview).filter(ends).collect()
}

/// Those names, as many as are told: first what has no certificate, then what ends first.
pub(crate) fn told(state: &State, now: Timestamp) -> Vec<FailingOut> {
    let unfollowed = unfollowed(state, now);
    let failing = failing(state, now).map(|order| (&order.name, Some(order)));
    let mut failing: Vec<_> = failing.chain(unfollowed.iter().zip(iter::repeat(None))).collect();
    if failing.is_empty() {
        return vec![];
    }
    let ends = Ends::of(state);
    failing.sort_by_key(|(name, _)| (ends.of_name(name), *name));
    failing.truncate(TOLD_MAX);
    let out = |(name, order)| FailingOut::of(name, order, ends.of_name(name));
    failing.into_iter().map(out).collect()
}

/// When certificates end, by the names that they are for.
struct Ends<'a>(BTreeMap<&'a DomainName, Timestamp>);

impl<'a> Ends<'a> {
    fn of(state: &'a State) -> Self {
        let mut ends = BTreeMap::new();
        for one in state.certificates.values() {
            for name in &one.names {
                let end = ends.entry(name).or_insert(one.not_after);
                *end = one.not_after.max(*end);
            }
        }
        Self(ends)
    }

    fn of_name(&self, name: &DomainName) -> Option<Timestamp> {
        let above = name.wildcard_above();
        let above = above.and_then(|above| self.0.get(&above));
        self.0.get(name).max(above).copied()
    }
}

impl FailingOut {
    /// A name with the order that failed, or whose certificate was brought.
    fn of(name: &DomainName, order: Option<&Order>, ends: Option<Timestamp>) -> Self {
        Self {
            name: name.clone(),
            ends,
            brought: order.is_none(),
            failures: order.map_or(0, |order| order.failures),
            error: order.map_or(Some(BROUGHT.into()), |order| order.error.clone()),
            retry_at: order.and_then(|order| order.retry_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use temps_state::{CertificateSource, Domain};

    use super::*;
    use crate::domains::fixtures;

    #[test]
    fn what_has_no_certificate_comes_first_and_then_what_ends_first() {
        let mut state = State::default();
        let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        for (n, name, failures, ends) in [
            (1, "a.example.com", 1, Some(30)),
            (2, "b.example.com", 2, Some(10)),
            (3, "c.example.com", 3, None),
            (4, "d.example.com", 0, None),
        ] {
            let order = Order::new(name.parse().unwrap());
            state.orders.insert(order.name.clone(), Order { failures, ..order.clone() });
            if let Some(ends) = ends {
                let mut issued = fixtures::certificate(n, &[name], at(ends));
                let (domain, directory) = (order.name, "here".into());
                issued.source = CertificateSource::Issued { domain, directory };
                state.certificates.insert(issued.id, issued);
            }
        }
        let told = told(&state, at(1));
        let told: Vec<_> = told.iter().map(|one| (one.name.as_str(), one.ends)).collect();
        let expected = [
            ("c.example.com", None),
            ("b.example.com", Some(at(10))),
            ("a.example.com", Some(at(30))),
        ];
        assert_eq!(told, expected);
        assert_eq!(count(&state, at(1)), 3);
        let brought = fixtures::certificate(9, &["*.example.com"], at(20));
        state.certificates.insert(brought.id, brought);
        let counts = [1, 13, 14, 21].map(|day| count(&state, at(day)));
        assert_eq!(counts, [0, 0, 3, 3], "from when on its last third begins");
    }

    #[test]
    fn a_certificate_that_was_brought_is_told_before_it_ends_unless_another_stands_ready() {
        let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        let mut state = State::default();
        for (name, verified) in
            [("a.example.com", false), ("b.example.com", true), ("*.example.org", true)]
        {
            let domain = fixtures::domain(name);
            let domain = Domain { verified_at: verified.then(|| at(1)), ..domain };
            state.domains.insert(domain.name.clone(), domain);
        }
        let names = ["*.example.com", "*.example.org", "unused.example.net"];
        let brought = fixtures::certificate(1, &names, at(90));
        state.certificates.insert(brought.id, brought);
        let told_at = |state: &State, day| {
            let told = told(state, at(day));
            assert_eq!(told.len(), count(state, at(day)));
            told.iter().map(|one| (one.name.to_string(), one.brought)).collect::<Vec<_>>()
        };
        let told_of =
            |names: &[&str]| names.iter().map(|name| (name.to_string(), true)).collect::<Vec<_>>();
        assert_eq!(told_at(&state, 75), told_of(&[]));
        // The cluster gets one for `b` itself.
        let unfollowed = told_of(&["*.example.org", "a.example.com"]);
        assert_eq!(told_at(&state, 77), unfollowed);
        assert_eq!(told_at(&state, 100), unfollowed, "also when it has ended");
        let first = &told(&state, at(77))[0];
        assert_eq!(first.ends, Some(at(90)));
        assert!(first.error.as_ref().is_some_and(|told| told.contains("temps certificates add")));

        let next = fixtures::certificate(2, &["*.example.org"], at(180));
        state.certificates.insert(next.id, next);
        assert_eq!(told_at(&state, 100), told_of(&["a.example.com"]));
        let mut issued = fixtures::certificate(3, &["a.example.com"], at(150));
        let (domain, directory) = ("a.example.com".parse().unwrap(), "here".into());
        issued.source = CertificateSource::Issued { domain, directory };
        state.certificates.insert(issued.id, issued);
        assert_eq!(told_at(&state, 100), told_of(&[]));
    }
}
