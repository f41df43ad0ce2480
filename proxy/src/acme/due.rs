//! Which domains need a certificate now. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use temps_state::{
    Certificate, CertificateSource, DomainName, NodeId, Order, RenewalAdvice, Settings, Spending,
    State,
};

/// How long the first failure waits, and the longest wait.
const BACKOFF_FIRST: Duration = Duration::from_secs(60);
const BACKOFF_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// The longest that an authority is believed about how long to wait.
const ASKED_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The parts of a lifetime that a renewal is earlier by at most, so that not all come at once.
const JITTER_PARTS: i32 = 30;
/// The part of a lifetime that is left at the latest when an authority's advice is followed.
const LATEST_PART: i32 = 20;
/// How many certificates for a name within a day end the following of advice, which would come for each of them.
const ADVISED_RENEWALS_A_DAY_MAX: usize = 3;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The domains whose certificate is to be worked on by a node now, the most urgent first. Orders that have `waited` for long
/// enough after a failure wait no longer, whatever time they name.
pub(crate) fn due(
    state: &State,
    me: NodeId,
    now: Timestamp,
    waited: &BTreeSet<DomainName>,
) -> Vec<DomainName> {
    let settings = state.settings();
    if !settings.acme.enabled {
        return vec![];
    }
    let certificates = Certificates::of(state, now);
    let preview = state.preview_wildcard();
    let mut due: Vec<(Timestamp, &DomainName)> = Vec::new();
    let domains = wanted(state, preview.as_ref());
    for (name, since) in domains.chain(wished(state, &settings, &certificates)) {
        let order = state.orders.get(name);
        if order.is_none_or(|order| may_work(order, me, now, waited)) {
            // Whoever added it may have done so by a clock that was ahead.
            let needed = needed_at(name, since.min(now), order, &certificates, &settings);
            due.extend(needed.filter(|at| *at <= now).map(|at| (at, name)));
        }
    }
    due.sort();
    due.into_iter().map(|(_, name)| name.clone()).collect()
}

/// Whether a node that has the right to work on a domain's order is to do so, whenever that would be tried again.
pub(crate) fn is_needed(state: &State, me: NodeId, name: &DomainName, now: Timestamp) -> bool {
    due(state, me, now, &BTreeSet::from([name.clone()])).contains(name)
}

/// The names that are to have a certificate, and since when.
fn wanted<'a>(
    state: &'a State,
    preview: Option<&'a DomainName>,
) -> impl Iterator<Item = (&'a DomainName, Timestamp)> {
    let domains = state
        .domains
        .values()
        .filter(move |domain| domain.verified_at.is_some() && state.is_provable(&domain.name));
    let domains = domains.map(|domain| (&domain.name, domain.created_at));
    preview.map(|name| (name, Timestamp::UNIX_EPOCH)).into_iter().chain(domains)
}

/// Single names of the preview domain that somebody came for; they come after what teams added themselves.
fn wished<'a>(
    state: &'a State,
    settings: &'a Settings,
    certificates: &Certificates<'a>,
) -> impl Iterator<Item = (&'a DomainName, Timestamp)> {
    let now = certificates.now;
    let asked: BTreeSet<&DomainName> = match state.preview_wildcard() {
        Some(_) => BTreeSet::new(),
        None => state.orders.keys().chain(certificates.issued.keys().copied()).collect(),
    };
    let single = move |name: &&DomainName| {
        !state.domains.contains_key(*name)
            && state.preview_environment_in(&settings.preview_domain, name).is_some()
    };
    asked.into_iter().filter(single).map(move |name| (name, now))
}

/// When the next order may be worked on that waits now, if one does: for its time, or for its worker to come back.
pub(crate) fn next_try(state: &State, now: Timestamp) -> Option<Timestamp> {
    let leased = |order: &Order| order.lease.map(|lease| lease.until);
    let waits = state.orders.values().flat_map(|order| [order.retry_at, leased(order)]);
    waits.flatten().filter(|at| *at > now).min()
}

fn may_work(order: &Order, me: NodeId, now: Timestamp, waited: &BTreeSet<DomainName>) -> bool {
    let free = order.lease.is_none_or(|lease| lease.node == me || lease.until <= now);
    free && (order.retry_at.is_none_or(|at| at <= now) || waited.contains(&order.name))
}

