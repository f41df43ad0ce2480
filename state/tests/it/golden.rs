//! The bytes that this version writes, so that a change of format is a decision and not an accident.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p temps-state golden` writes them anew; a changed line means that a new format
//! number and a migration are due.

use std::path::Path;

use crate::domains;
use crate::draws::{
    Draw, KINDS, TAGS, at, command, dns_provider, entry, failure, fresh, guard, node, project, run,
    sealed,
};
use temps_state::{
    AcmeSettings, CertificateSource, Command, DnsSettings, EdgeSettings, FORMAT, ManagedRecord,
    Node, NodeId, RecordKind, RenewalAdvice, RowError, Scope, Settings, State, decode,
};

fn check(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("the golden folder can be written");
    }
    let wanted = std::fs::read_to_string(&path).expect("the golden file is there");
    assert_eq!(found, wanted, "{name} differs: a new format number and a migration are due");
}

/// A sequence that makes at least one row of nearly every table.
fn story() -> Vec<Draw> {
    let kinds =
        [0, 42, 30, 32, 1, 27, 29, 4, 7, 9, 12, 14, 23, 24, 19, 10, 12, 14, 23, 24, 19, 26, 6];
    kinds.iter().map(|kind| (*kind, 0, 1)).collect()
}

#[test]
fn rows_are_written_as_ever() {
    let lines = run(&story()).rows().into_iter().map(|row| {
        let value = row.value.expect("rows of a state have values");
        assert_eq!(value[0], 1, "the first format had it");
        format!("{} {}\n", row.key, String::from_utf8_lossy(&value[1..]))
    });
    check("rows.txt", &lines.collect::<String>());
}

#[test]
fn rows_of_the_second_format_say_so() {
    let mut state = run(&[(0, 0, 0), (1, 0, 0), (10, 0, 1), (12, 0, 0)]);
    let older = state.clone();
    let id = *state.deployments.keys().next().expect("one is built");
    let commands = [
        Command::HandOverNode { id: NodeId(1) },
        Command::ReturnBuild { id, by: NodeId(1), failure: failure() },
    ];
    for (index, command) in (5..).zip(commands) {
        state.apply(index, entry(index, command)).expect("it takes effect");
    }
    let lines = state.changes_since(&older).into_iter().map(|row| {
        let value = row.value.expect("nothing is gone");
        assert_eq!(value[0], 2, "{}", row.key);
        format!("{} {}\n", row.key, String::from_utf8_lossy(&value[1..]))
    });
    check("rows-2.txt", &lines.collect::<String>());
}

#[test]
fn rows_of_the_third_format_say_so() {
    let mut state = run(&[(0, 0, 0), (1, 0, 0)]);
    let mut certificate = domains::certificate(1, &"shop.example.com".parse().expect("a name"));
    certificate.id = fresh(9);
    certificate.source = CertificateSource::Uploaded;
    let advised = certificate.id;
    state.apply(2, entry(2, Command::AddCertificate { certificate })).expect("it is added");
    let project = project(fresh(20), "blog", at(2));
    let other = Command::CreateProject { project, production: fresh(20) };
    state.apply(2, entry(2, other)).expect("it is created");
    let older = state.clone();
    let dns = DnsSettings { zones: vec!["apps.example.com".parse().expect("a name")] };
    let answers = Node { dns: Some(([203, 0, 113, 7], 53).into()), ..node(1) };
    let edge = EdgeSettings {
        trusted_proxies: vec!["203.0.113.0/24".parse().expect("a network")],
        proxy_protocol: true,
        http3: true,
        ..EdgeSettings::default()
    };
    let managed = |kind| ManagedRecord { name: "www.z0.example.com".into(), kind };
    let commands = [
        Command::ChangeSettings { settings: Settings { dns, ..Settings::default() } },
        Command::RecordNode { node: answers },
        Command::SetGuard { scope: Scope::Cluster, guard: Some(guard(1)) },
        Command::ChangeSettings { settings: Settings { edge, ..Settings::default() } },
        Command::AddDnsProvider { provider: dns_provider(7, 0) },
        Command::KeepDnsRecords {
            id: fresh(7),
            managed: RecordKind::ALL.map(managed).into(),
            error: Some("it does not answer".into()),
        },
        Command::AdviseRenewal {
            id: advised,
            advice: Some(RenewalAdvice {
                start: at(50),
                end: at(60),
                explanation: Some("https://ca.example/why".into()),
            }),
        },
        Command::ReportEngine { id: NodeId(1), away: true },
        Command::AllowCaller { id: fresh(2), caller: fresh(20) },
    ];
    for (index, command) in (3..).zip(commands) {
        assert_eq!(command.format(), 3);
        state.apply(index, entry(index, command)).expect("it takes effect");
    }
    let rows = state.changes_since(&older).into_iter();
    let lines = rows.filter(|row| !row.key.starts_with("audit/")).map(|row| {
        let value = row.value.expect("nothing is gone");
        assert_eq!(value[0], 3, "{}", row.key);
        format!("{} {}\n", row.key, String::from_utf8_lossy(&value[1..]))
    });
    check("rows-3.txt", &lines.collect::<String>());
}

