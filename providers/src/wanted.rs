//! Which records the cluster's names need at a provider, told from the state alone.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use temps_state::{
    CHALLENGE_LABEL, Challenge, ChallengeKind, DnsProvider, DomainName, MANAGED_RECORDS_MAX,
    ManagedRecord, RecordKind, State,
};

use crate::RecordSet;

/// The records that are to be at a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The sets of records, by name and type.
    pub sets: Vec<RecordSet>,
    /// How many more there would be if the cluster kept as many.
    pub left_out: usize,
}

/// What the cluster's names need at a provider: addresses of living edges, texts that authorities look for, and the
/// proofs of wildcards. `ttl` in seconds.
pub fn wanted(state: &State, provider: &DnsProvider, ttl: u32) -> Wanted {
    let here = |name: &str| state.dns_zone_of(name).is_some_and(|(one, _)| one.id == provider.id);
    let preview = state.preview_wildcard();
    let mut values: BTreeMap<ManagedRecord, BTreeSet<String>> = BTreeMap::new();
    let mut add = |name: String, kind, value: String| {
        values.entry(ManagedRecord { name, kind }).or_default().insert(value);
    };
    let edges = state.living_edges();
    for name in state.domains.keys().chain(&preview).filter(|name| here(name.as_str())) {
        for edge in &edges {
            let kind = if edge.address.is_ipv4() { RecordKind::A } else { RecordKind::Aaaa };
            add(name.to_string(), kind, edge.address.to_string());
        }
    }
    for (name, text) in texts(state, preview.as_ref()).into_iter().filter(|(name, _)| here(name)) {
        add(name, RecordKind::Txt, text);
    }
    let left_out = values.len().saturating_sub(MANAGED_RECORDS_MAX);
    let sets = values.into_iter().take(MANAGED_RECORDS_MAX).map(|(key, values)| {
        let ManagedRecord { name, kind } = key;
        RecordSet { name, kind, ttl, values }
    });
    Wanted { sets: sets.collect(), left_out }
}

/// Texts with their names: what shows whose a wildcard is, what authorities look for, and the mark that tells the cluster
/// that it is asked there.
fn texts(state: &State, preview: Option<&DomainName>) -> Vec<(String, String)> {
    let wildcards = || state.domains.values().filter(|domain| domain.name.is_wildcard());
    let proofs = wildcards().map(|domain| (domain.proof_name(), domain.proof.clone()));
    let names = wildcards().map(|domain| &domain.name).chain(preview);
    let marks = names.map(|name| (challenge_name(name.base()), state.zone_mark()));
    let attempts = state.orders.values().filter_map(|order| order.attempt.as_ref());
    let asked = attempts.flat_map(|attempt| &attempt.challenges);
    let asked = asked.filter(|challenge| challenge.kind == ChallengeKind::Dns01);
    let answers = asked.map(|challenge| (challenge_name(&challenge.host), answer(challenge)));
    proofs.chain(marks).chain(answers).collect()
}

fn challenge_name(host: &str) -> String {
    format!("{CHALLENGE_LABEL}.{host}")
}