/// When a name needs a certificate; never while somebody's own covers it and does not end soon.
fn needed_at(
    name: &DomainName,
    since: Timestamp,
    order: Option<&Order>,
    certificates: &Certificates<'_>,
    settings: &Settings,
) -> Option<Timestamp> {
    if order.is_some_and(|order| order.attempt.is_some()) {
        return Some(since);
    }
    if certificates.is_covered(name) {
        return None;
    }
    let Some(issued) = certificates.issued.get(name) else {
        return Some(since);
    };
    if !issued.is_issued_by(&settings.acme.directory) {
        return Some(since);
    }
    let heeded = |_: &&RenewalAdvice| {
        certificates.given.get(name).is_none_or(|given| *given < ADVISED_RENEWALS_A_DAY_MAX)
    };
    let advised = issued.renewal.as_ref().filter(heeded);
    Some(advised.map_or_else(|| renewal_of(issued), |advice| advised_of(issued, advice)))
}

/// The certificates by what they are for.
struct Certificates<'a> {
    now: Timestamp,
    /// The names of those that somebody brought and that last.
    covered: BTreeSet<&'a DomainName>,
    issued: BTreeMap<&'a DomainName, &'a Certificate>,
    /// How many the authority gave for a name within a day.
    given: BTreeMap<&'a DomainName, usize>,
}

/// How many certificates the authority of the settings gave for each name within a day.
fn given_lately(state: &State, now: Timestamp) -> BTreeMap<&DomainName, usize> {
    let directory = state.settings().acme.directory;
    let mut given = BTreeMap::new();
    for spent in state.spending.values() {
        let counts = spent.what == Spending::Certificate
            && spent.directory == directory
            && now.duration_since(spent.at) < DAY;
        if counts {
            *given.entry(&spent.name).or_default() += 1;
        }
    }
    given
}

impl<'a> Certificates<'a> {
    fn of(state: &'a State, now: Timestamp) -> Self {
        let mut all = Self {
            now,
            covered: BTreeSet::new(),
            issued: BTreeMap::new(),
            given: given_lately(state, now),
        };
        for certificate in state.certificates.values() {
            match &certificate.source {
                CertificateSource::Issued { domain, .. } => {
                    all.issued.insert(domain, certificate);
                }
                CertificateSource::Uploaded if certificate.lasts(now) => {
                    all.covered.extend(&certificate.names);
                }
                CertificateSource::Uploaded => {}
            }
        }
        all
    }

    /// Whether a certificate that somebody brought is for a name, and no other need stand ready yet.
    fn is_covered(&self, name: &DomainName) -> bool {
        self.covered.contains(name)
            || name.wildcard_above().is_some_and(|above| self.covered.contains(&above))
    }
}

/// When a certificate is renewed: with a third of its lifetime left, and a little earlier by its name.
pub(crate) fn renewal_of(certificate: &Certificate) -> Timestamp {
    let life = certificate.not_after.duration_since(certificate.not_before);
    let jitter =
        SignedDuration::from_secs_f64((life / JITTER_PARTS).as_secs_f64() * share(certificate));
    let early = life / 3 + jitter;
    certificate.not_after.checked_sub(early).unwrap_or(certificate.not_before)
}

/// When an authority has it renewed (RFC 9773 §4.2): at some time of the window that it names, by the name; never so late
/// that there is no time left for other tries.
fn advised_of(certificate: &Certificate, advice: &RenewalAdvice) -> Timestamp {
    let window = advice.end.duration_since(advice.start).as_secs_f64();
    let into = SignedDuration::from_secs_f64(window * share(certificate));
    let life = certificate.not_after.duration_since(certificate.not_before);
    let at = advice.start.checked_add(into).unwrap_or(advice.end);
    let last = certificate.not_after.checked_sub(life / LATEST_PART);
    at.min(last.unwrap_or(certificate.not_before))
}

