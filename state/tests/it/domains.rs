//! Domains, certificates and orders: what holds after any sequence of commands about them, and who may change what.

use std::collections::BTreeMap;

use crate::draws::{at, entry, fresh, project, sealed};
use jiff::SignedDuration;
use proptest::prelude::*;
use temps_state::*;

const DIRECTORY: &str = "https://ca.example/directory";

fn name(text: &str) -> DomainName {
    text.parse().expect("a name")
}

fn domain(name: DomainName, environment: EnvironmentId) -> Domain {
    Domain {
        name,
        environment,
        redirect: None,
        paths: BTreeMap::new(),
        proof: "proof".into(),
        verified_at: None,
        created_at: at(0),
    }
}

pub fn certificate(index: u64, domain: &DomainName) -> Certificate {
    Certificate {
        id: fresh(index),
        names: vec![domain.clone()],
        chain: "PEM".into(),
        key: sealed(),
        not_before: at(0),
        not_after: at(1_000),
        issuer: "ca".into(),
        source: CertificateSource::Issued { domain: domain.clone(), directory: DIRECTORY.into() },
        created_at: at(index),
        renewal: None,
    }
}

fn attempt() -> Attempt {
    Attempt {
        directory: DIRECTORY.into(),
        key: sealed(),
        request: "AAAA".into(),
        url: None,
        challenges: vec![],
    }
}

fn spent(index: u64, name: &DomainName) -> Vec<Spent> {
    let (directory, registered) = (DIRECTORY.into(), "example.com".into());
    let what = Spending::Order;
    vec![Spent { at: at(index), directory, name: name.clone(), registered, what }]
}

/// A state with so many projects; the index of the next entry.
fn with_projects(count: u64) -> (State, u64) {
    let mut state = State::default();
    for index in 1..=count {
        let project = project(fresh(index), &format!("p{index}"), at(index));
        let create = Command::CreateProject { project, production: fresh(index) };
        state.apply(index, entry(index, create)).expect("it takes effect");
    }
    (state, count + 1)
}

fn apply(state: &mut State, index: u64, command: Command) -> Result<Reply, Rejected> {
    state.apply(index, entry(index, command))
}

#[test]
fn a_name_has_one_owner() {
    let (mut state, next) = with_projects(2);
    let create = |of| Command::CreateDomain { domain: domain(name("a.example.com"), fresh(of)) };
    apply(&mut state, next, create(1)).expect("it is free");
    let taken = apply(&mut state, next + 1, create(2));
    assert!(matches!(taken, Err(Rejected::Taken { .. })), "{taken:?}");
    let unknown = Command::CreateDomain { domain: domain(name("b.example.com"), fresh(9)) };
    assert!(matches!(apply(&mut state, next + 2, unknown), Err(Rejected::NotFound { .. })));
    let own = Command::CreateDomain { domain: domain(name("x.localho.st"), fresh(1)) };
    assert!(matches!(apply(&mut state, next + 3, own), Err(Rejected::Invalid { .. })));
}

#[test]
fn a_host_belongs_to_its_name_before_a_wildcard() {
    let (mut state, next) = with_projects(2);
    for (index, (text, of)) in (next..).zip([("*.example.com", 1), ("a.example.com", 2)]) {
        let create = Command::CreateDomain { domain: domain(name(text), fresh(of)) };
        apply(&mut state, index, create).expect("it is free");
    }
    let owner = |host| state.domain_of(host).map(|domain| domain.environment);
    assert_eq!(owner("a.example.com"), Some(fresh(2)));
    assert_eq!(owner("b.example.com"), Some(fresh(1)));
    for nobody in ["example.com", "b.a.example.com", "com", ""] {
        assert_eq!(owner(nobody), None, "{nobody}");
    }
}

