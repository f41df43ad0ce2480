//! What an authority's limits still allow. Pure: from what the cluster has asked of it, so that the cluster refuses
//! before the authority would.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use temps_state::{DomainName, Order, Spending, Spent};

/// A limit: so many within so long.
#[derive(Debug, Clone, Copy)]
struct Limit {
    most: usize,
    within: SignedDuration,
    noun: &'static str,
}

/// The limits of an authority, by what they count.
#[derive(Debug, Clone, Copy)]
struct Limits {
    orders: Limit,
    of_registered: Limit,
    of_name: Limit,
    failed: Limit,
}

/// Let's Encrypt's production limits, as published at letsencrypt.org/docs/rate-limits.
const PRODUCTION: Limits = Limits {
    orders: Limit { most: 300, within: SignedDuration::from_hours(3), noun: "orders" },
    of_registered: Limit {
        most: 50,
        within: SignedDuration::from_hours(7 * 24),
        noun: "certificates for names under",
    },
    of_name: Limit {
        most: 5,
        within: SignedDuration::from_hours(7 * 24),
        noun: "certificates for",
    },
    failed: Limit { most: 5, within: SignedDuration::from_hours(1), noun: "failed looks at" },
};

/// The same of its staging authority.
const STAGING: Limits = Limits {
    orders: Limit { most: 1_500, ..PRODUCTION.orders },
    of_registered: Limit { most: 30_000, ..PRODUCTION.of_registered },
    of_name: Limit { most: 30_000, ..PRODUCTION.of_name },
    failed: Limit { most: 200, ..PRODUCTION.failed },
};

/// Why nothing is asked of an authority now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limited {
    most: usize,
    noun: &'static str,
    of: String,
    within: SignedDuration,
    /// When it may be asked again.
    pub(crate) until: Timestamp,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { most, noun, of, within, until } = self;
        let space = if of.is_empty() { "" } else { " " };
        write!(
            f,
            "the certificate authority allows {most} {noun}{space}{of} within {} hours, and so many \
             were asked for: the next one at {until}",
            within.as_hours()
        )
    }
}

/// What is about to be asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// The authority's directory.
    pub(crate) directory: &'a str,
    /// The name.
    pub(crate) name: &'a DomainName,
    /// The domain that was registered for it.
    pub(crate) registered: &'a str,
    /// Whether it renews what there is, which the limit of a registered domain does not count.
    pub(crate) renews: bool,
    /// Whether a client wished for it and nobody added it: half of what is allowed stays for what teams add.
    pub(crate) wished: bool,
}

/// Whether an authority may be asked for a certificate now.
pub(crate) fn allows<'a>(
    spent: impl Iterator<Item = &'a Spent>,
    wish: Wish<'_>,
    now: Timestamp,
) -> Result<(), Limited> {
    let Some(limits) = limits_of(wish.directory) else { return Ok(()) };
    let of_it: Vec<&Spent> = spent.filter(|one| one.directory == wish.directory).collect();
    let kind = |what: Spending| of_it.iter().copied().filter(move |one| one.what == what);
    let of_name = |what| kind(what).filter(|one| one.name == *wish.name);
    let certificates = kind(Spending::Certificate);
    limits.orders.allows(kind(Spending::Order), "", now)?;
    limits.failed.allows(of_name(Spending::FailedValidation), wish.name.as_str(), now)?;
    limits.of_name.allows(of_name(Spending::Certificate), wish.name.as_str(), now)?;
    if wish.renews {
        return Ok(());
    }
    let of_registered = certificates.filter(|one| one.registered == wish.registered);
    let parts = if wish.wished { 2 } else { 1 };
    let limit = Limit { most: limits.of_registered.most / parts, ..limits.of_registered };
    limit.allows(of_registered, wish.registered, now)
}