#[test]
fn rows_of_the_fifth_format_say_so() {
    let mut state = run(&[(0, 0, 0)]);
    let older = state.clone();
    let acme = AcmeSettings {
        eab_key_id: "kid-1".into(),
        eab_key: Some(sealed()),
        ..AcmeSettings::default()
    };
    let half = AcmeSettings { eab_key: None, ..acme.clone() };
    let set = |acme| Command::ChangeSettings { settings: Settings { acme, ..Settings::default() } };
    assert!(state.apply(2, entry(2, set(half))).is_err(), "one without the other");
    assert_eq!(set(acme.clone()).format(), 5);
    state.apply(3, entry(3, set(acme))).expect("it takes effect");
    let rows = state.changes_since(&older).into_iter();
    let lines = rows.filter(|row| !row.key.starts_with("audit/")).map(|row| {
        let value = row.value.expect("nothing is gone");
        assert_eq!(value[0], 5, "{}", row.key);
        format!("{} {}\n", row.key, String::from_utf8_lossy(&value[1..]))
    });
    check("rows-5.txt", &lines.collect::<String>());
}

#[test]
fn rows_of_tags_are_of_the_second_format() {
    let state = run(&[(0, 0, 0), (TAGS, 0, 0), (TAGS, 1, 1)]);
    let rows = state.rows().into_iter().filter(|row| row.key.starts_with("image_tags/"));
    let lines = rows.map(|row| {
        let value = row.value.expect("rows of a state have values");
        assert_eq!(value[0], 2, "{}", row.key);
        format!("{} {}\n", row.key, String::from_utf8_lossy(&value[1..]))
    });
    check("image-tags.txt", &lines.collect::<String>());
}

#[test]
fn rows_of_domains_are_of_the_second_format() {
    let mut state = run(&[(1, 0, 0)]);
    let older = state.clone();
    let mut entries = String::new();
    for (index, command) in (2..).zip(domains::story(2, fresh(1))) {
        let entry = entry(index, command);
        entries.push_str(&format!("{}\n", String::from_utf8_lossy(&entry.encode()[1..])));
        state.apply(index, entry).expect("it takes effect");
    }
    let rows = state.changes_since(&older).into_iter();
    let rows = rows.filter(|row| !row.key.starts_with("audit/"));
    let lines = rows.map(|row| {
        let value = row.value.expect("nothing is gone");
        assert_eq!(value[0], 2, "{}", row.key);
        format!("{} {}\n", row.key, String::from_utf8_lossy(&value[1..]))
    });
    check("domains.txt", &format!("{}{entries}", lines.collect::<String>()));
}

#[test]
fn entries_are_written_as_ever() {
    let state = run(&story());
    let lines = (0..KINDS).map(|kind| {
        let bytes = entry(7, command(&state, 7, (kind, 1, 0))).encode();
        format!("{}\n", String::from_utf8_lossy(&bytes[1..]))
    });
    check("entries.txt", &lines.collect::<String>());
}

#[test]
fn a_newer_format_is_refused_by_number() {
    let mut state = State::default();
    let key = "settings/00000000000000000000";
    let refused = state.restore(key, &[FORMAT + 1, b'{', b'}']);
    assert!(matches!(refused, Err(RowError::Format { found }) if found == FORMAT + 1));
    assert!(matches!(decode::<u64>(b""), Err(RowError::Format { found: 0 })));
    assert!(matches!(state.restore("unknown/1", b"\x011"), Err(RowError::Key(_))));
    assert_eq!(state, State::default());
}