#[test]
fn whoever_lost_its_lease_changes_nothing() {
    let (mut state, next) = with_projects(1);
    let name = name("a.example.com");
    let create = Command::CreateDomain { domain: domain(name.clone(), fresh(1)) };
    apply(&mut state, next, create).expect("it is free");
    let lease = |node, until| Command::LeaseOrder {
        name: name.clone(),
        node: NodeId(node),
        until: at(until),
    };
    let keep = |fence| Command::KeepAttempt {
        name: name.clone(),
        fence,
        attempt: attempt(),
        spent: spent(20, &name),
    };
    assert_eq!(apply(&mut state, 10, lease(1, 20)), Ok(Reply::Lease { fence: 10 }));
    let held = apply(&mut state, 11, lease(2, 30));
    assert_eq!(held, Err(Rejected::Leased { node: NodeId(1), until: at(20) }));
    apply(&mut state, 12, keep(10)).expect("it has the lease");
    // The lease ends, another node takes it and goes on with what was kept.
    assert_eq!(apply(&mut state, 20, lease(2, 40)), Ok(Reply::Lease { fence: 20 }));
    assert_eq!(state.orders[&name].attempt, Some(attempt()));
    assert_eq!(apply(&mut state, 21, keep(10)), Err(Rejected::Fenced { fence: 10 }));
    let finish = |fence| Command::FinishOrder {
        name: name.clone(),
        fence,
        certificate: certificate(fence, &name),
        spent: vec![],
    };
    assert_eq!(apply(&mut state, 22, finish(10)), Err(Rejected::Fenced { fence: 10 }));
    apply(&mut state, 23, finish(20)).expect("it has the lease");
    assert_eq!((state.orders.len(), state.certificates.len()), (0, 1));
    // The next one takes the place of the first.
    apply(&mut state, 24, lease(1, 60)).expect("it is free");
    apply(&mut state, 25, finish(24)).expect("it has the lease");
    assert_eq!(state.issued_for(&name).map(|found| found.id), Some(fresh(24)));
    assert_eq!(state.certificates.len(), 1);
}

#[test]
fn a_failed_order_waits_and_remembers_what_it_cost() {
    let (mut state, next) = with_projects(1);
    let name = name("a.example.com");
    let create = Command::CreateDomain { domain: domain(name.clone(), fresh(1)) };
    apply(&mut state, next, create).expect("it is free");
    let until = at(40);
    apply(&mut state, 10, Command::LeaseOrder { name: name.clone(), node: NodeId(1), until })
        .expect("it is free");
    let failure = OrderFailure { error: "x".repeat(900), retry_at: at(99), over: true };
    let spent = spent(10, &name);
    apply(&mut state, 11, Command::FailOrder { name: name.clone(), fence: 10, failure, spent })
        .expect("it has the lease");
    let order = &state.orders[&name];
    assert_eq!((order.failures, order.retry_at, order.lease), (1, Some(at(99)), None));
    assert_eq!(order.error.as_ref().map(String::len), Some(500));
    assert_eq!(state.spending.len(), 1);
    // Whoever has it looked at again, or names another authority, need not wait.
    let waits = |state: &State| state.orders[&name].retry_at.is_some();
    let mut looked_at = state.clone();
    apply(&mut looked_at, 12, Command::VerifyDomain { name: name.clone() }).expect("it is there");
    assert!(!waits(&looked_at));
    let change = |settings| Command::ChangeSettings { settings };
    let settings = state.settings();
    apply(&mut state, 12, change(settings)).expect("they are right");
    assert!(waits(&state), "nothing changed");
    let acme = AcmeSettings { directory: DIRECTORY.into(), ..AcmeSettings::default() };
    let settings = Settings { acme, ..state.settings() };
    apply(&mut state, 13, change(settings)).expect("they are right");
    assert!(!waits(&state));
}