/// What attempts that are under way will have spent, as if it were now: each a certificate, and an order unless that is
/// known to be made. So no two of them take the last that is allowed.
pub(crate) fn under_way<'a>(orders: impl Iterator<Item = &'a Order>, now: Timestamp) -> Vec<Spent> {
    let mut all = Vec::new();
    for order in orders {
        let Some(attempt) = &order.attempt else { continue };
        let spends = |what| Spent {
            at: now,
            directory: attempt.directory.clone(),
            name: order.name.clone(),
            registered: registered(&order.name),
            what,
        };
        all.extend(attempt.url.is_none().then(|| spends(Spending::Order)));
        all.push(spends(Spending::Certificate));
    }
    all
}

fn limits_of(directory: &str) -> Option<Limits> {
    let host = directory.strip_prefix("https://")?.split('/').next()?;
    match host {
        "acme-v02.api.letsencrypt.org" => Some(PRODUCTION),
        "acme-staging-v02.api.letsencrypt.org" => Some(STAGING),
        _ => None,
    }
}

impl Limit {
    fn allows<'a>(
        &self,
        spent: impl Iterator<Item = &'a Spent>,
        of: &str,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let recent = spent.map(|one| one.at).filter(|at| now.duration_since(*at) < self.within);
        let mut recent: Vec<Timestamp> = recent.collect();
        if recent.len() < self.most {
            return Ok(());
        }
        recent.sort();
        // As soon as only one fewer than the most are recent.
        let oldest = recent[recent.len() - self.most];
        let until = oldest.checked_add(self.within).unwrap_or(Timestamp::MAX);
        let Self { most, within, noun } = *self;
        Err(Limited { most, noun, of: of.into(), within, until })
    }
}

/// The domain that was registered for a name, by the public suffix list; the name itself where the list has none.
pub(crate) fn registered(name: &DomainName) -> String {
    psl::domain_str(name.base()).unwrap_or(name.base()).to_owned()
}

#[cfg(test)]
mod tests {
    use temps_state::{Attempt, ClusterKey};

    use super::*;

    const PRODUCTION_URL: &str = "https://acme-v02.api.letsencrypt.org/directory";

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    fn spent(minute: i64, text: &str, what: Spending) -> Spent {
        let name = name(text);
        let registered = registered(&name);
        Spent { at: at(minute), directory: PRODUCTION_URL.into(), name, registered, what }
    }

    fn ask(all: &[Spent], text: &str, renews: bool, minute: i64) -> Result<(), Limited> {
        let name = name(text);
        let registered = registered(&name);
        let directory = PRODUCTION_URL;
        let wish = Wish { directory, name: &name, registered: &registered, renews, wished: false };
        allows(all.iter(), wish, at(minute))
    }

    #[test]
    fn what_clients_wish_for_leaves_half_for_teams() {
        let given: Vec<Spent> = (0..25)
            .map(|n| spent(n, &format!("a{n}.example.com"), Spending::Certificate))
            .collect();
        let name = name("b.example.com");
        let wish = |wished| {
            let (directory, registered) = (PRODUCTION_URL, "example.com");
            let wish = Wish { directory, name: &name, registered, renews: false, wished };
            allows(given.iter(), wish, at(100)).is_ok()
        };
        assert!(wish(false) && !wish(true));
    }

    #[test]
    fn a_registered_domain_is_found_by_the_public_suffix_list() {
        for (text, found) in [
            ("a.b.example.com", "example.com"),
            ("*.example.co.uk", "example.co.uk"),
            ("shop.example.internal", "example.internal"),
        ] {
            assert_eq!(registered(&name(text)), found, "{text}");
        }
    }

    #[test]
    fn the_same_certificate_is_asked_for_five_times_a_week() {
        let all: Vec<Spent> =
            (0..5).map(|at| spent(at, "a.example.com", Spending::Certificate)).collect();
        assert!(ask(&all[..4], "a.example.com", true, 10).is_ok());
        let refused = ask(&all, "a.example.com", true, 10).unwrap_err();
        assert_eq!(refused.until, at(7 * 24 * 60));
        assert!(refused.to_string().contains("5 certificates for a.example.com within 168 hours"));
        assert!(ask(&all, "b.example.com", true, 10).is_ok());
        assert!(ask(&all, "a.example.com", true, 7 * 24 * 60).is_ok());
    }