/// A number from 0 to 1 that is always the same for a name.
fn share(certificate: &Certificate) -> f64 {
    let mut hasher = DefaultHasher::new();
    certificate.names.hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// How long an order waits after so many failures in a row: longer and longer, and as long as the authority asks.
pub(crate) fn wait_after(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(1 << failures.min(16));
    doubled.min(BACKOFF_MAX).max(asked.unwrap_or_default().min(ASKED_MAX))
}

#[cfg(test)]
mod tests {
    use temps_state::{
        AcmeSettings, Attempt, CertificateId, ClusterKey, DnsSettings, Domain, EnvironmentId, Id,
        Lease, Spent,
    };

    use super::*;

    const HERE: &str = "https://ca.example/here";

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    fn state() -> State {
        let mut state = State::default();
        let acme = AcmeSettings { directory: HERE.into(), ..AcmeSettings::default() };
        state.settings.insert(0, Settings { acme, ..Settings::default() });
        state
    }

    fn add(state: &mut State, text: &str, verified: bool) {
        let domain = Domain {
            name: name(text),
            environment: EnvironmentId::from_parts(0, 1),
            redirect: None,
            paths: BTreeMap::new(),
            proof: String::new(),
            verified_at: verified.then(|| at(0)),
            created_at: at(0),
        };
        state.domains.insert(name(text), domain);
    }

    fn certify(state: &mut State, n: u128, text: &str, directory: Option<&str>, end: i64) {
        let source = match directory {
            Some(directory) => {
                CertificateSource::Issued { domain: name(text), directory: directory.into() }
            }
            None => CertificateSource::Uploaded,
        };
        let certificate = Certificate {
            id: Id::from_parts(0, n),
            names: vec![name(text)],
            chain: String::new(),
            key: ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
            not_before: at(end - 90),
            not_after: at(end),
            issuer: String::new(),
            source,
            created_at: at(0),
            renewal: None,
        };
        state.certificates.insert(certificate.id, certificate);
    }

    fn names(state: &State, day: i64) -> Vec<String> {
        due(state, NodeId(1), at(day), &BTreeSet::new()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_domain_needs_one_when_it_is_seen_to_be_ours_and_has_none() {
        let mut state = state();
        add(&mut state, "a.example.com", true);
        add(&mut state, "b.example.com", false);
        add(&mut state, "*.example.com", true);
        add(&mut state, "c.example.org", true);
        certify(&mut state, 1, "*.example.org", None, 90);
        assert_eq!(names(&state, 1), ["a.example.com"]);
        // What somebody brought ends within a fortnight, and has ended.
        assert_eq!(names(&state, 75), ["a.example.com"]);
        assert_eq!(names(&state, 77), ["a.example.com", "c.example.org"]);
        assert_eq!(names(&state, 91), ["a.example.com", "c.example.org"]);
        let mut settings = state.settings();
        settings.acme.enabled = false;
        state.settings.insert(0, settings);
        assert!(names(&state, 91).is_empty());
    }

    #[test]
    fn a_domain_that_was_added_by_a_clock_that_was_ahead_needs_one_now() {
        let mut state = state();
        add(&mut state, "a.example.com", true);
        let day_before = -1;
        assert_eq!(names(&state, day_before), ["a.example.com"]);
    }

    #[test]
    fn whoever_has_the_right_to_an_order_looks_whether_it_is_needed_still() {
        let mut state = state();
        add(&mut state, "a.example.com", true);
        let name = name("a.example.com");
        let lease = Some(Lease { node: NodeId(1), fence: 1, until: at(2) });
        let order = Order { lease, retry_at: Some(at(5)), ..Order::new(name.clone()) };
        state.orders.insert(name.clone(), order);
        assert!(is_needed(&state, NodeId(1), &name, at(1)));
        certify(&mut state, 1, "a.example.com", Some(HERE), 90);
        assert!(!is_needed(&state, NodeId(1), &name, at(1)), "somebody has made it");
        assert!(is_needed(&state, NodeId(1), &name, at(60)), "it is renewed");
    }

    #[test]
    fn wildcards_need_one_where_the_cluster_has_a_zone() {
        let mut state = state();
        add(&mut state, "*.example.com", true);
        add(&mut state, "*.example.net", false);
        let mut settings = state.settings();
        settings.preview_domain = "apps.example.org".into();
        state.settings.insert(0, settings.clone());
        assert!(names(&state, 1).is_empty());
        settings.dns = DnsSettings { zones: vec![name("example.org")] };
        state.settings.insert(0, settings.clone());
        assert_eq!(names(&state, 1), ["*.apps.example.org", "*.example.com"]);
        certify(&mut state, 1, "*.apps.example.org", Some(HERE), 90);
        assert_eq!(names(&state, 1), ["*.example.com"]);
        settings.preview_domain = "localho.st".into();
        state.settings.insert(0, settings);
        assert_eq!(names(&state, 60), ["*.example.com"]);
    }

    #[test]
    fn a_certificate_is_renewed_with_a_third_of_its_life_left() {
        let mut state = state();
        add(&mut state, "a.example.com", true);
        certify(&mut state, 1, "a.example.com", Some(HERE), 90);
        assert!(names(&state, 56).is_empty());
        assert_eq!(names(&state, 60), ["a.example.com"]);
        certify(&mut state, 1, "a.example.com", Some("https://ca.example/elsewhere"), 90);
        assert_eq!(names(&state, 1), ["a.example.com"], "from another authority");
    }

    #[test]
    fn an_authority_may_advise_another_time() {
        let mut state = state();
        add(&mut state, "a.example.com", true);
        let mut advise = |start, end| {
            certify(&mut state, 1, "a.example.com", Some(HERE), 90);
            let id = CertificateId::from_parts(0, 1);
            let advice = RenewalAdvice { start: at(start), end: at(end), explanation: None };
            state.certificates[&id].renewal = Some(advice);
            (1..=90).find(|day| !names(&state, *day).is_empty()).unwrap()
        };
        assert!((20..=30).contains(&advise(20, 30)));
        assert!((70..=80).contains(&advise(70, 80)), "later than otherwise");
        assert_eq!(advise(-9, -8), 1, "at once");
        assert!((85..87).contains(&advise(200, 300)), "never too late");
    }

    #[test]
    fn advice_that_comes_again_and_again_is_not_followed() {
        let mut state = state();
        add(&mut state, "a.example.com", true);
        certify(&mut state, 1, "a.example.com", Some(HERE), 90);
        let advice = RenewalAdvice { start: at(-9), end: at(-8), explanation: None };
        state.certificates[&CertificateId::from_parts(0, 1)].renewal = Some(advice);
        for given in 0..4 {
            assert_eq!(names(&state, 2).len(), usize::from(given < 3), "after {given}");
            let spent = Spent {
                at: at(2),
                directory: HERE.into(),
                name: name("a.example.com"),
                registered: "example.com".into(),
                what: Spending::Certificate,
            };
            state.spending.insert(given, spent);
        }
        assert_eq!(names(&state, 3), ["a.example.com"], "after a day");
    }

    #[test]
    fn single_names_of_the_preview_domain_need_one_when_somebody_came() {
        let mut state = state();
        let settings = Settings { preview_domain: "apps.example.com".into(), ..state.settings() };
        state.settings.insert(0, settings);
        state.hosts.insert("shop-production".into(), EnvironmentId::from_parts(0, 1));
        let ours = name("shop-production.apps.example.com");
        assert!(names(&state, 1).is_empty());
        state.orders.insert(ours.clone(), Order::new(ours.clone()));
        assert_eq!(names(&state, 1), [ours.as_str()]);
        state.orders.remove(&ours);
        certify(&mut state, 1, ours.as_str(), Some(HERE), 90);
        assert!(names(&state, 1).is_empty());
        assert_eq!(names(&state, 60), [ours.as_str()], "it is renewed");
        state.hosts.clear();
        assert!(names(&state, 60).is_empty());
    }

    #[test]
    fn an_order_waits_for_its_time_and_its_worker() {
        let mut state = state();
        add(&mut state, "a.example.com", true);
        let key = ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap();
        let attempt = Attempt {
            directory: HERE.into(),
            key,
            request: String::new(),
            url: None,
            challenges: vec![],
        };
        let lease = |node, until| Some(Lease { node: NodeId(node), fence: 1, until: at(until) });
        let order = Order::new(name("a.example.com"));
        for (lease, retry_at, attempt, works) in [
            (None, None, None, true),
            (lease(2, 5), None, None, false),
            (lease(2, 1), None, Some(attempt.clone()), true),
            (lease(1, 5), None, Some(attempt), true),
            (None, Some(at(5)), None, false),
            (None, Some(at(2)), None, true),
        ] {
            let order = Order { lease, retry_at, attempt, ..order.clone() };
            state.orders.insert(order.name.clone(), order.clone());
            assert_eq!(!names(&state, 2).is_empty(), works, "{order:?}");
            let waits = [retry_at, lease.map(|lease| lease.until)].into_iter().flatten();
            assert_eq!(next_try(&state, at(2)), waits.filter(|until| *until > at(2)).min());
            let waited = BTreeSet::from([order.name.clone()]);
            let goes_on = !due(&state, NodeId(1), at(2), &waited).is_empty();
            assert_eq!(goes_on, works || retry_at.is_some(), "whatever time it names");
        }
    }

    #[test]
    fn failures_wait_longer_and_longer() {
        let minutes = |failures| wait_after(failures, None).as_secs() / 60;
        assert_eq!([0, 1, 2, 5].map(minutes), [1, 2, 4, 32]);
        assert_eq!(minutes(40), 720);
        assert_eq!(wait_after(0, Some(Duration::from_secs(600))), Duration::from_secs(600));
        assert_eq!(wait_after(0, Some(ASKED_MAX / 2)), ASKED_MAX / 2);
        assert_eq!(wait_after(0, Some(ASKED_MAX * 2)), ASKED_MAX);
    }
}