#[test]
fn the_preview_domain_of_a_zone_gets_a_certificate_that_goes_with_it() {
    let (mut state, _) = with_projects(1);
    let wildcard = name("*.apps.example.com");
    let lease = || Command::LeaseOrder { name: wildcard.clone(), node: NodeId(1), until: at(100) };
    let settings = |zone: &str, preview_domain: &str| {
        let (dns, preview_domain) =
            (DnsSettings { zones: vec![name(zone)] }, preview_domain.into());
        Command::ChangeSettings {
            settings: Settings { dns, preview_domain, ..Settings::default() },
        }
    };
    assert!(apply(&mut state, 10, lease()).is_err(), "nobody answers for its zone");
    apply(&mut state, 11, settings("example.com", "apps.example.com")).expect("they are right");
    apply(&mut state, 12, lease()).expect("it is free");
    let certificate = certificate(12, &wildcard);
    let finish =
        Command::FinishOrder { name: wildcard.clone(), fence: 12, certificate, spent: vec![] };
    apply(&mut state, 13, finish).expect("it has the lease");
    apply(&mut state, 14, lease()).expect("it is free");
    apply(&mut state, 15, settings("apps.example.com", "apps.example.com"))
        .expect("they are right");
    assert!(state.issued_for(&wildcard).is_some() && state.orders.contains_key(&wildcard));
    apply(&mut state, 16, settings("apps.example.com", "example.net")).expect("they are right");
    assert!(state.issued_for(&wildcard).is_none() && state.orders.is_empty());
}

#[test]
fn the_best_certificate_is_shown() {
    let (mut state, _) = with_projects(1);
    let of = |index, text: &str, not_after, source| Certificate {
        names: vec![name(text)],
        not_after: at(not_after),
        source,
        ..certificate(index, &name("a.example.com"))
    };
    let issued = || certificate(1, &name("a.example.com")).source;
    let all = [
        of(1, "a.example.com", 500, issued()),
        of(2, "*.example.com", 900, issued()),
        of(3, "a.example.com", 300, CertificateSource::Uploaded),
        of(4, "b.example.com", 900, CertificateSource::Uploaded),
    ];
    for (index, certificate) in (10..).zip(all) {
        apply(&mut state, index, Command::AddCertificate { certificate }).expect("it is new");
    }
    let shown = |now| state.certificate_for(&name("a.example.com"), at(now)).map(|found| found.id);
    assert_eq!(shown(200), Some(fresh(3)), "what somebody brought");
    assert_eq!(shown(400), Some(fresh(2)), "what lasts longest");
    assert_eq!(shown(950), Some(fresh(3)), "none is valid");
    assert!(state.certificate_for(&name("c.b.example.com"), at(1)).is_none());
}

#[test]
fn session_ticket_keys_are_replaced_in_turn() {
    let mut state = State::default();
    for index in 1..=5 {
        let key = TicketKey { key: sealed(), created_at: at(index) };
        apply(&mut state, index, Command::RotateTicketKey { key }).expect("it takes effect");
    }
    assert_eq!(state.ticket_keys.keys().copied().collect::<Vec<_>>(), [3, 4, 5]);
}

/// One draw: what to do, and three numbers to choose by.
type Draw = (u8, u8, u8, u8);

fn drawn(state: &State, index: u64, (kind, a, b, c): Draw) -> Command {
    let name = name(["a.example.com", "*.example.com", "b.example.org"][usize::from(a) % 3]);
    let environment = fresh(1 + u64::from(b) % 4);
    let fences = state.orders.get(&name).and_then(|order| order.lease).map_or(0, |l| l.fence);
    let fence = if c % 4 == 0 { u64::from(c) } else { fences };
    match kind % 10 {
        0 | 1 => {
            let path = "/api".parse().expect("a path");
            let paths = BTreeMap::from([(path, fresh(1 + u64::from(c) % 4))]);
            Command::CreateDomain { domain: Domain { paths, ..domain(name, environment) } }
        }
        2 => {
            let target = DomainTarget { environment, redirect: None, paths: BTreeMap::new() };
            Command::ChangeDomain { name, target }
        }
        3 => Command::DeleteDomain { name },
        4 if c % 8 == 0 => Command::DeleteProject { id: environment_project(environment) },
        4 => Command::VerifyDomain { name },
        5 | 6 => {
            let (node, until) = (NodeId(u64::from(b) % 3), at(index + u64::from(c) % 9));
            Command::LeaseOrder { name, node, until }
        }
        7 => Command::KeepAttempt { spent: spent(index, &name), name, fence, attempt: attempt() },
        8 => {
            let failure =
                OrderFailure { error: "no".into(), retry_at: at(index), over: b % 2 == 0 };
            Command::FailOrder { name, fence, failure, spent: vec![] }
        }
        _ => {
            let certificate = certificate(index, &name);
            Command::FinishOrder { name, fence, certificate, spent: vec![] }
        }
    }
}