    #[test]
    fn a_registered_domain_gets_fifty_new_ones_a_week_and_any_number_of_renewals() {
        let names = (0..50).map(|n| format!("n{n}.example.com"));
        let all: Vec<Spent> = names.map(|name| spent(0, &name, Spending::Certificate)).collect();
        assert!(ask(&all, "new.example.com", false, 10).is_err());
        assert!(ask(&all, "n1.example.com", true, 10).is_ok());
        assert!(ask(&all, "new.example.org", false, 10).is_ok());
    }

    /// An order whose attempt has come so far: none, kept, made at the authority.
    fn order(text: &str, attempt: Option<Option<&str>>) -> Order {
        let attempt = attempt.map(|url| Attempt {
            directory: PRODUCTION_URL.into(),
            key: ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
            request: String::new(),
            url: url.map(Into::into),
            challenges: vec![],
        });
        Order { attempt, ..Order::new(name(text)) }
    }

    #[test]
    fn what_is_under_way_counts_as_if_it_were_spent() {
        use Spending::{Certificate, Order};
        for (attempt, counted) in [
            (None, &[][..]),
            (Some(None), &[Order, Certificate]),
            (Some(Some("https://ca.example/order/1")), &[Certificate]),
        ] {
            let all = under_way([order("a.example.com", attempt)].iter(), at(1));
            let whats: Vec<Spending> = all.iter().map(|one| one.what).collect();
            assert_eq!(whats, counted, "{attempt:?}");
            assert!(all.iter().all(|one| one.registered == "example.com" && one.at == at(1)));
        }
    }

    #[test]
    fn the_last_that_is_allowed_is_not_taken_twice() {
        let given = |count, what, under: &str| -> Vec<Spent> {
            (0..count).map(|n| spent(0, &format!("n{n}.{under}"), what)).collect()
        };
        let (unmade, made) = (Some(None), Some(Some("https://ca.example/order/1")));
        let certificates = given(49, Spending::Certificate, "example.com");
        let orders = given(299, Spending::Order, "example.org");
        for (spent, under_way_at, attempt, wanted, allowed) in [
            (&certificates, "a.example.com", None, "b.example.com", true),
            (&certificates, "a.example.com", unmade, "b.example.com", false),
            (&certificates, "a.example.com", made, "b.example.com", false),
            (&certificates, "a.example.net", unmade, "b.example.com", true),
            (&orders, "a.example.com", None, "b.example.net", true),
            (&orders, "a.example.com", unmade, "b.example.net", false),
            // It is among those spent.
            (&orders, "a.example.com", made, "b.example.net", true),
        ] {
            let under_way = under_way([order(under_way_at, attempt)].iter(), at(10));
            let all: Vec<Spent> = spent.iter().chain(&under_way).cloned().collect();
            assert_eq!(ask(&all, wanted, false, 10).is_ok(), allowed, "{wanted}, {attempt:?}");
        }
    }

    #[test]
    fn a_host_that_is_not_found_five_times_waits_an_hour() {
        let all: Vec<Spent> =
            (0..5).map(|at| spent(at, "a.example.com", Spending::FailedValidation)).collect();
        assert_eq!(ask(&all, "a.example.com", false, 10).unwrap_err().until, at(60));
        assert!(ask(&all, "a.example.com", false, 61).is_ok());
    }

    #[test]
    fn an_authority_without_known_limits_is_asked_at_will() {
        let all: Vec<Spent> = (0..400)
            .map(|_| Spent {
                directory: "https://ca.internal/dir".into(),
                ..spent(0, "a.example.com", Spending::Order)
            })
            .collect();
        let name = name("a.example.com");
        let wish = Wish {
            directory: "https://ca.internal/dir",
            name: &name,
            registered: "example.com",
            renews: false,
            wished: false,
        };
        assert!(allows(all.iter(), wish, at(1)).is_ok());
    }
}