/// What an authority looks for (RFC 8555 §8.4).
fn answer(challenge: &Challenge) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, challenge.answer.as_bytes()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{
        Attempt, ClusterKey, DnsProviderId, DnsSettings, Domain, EnvironmentId, Id, Node, NodeId,
        Order, Sealed, Settings,
    };

    use super::*;

    fn sealed() -> Sealed {
        ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap()
    }

    fn provider(n: u128, zones: &[&str]) -> DnsProvider {
        DnsProvider {
            id: DnsProviderId::from_parts(0, n),
            name: format!("p{n}").parse().unwrap(),
            kind: "rfc2136".into(),
            zones: zones.iter().map(|zone| zone.parse().unwrap()).collect(),
            credentials: sealed(),
            takes_over: false,
            managed: BTreeSet::new(),
            trouble: None,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn add_domain(state: &mut State, name: &str) {
        let name: DomainName = name.parse().unwrap();
        let domain = Domain {
            name: name.clone(),
            environment: EnvironmentId::from_parts(0, 1),
            redirect: None,
            paths: BTreeMap::new(),
            proof: "pr00f".into(),
            verified_at: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        state.domains.insert(name, domain);
    }

    /// Three nodes; two of them have one address, and the third two.
    fn state(names: &[&str]) -> State {
        let mut state = State::default();
        for (id, address) in [(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "192.0.2.3,2001:db8::3")] {
            let mut node = Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH);
            node.labels.insert(temps_state::PUBLIC_ADDRESS_LABEL.into(), address.into());
            state.nodes.insert(node.id, node);
        }
        for name in names {
            add_domain(&mut state, name);
        }
        for provider in [provider(1, &["example.com"]), provider(2, &["inner.example.com"])] {
            state.dns_providers.insert(provider.id, provider);
        }
        state
    }

    fn lines(state: &State) -> Vec<String> {
        let provider = &state.dns_providers[&DnsProviderId::from_parts(0, 1)];
        let sets = wanted(state, provider, 30).sets;
        let values = |set: &RecordSet| set.values.iter().cloned().collect::<Vec<_>>().join(" ");
        sets.iter().map(|set| format!("{} {} {}", set.name, set.kind, values(set))).collect()
    }

    #[test]
    fn names_in_the_zone_lead_to_living_edges() {
        let mut state = state(&["a.example.com", "b.inner.example.com", "example.net"]);
        assert_eq!(
            lines(&state),
            ["a.example.com A 192.0.2.1 192.0.2.2 192.0.2.3", "a.example.com AAAA 2001:db8::3",]
        );
        for (id, lost) in [(1, false), (3, true)] {
            let lost_since = lost.then_some(Timestamp::UNIX_EPOCH);
            let node = Node { lost_since, ..state.nodes[&NodeId(id)].clone() };
            state.nodes.insert(node.id, node);
        }
        assert_eq!(lines(&state), ["a.example.com A 192.0.2.1 192.0.2.2"]);
    }

    #[test]
    fn what_the_nodes_answer_for_themselves_is_not_kept_elsewhere() {
        let mut state = state(&["a.example.com", "b.own.example.com"]);
        let dns = DnsSettings { zones: vec!["own.example.com".parse().unwrap()] };
        state.settings.insert(0, Settings { dns, ..Settings::default() });
        assert!(lines(&state).iter().all(|line| line.starts_with("a.example.com")));
    }

    #[test]
    fn wildcards_have_their_proof_and_what_authorities_look_for() {
        let mut state = state(&["*.example.com"]);
        let preview_domain = "apps.example.com".into();
        state.settings.insert(0, Settings { preview_domain, ..Settings::default() });
        let challenge = |kind, host: &str| Challenge {
            host: host.into(),
            kind,
            token: "t".into(),
            answer: "t.key".into(),
        };
        let attempt = Attempt {
            directory: String::new(),
            key: sealed(),
            request: String::new(),
            url: None,
            challenges: vec![
                challenge(ChallengeKind::Dns01, "example.com"),
                challenge(ChallengeKind::Http01, "www.example.com"),
                challenge(ChallengeKind::Dns01, "example.net"),
            ],
        };
        let order = Order::new("*.example.com".parse().unwrap());
        state.orders.insert(order.name.clone(), Order { attempt: Some(attempt), ..order });
        let mark = state.zone_mark();
        let answer = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"t.key"));
        let found = lines(&state);
        let texts: Vec<&String> = found.iter().filter(|line| line.contains(" TXT ")).collect();
        let mut both = [mark.clone(), answer];
        both.sort();
        assert_eq!(
            texts,
            [
                &format!("_acme-challenge.apps.example.com TXT {mark}"),
                &format!("_acme-challenge.example.com TXT {}", both.join(" ")),
                "_temps-challenge.example.com TXT pr00f",
            ]
        );
        let wild: Vec<&String> = found.iter().filter(|line| line.starts_with('*')).collect();
        assert_eq!(wild.len(), 4, "A and AAAA of both wildcards: {wild:?}");
    }

    #[test]
    fn more_than_the_cluster_keeps_is_counted() {
        let mut state = state(&[]);
        for n in 0..=MANAGED_RECORDS_MAX / 2 {
            add_domain(&mut state, &format!("n{n}.example.com"));
        }
        let provider = &state.dns_providers[&DnsProviderId::from_parts(0, 1)];
        let found = wanted(&state, provider, 30);
        assert_eq!((found.sets.len(), found.left_out), (MANAGED_RECORDS_MAX, 2));
    }
}