/// Projects and their production environments are numbered alike here.
fn environment_project(environment: EnvironmentId) -> ProjectId {
    let text = environment.to_string().replace("env_", "prj_");
    text.parse().expect("an id")
}

/// Commands that leave a row in every table of domains and certificates, from an index on.
pub fn story(index: u64, environment: EnvironmentId) -> Vec<Command> {
    let name = name("shop.example.com");
    let redirect = Redirect { to: "https://example.com/".into(), status: RedirectStatus::Found };
    let paths = BTreeMap::from([("/api".parse().expect("a path"), environment)]);
    let domain = Domain { redirect: Some(redirect), paths, ..domain(name.clone(), environment) };
    let account =
        AcmeAccount { directory: DIRECTORY.into(), credentials: sealed(), created_at: at(index) };
    let challenge = Challenge {
        host: "shop.example.com".into(),
        kind: ChallengeKind::Http01,
        token: "token".into(),
        answer: "token.thumb".into(),
    };
    let attempt = Attempt {
        url: Some("https://ca.example/order/1".into()),
        challenges: vec![challenge],
        ..attempt()
    };
    let failure = OrderFailure { error: "no".into(), retry_at: at(index + 9), over: false };
    let lease = |fence| {
        let until = at(fence + 2);
        Command::LeaseOrder { name: name.clone(), node: NodeId(1), until }
    };
    let policy = HeaderPolicy::Custom { headers: [("x-a".into(), "b".into())].into() };
    vec![
        Command::CreateDomain { domain },
        Command::VerifyDomain { name: name.clone() },
        Command::AddCertificate { certificate: certificate(index, &name) },
        Command::KeepAccount { account },
        lease(index + 4),
        Command::KeepAttempt {
            name: name.clone(),
            fence: index + 4,
            attempt,
            spent: spent(index, &name),
        },
        Command::FailOrder { name: name.clone(), fence: index + 4, failure, spent: vec![] },
        lease(index + 7),
        Command::RotateTicketKey { key: TicketKey { key: sealed(), created_at: at(index) } },
        Command::SetHeaderPolicy { scope: Scope::Cluster, policy: Some(policy) },
    ]
}

proptest! {
    #[test]
    fn no_domain_dangles_and_fences_only_grow(
        draws in proptest::collection::vec(any::<Draw>(), 0..150)
    ) {
        let (mut state, next) = with_projects(4);
        let mut fences: BTreeMap<DomainName, u64> = BTreeMap::new();
        for (index, draw) in (next..).zip(draws) {
            let command = drawn(&state, index, draw);
            let reply = apply(&mut state, index, command.clone());
            if let (Ok(Reply::Lease { fence }), Command::LeaseOrder { name, .. }) = (reply, command) {
                prop_assert!(fences.insert(name, fence).is_none_or(|before| before < fence));
            }
            for (name, domain) in &state.domains {
                prop_assert_eq!(name, &domain.name);
                let led = domain.paths.values().chain([&domain.environment]);
                prop_assert!(led.into_iter().all(|id| state.environments.contains_key(id)));
            }
            prop_assert!(state.orders.keys().all(|name| state.domains.contains_key(name)));
            for certificate in state.certificates.values() {
                let CertificateSource::Issued { domain, .. } = &certificate.source else { continue };
                prop_assert!(state.domains.contains_key(domain));
                prop_assert_eq!(state.issued_for(domain).map(|found| found.id), Some(certificate.id));
            }
            let horizon = at(index).checked_sub(SPENDING_REMEMBERED).expect("a time");
            prop_assert!(state.spending.values().all(|one| one.at + SignedDuration::from_secs(1) > horizon));
        }
        let mut restored = State::default();
        for row in state.rows() {
            restored.restore(&row.key, &row.value.expect("rows of a state have values"))?;
        }
        prop_assert_eq!(restored, state);
    }
}
