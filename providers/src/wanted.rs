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

/// The most octets of the keys of sets that the cluster keeps with an account, as one proposal names all of them.
const MANAGED_BYTES_MAX: usize = 240 * 1024;
/// What a key takes besides its name, in octets.
const KEY_BYTES: usize = 28;

/// The records that are to be at a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The sets of records, by name and type.
    pub sets: Vec<RecordSet>,
    /// Those to which records give way that the cluster has not made.
    pub take_over: BTreeSet<ManagedRecord>,
    /// Names that have addresses of their own only because something is below them. Where somebody else has given them
    /// some, nothing is missing.
    pub between: BTreeSet<String>,
    /// How many more there would be if the cluster kept as many.
    pub left_out: usize,
}

/// What the cluster's names need at a provider: addresses of living edges, texts that authorities look for, and the
/// proofs of wildcards. `ttl` in seconds.
pub fn wanted(state: &State, provider: &DnsProvider, ttl: u32) -> Wanted {
    let here = |name: &str| state.dns_zone_of(name).is_some_and(|(one, _)| one.id == provider.id);
    let preview = state.preview_wildcard();
    let texts = texts(state, preview.as_ref());
    let texts: Vec<_> = texts.into_iter().filter(|(name, _)| here(name)).collect();
    let domains = state.domains.keys().chain(&preview).map(DomainName::as_str);
    let mut hosts: BTreeSet<&str> = domains.filter(|name| here(name)).collect();
    let below = hosts.iter().copied().chain(texts.iter().map(|(name, _)| name.as_str()));
    let above: BTreeSet<&str> = below.flat_map(above).collect();
    let hidden = above.difference(&hosts).filter(|name| here(name));
    let between: BTreeSet<&str> =
        hidden.filter(|name| leads(state, preview.as_ref(), name)).copied().collect();
    hosts.extend(&between);

    let mut values: BTreeMap<ManagedRecord, BTreeSet<String>> = BTreeMap::new();
    let mut add = |name: &str, kind, value: String| {
        let key = ManagedRecord { name: name.to_owned(), kind };
        values.entry(key).or_default().insert(value);
    };
    let edges = state.living_edges();
    for (name, edge) in hosts.iter().flat_map(|name| edges.iter().map(move |edge| (name, edge))) {
        let kind = if edge.address.is_ipv4() { RecordKind::A } else { RecordKind::Aaaa };
        add(name, kind, edge.address.to_string());
    }
    texts.iter().for_each(|(name, text)| add(name, RecordKind::Txt, text.clone()));
    let between = between.into_iter().map(str::to_owned).collect();
    Wanted { between, ..fitting(state, provider, values, ttl) }
}

/// As many sets as the cluster keeps: first those that are its own already.
fn fitting(
    state: &State,
    provider: &DnsProvider,
    mut values: BTreeMap<ManagedRecord, BTreeSet<String>>,
    ttl: u32,
) -> Wanted {
    // Until they are gone, those that are wanted no longer take their room.
    let (own, leaving): (Vec<_>, Vec<_>) =
        provider.managed.iter().partition(|key| values.contains_key(key));
    let new = values.keys().filter(|key| !provider.managed.contains(key));
    let (mut sets, mut octets) = (0, 0);
    let all = leaving.iter().copied().chain(own).chain(new);
    let kept = all.take_while(|key| {
        (sets, octets) = (sets + 1, octets + key.name.len() + KEY_BYTES);
        sets <= MANAGED_RECORDS_MAX && octets <= MANAGED_BYTES_MAX
    });
    let kept: BTreeSet<ManagedRecord> = kept.cloned().collect();
    let count = values.len();
    values.retain(|key, _| kept.contains(key));
    let left_out = count - values.len();
    let preview = state.preview_wildcard();
    let may = |key: &&ManagedRecord| {
        provider.takes_over && may_take_over(state, preview.as_ref(), &key.name)
    };
    let take_over = values.keys().filter(may).cloned().collect();
    let sets = values.into_iter().map(|(key, values)| {
        let ManagedRecord { name, kind } = key;
        RecordSet { name, kind, ttl, values }
    });
    Wanted { sets: sets.collect(), take_over, between: BTreeSet::new(), left_out }
}

/// The names above a name.
fn above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.split_once('.'), |(_, rest)| rest.split_once('.')).map(|(_, up)| up)
}

/// Whether a name leads to the edges by a domain or a wildcard. A wildcard at a provider answers for no name that has
/// another one below it (RFC 4592 §2.2.2): such a name needs addresses of its own.
fn leads(state: &State, preview: Option<&DomainName>, name: &str) -> bool {
    let is_preview = |(_, above): (&str, &str)| preview.is_some_and(|one| one.base() == above);
    state.domain_of(name).is_some() || name.split_once('.').is_some_and(is_preview)
}

