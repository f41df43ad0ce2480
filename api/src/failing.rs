//! Names whose certificate cannot be had or renewed, told wherever somebody looks at the cluster.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use temps_state::{DomainName, Order, State};
use utoipa::ToSchema;

/// How many of them are told at most; the most urgent come first.
const TOLD_MAX: usize = 20;

/// A name whose certificate cannot be had or renewed.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FailingCertificate)]
pub struct FailingOut {
    /// The name.
    #[schema(value_type = String)]
    pub name: DomainName,
    /// When the certificate ends that is shown meanwhile; null where there is none.
    pub ends: Option<Timestamp>,
    /// How often it failed in a row.
    pub failures: u32,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// When it is tried again; null while it is.
    pub retry_at: Option<Timestamp>,
}

/// How many names there are whose certificate cannot be had or renewed.
pub(crate) fn count(state: &State, now: Timestamp) -> usize {
    failing(state, now).count()
}

/// Those whose last try failed, and for which nobody has brought a certificate meanwhile.
fn failing(state: &State, now: Timestamp) -> impl Iterator<Item = &Order> {
    let mut failing = state.orders.values().filter(|order| order.failures > 0).peekable();
    // Mostly none failed, and there may be many certificates.
    let brought = failing.peek().map(|_| brought(state, now)).unwrap_or_default();
    failing.filter(move |order| {
        let above = order.name.wildcard_above();
        !brought.contains(&order.name) && !above.is_some_and(|above| brought.contains(&above))
    })
}

/// The names of the certificates that somebody brought and that are valid.
fn brought(state: &State, now: Timestamp) -> BTreeSet<&DomainName> {
    let brought = state.certificates.values();
    let brought = brought.filter(|one| one.issued_for().is_none() && one.is_valid(now));
    brought.flat_map(|one| &one.names).collect()
}

/// Those names, as many as are told: first what has no certificate, then what ends first.
pub(crate) fn told(state: &State, now: Timestamp) -> Vec<FailingOut> {
    let mut failing: Vec<&Order> = failing(state, now).collect();
    if failing.is_empty() {
        return vec![];
    }
    let ends = ends(state);
    failing.sort_by_key(|order| (ends.get(&order.name), &order.name));
    failing.truncate(TOLD_MAX);
    failing.into_iter().map(|order| FailingOut::of(order, &ends)).collect()
}

/// When the certificates end that the cluster got, by what they are for.
fn ends(state: &State) -> BTreeMap<&DomainName, Timestamp> {
    let issued = state.certificates.values();
    issued.filter_map(|one| Some((one.issued_for()?, one.not_after))).collect()
}

impl FailingOut {
    fn of(order: &Order, ends: &BTreeMap<&DomainName, Timestamp>) -> Self {
        Self {
            name: order.name.clone(),
            ends: ends.get(&order.name).copied(),
            failures: order.failures,
            error: order.error.clone(),
            retry_at: order.retry_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use temps_state::CertificateSource;

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
        assert_eq!([count(&state, at(1)), count(&state, at(21))], [0, 3]);
    }
}