/// Whether records that the cluster has not made may give way at a name: at that of a domain whose owner was seen to be
/// the cluster's, and at the preview domain, which administrators choose. Of a wildcard the cluster itself writes what
/// shows its owner, so that it shows nothing here.
fn may_take_over(state: &State, preview: Option<&DomainName>, name: &str) -> bool {
    let domain = || state.domains.get(&name.parse::<DomainName>().ok()?);
    preview.is_some_and(|one| name == one.as_str() || name == challenge_name(one.base()))
        || domain().is_some_and(|domain| domain.verified_at.is_some() && !domain.name.is_wildcard())
}

/// What to say of sets that are left out.
pub(crate) fn about_left_out(left_out: usize) -> Option<String> {
    (left_out > 0).then(|| {
        format!(
            "{left_out} sets of records are left out, as the cluster keeps {MANAGED_RECORDS_MAX} with \
             one account, and {} KiB of names: use a wildcard, or let the nodes answer for a zone \
             of their own",
            MANAGED_BYTES_MAX >> 10
        )
    })
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
    fn names_that_a_wildcard_does_not_reach_have_addresses_of_their_own() {
        let mut state = state(&["*.example.com", "*.a.example.com", "x.y.b.example.com"]);
        let preview_domain = "c.example.com".into();
        state.settings.insert(0, Settings { preview_domain, ..Settings::default() });
        let found = lines(&state);
        let hosts = found.iter().filter_map(|line| Some(line.split_once(" A ")?.0));
        assert_eq!(
            hosts.collect::<Vec<_>>(),
            [
                "*.a.example.com",
                "*.c.example.com",
                "*.example.com",
                "a.example.com",
                "b.example.com",
                "c.example.com",
                "x.y.b.example.com",
            ]
        );
    }

    #[test]
    fn others_records_give_way_to_verified_domains_alone() {
        let mut state = state(&["a.example.com", "b.example.com", "*.w.example.com"]);
        for name in ["b.example.com", "*.w.example.com"] {
            let name: DomainName = name.parse().unwrap();
            let verified_at = Some(Timestamp::UNIX_EPOCH);
            let domain = Domain { verified_at, ..state.domains[&name].clone() };
            state.domains.insert(name, domain);
        }
        let preview_domain = "apps.example.com".into();
        state.settings.insert(0, Settings { preview_domain, ..Settings::default() });
        let mut account = state.dns_providers[&DnsProviderId::from_parts(0, 1)].clone();
        assert!(wanted(&state, &account, 30).take_over.is_empty());
        account.takes_over = true;
        let given = wanted(&state, &account, 30).take_over;
        let given: Vec<String> =
            given.iter().map(|key| format!("{} {}", key.name, key.kind)).collect();
        assert_eq!(
            given,
            [
                "*.apps.example.com A",
                "*.apps.example.com AAAA",
                "_acme-challenge.apps.example.com TXT",
                "b.example.com A",
                "b.example.com AAAA",
            ]
        );
    }

    /// The most octets of a proposal.
    const ENTRY_BYTES_MAX: usize = 256 * 1024;

    /// What the state names when all that is wanted is there.
    fn told(state: &State, account: &DnsProvider) -> usize {
        let keys = wanted(state, account, 30).sets.iter().map(RecordSet::key).collect();
        let managed = account.managed.union(&keys).cloned().collect();
        let error = Some("x".repeat(500));
        let command = temps_state::Command::KeepDnsRecords { id: account.id, managed, error };
        serde_json::to_vec(&command).unwrap().len()
    }

    #[test]
    fn no_more_is_wanted_than_the_cluster_keeps() {
        let mut state = state(&[]);
        for n in 0..=MANAGED_RECORDS_MAX / 2 {
            add_domain(&mut state, &format!("{n}.example.com"));
        }
        let mut account = state.dns_providers[&DnsProviderId::from_parts(0, 1)].clone();
        let found = wanted(&state, &account, 30);
        assert_eq!((found.sets.len(), found.left_out), (MANAGED_RECORDS_MAX, 2));
        assert!(told(&state, &account) < ENTRY_BYTES_MAX);
        // Those that leave take their room until they are gone, and what is there stays.
        let gone = |n| ManagedRecord { name: format!("gone{n}.example.com"), kind: RecordKind::A };
        account.managed =
            (0..100).map(gone).chain(found.sets[900..].iter().map(RecordSet::key)).collect();
        let next = wanted(&state, &account, 30);
        assert_eq!((next.sets.len(), next.left_out), (MANAGED_RECORDS_MAX - 100, 102));
        assert!(found.sets[900..].iter().all(|set| next.sets.contains(set)));
    }

    #[test]
    fn long_names_are_counted_by_their_length() {
        let mut state = state(&[]);
        for n in 0..1_000 {
            add_domain(&mut state, &format!("{n}.{0}.{0}.{0}.example.com", "x".repeat(60)));
        }
        let account = &state.dns_providers[&DnsProviderId::from_parts(0, 1)];
        let found = wanted(&state, account, 30);
        assert!(found.left_out > 0 && found.sets.len() > 800, "{}", found.sets.len());
        assert!(told(&state, account) < ENTRY_BYTES_MAX);
    }
}
