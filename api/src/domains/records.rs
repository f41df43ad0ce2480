//! Which records of the DNS make a domain lead to this cluster, told from the state alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;
use temps_state::{
    CHALLENGE_LABEL, DnsProvider, Domain, DomainName, EdgeAddress, NAME_SERVERS_MAX,
    PREVIEW_DOMAIN_DEFAULT, State,
};
use utoipa::ToSchema;

/// How many labels a name has that may be an alias: the top of a zone, which has two, may not (RFC 1912 §2.4).
const ALIAS_LABELS_MIN: usize = 3;

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name.
    Cname,
    /// A text.
    Txt,
    /// A server of a zone.
    Ns,
}

impl RecordType {
    /// That of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::A } else { Self::Aaaa }
    }
}

/// A record to create where the name's DNS is kept.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DomainRecord)]
pub struct RecordOut {
    /// Its type.
    #[schema(value_type = String)]
    pub r#type: RecordType,
    /// Its whole name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it must be there; the others are another way to the same end.
    pub required: bool,
    /// What it is for.
    pub why: String,
}

/// The records of a domain, those that must be there first.
pub(super) fn of(state: &State, domain: &Domain) -> Vec<RecordOut> {
    if let Some(zone) = state.settings().dns.zone_of(domain.name.base()) {
        let delegation = delegation(state, zone);
        if !delegation.is_empty() {
            return delegation;
        }
    }
    if let Some((provider, _)) = state.dns_zone_of(domain.name.base()) {
        return kept(state, domain, provider);
    }
    let mut records = addresses(state, domain);
    records.extend(alias(state, domain));
    records.extend(challenge_alias(state, domain));
    records.push(proof(domain));
    records.sort_by_key(|record| !record.required);
    records
}

fn addresses(state: &State, domain: &Domain) -> Vec<RecordOut> {
    let mut seen = BTreeSet::new();
    let edges = state.edge_addresses().into_iter().filter(|edge| seen.insert(edge.address));
    let record = |edge: EdgeAddress<'_>| {
        // A cluster of a private network serves that network.
        let note = if edge.is_public { "" } else { "; only its own network reaches this address" };
        RecordOut {
            r#type: RecordType::of(edge.address),
            name: domain.name.to_string(),
            value: edge.address.to_string(),
            required: true,
            why: format!("leads to node {}{note}", edge.node.name),
        }
    };
    edges.map(record).collect()
}

/// What the cluster keeps by itself, for those who want to see it there.
fn kept(state: &State, domain: &Domain, provider: &DnsProvider) -> Vec<RecordOut> {
    let proof = Some(proof(domain)).filter(|_| domain.name.is_wildcard());
    let records = addresses(state, domain).into_iter().chain(proof);
    let by = format!("the cluster keeps it at the DNS provider {}", provider.name);
    let kept = |record: RecordOut| {
        let why = format!("{}; {by}", record.why);
        RecordOut { required: false, why, ..record }
    };
    records.map(kept).collect()
}

/// What hands a zone over to the nodes that answer for it, to be created once at the zone above; nothing where none does.
fn delegation(state: &State, zone: &DomainName) -> Vec<RecordOut> {
    let mut servers = state.living_name_servers();
    servers.truncate(NAME_SERVERS_MAX);
    let record = |r#type, name: &str, value: String, why: String| RecordOut {
        r#type,
        name: name.into(),
        value,
        required: true,
        why,
    };
    let named = servers.iter().map(|server| {
        let value = format!("{}.{zone}", server.label);
        let why = format!("has node {} answer for all names of {zone}", server.node.name);
        record(RecordType::Ns, zone.as_str(), value, why)
    });
    let found = servers.iter().flat_map(|server| {
        let why = format!("where node {} answers", server.node.name);
        let name = format!("{}.{zone}", server.label);
        let found = server.addresses.iter();
        found.map(move |at| record(RecordType::of(*at), &name, at.to_string(), why.clone()))
    });
    named.chain(found).collect()
}

/// What lets authorities look for a wildcard in a zone that the nodes answer for.
fn challenge_alias(state: &State, domain: &Domain) -> Option<RecordOut> {
    let settings = state.settings();
    let zone = settings.dns.zones.first().filter(|_| domain.name.is_wildcard())?;
    Some(RecordOut {
        r#type: RecordType::Cname,
        name: format!("{CHALLENGE_LABEL}.{}", domain.name.base()),
        value: format!("{CHALLENGE_LABEL}.{zone}"),
        required: false,
        why: "lets the cluster get certificates for every name below; else bring one".into(),
    })
}

/// An alias of the environment's name under the preview domain, which leads to every node wherever they move.
fn alias(state: &State, domain: &Domain) -> Option<RecordOut> {
    let labels = domain.name.as_str().split('.').count();
    if labels < ALIAS_LABELS_MIN || state.settings().preview_domain == PREVIEW_DOMAIN_DEFAULT {
        return None;
    }
    Some(RecordOut {
        r#type: RecordType::Cname,
        name: domain.name.to_string(),
        value: state.host_of(state.environments.get(&domain.environment)?)?,
        required: false,
        why: "instead of A and AAAA records, unless the name is the top of its zone".into(),
    })
}

fn proof(domain: &Domain) -> RecordOut {
    let wildcard = domain.name.is_wildcard();
    RecordOut {
        r#type: RecordType::Txt,
        name: domain.proof_name(),
        value: domain.proof.clone(),
        required: wildcard,
        why: match wildcard {
            true => "proves that every name below is yours".into(),
            false => "proves that the name is yours before it leads here".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{DnsSettings, Node, NodeId, PUBLIC_ADDRESS_LABEL, Settings};

    use super::*;
    use crate::domains::fixtures::{domain, with_environment};

    /// Nodes n1, n2, … with a peer address and the label.
    fn state(nodes: &[(&str, &str)]) -> State {
        let mut state = State::default();
        for (id, (address, label)) in (1..).zip(nodes) {
            let mut node = Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH);
            node.address = address.parse().ok();
            if !label.is_empty() {
                node.labels.insert(PUBLIC_ADDRESS_LABEL.into(), (*label).into());
            }
            state.nodes.insert(node.id, node);
        }
        state
    }

    fn lines(state: &State, name: &str) -> Vec<String> {
        let records = of(state, &domain(name));
        let line = |r: &RecordOut| {
            let sign = if r.required { '!' } else { '?' };
            format!("{sign} {:?} {} {} {}", r.r#type, r.name, r.value, r.why)
        };
        records.iter().map(line).collect()
    }

    #[test]
    fn every_node_that_the_world_reaches_has_a_record() {
        let two =
            state(&[("203.0.113.7:3001", ""), ("[2001:db8::1]:3001", ""), ("10.0.0.3:1", "")]);
        assert_eq!(
            lines(&two, "example.com"),
            [
                "! A example.com 203.0.113.7 leads to node n1",
                "! Aaaa example.com 2001:db8::1 leads to node n2",
                "? Txt _temps-challenge.example.com pr00f proves that the name is yours before it leads here",
            ]
        );
    }

    #[test]
    fn a_label_says_where_the_world_reaches_a_node() {
        let labelled =
            state(&[("10.0.0.1:1", "198.51.100.1,2001:db8::9"), ("10.0.0.2:1", "nonsense")]);
        let found = lines(&labelled, "example.com");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("198.51.100.1") && found[1].contains("2001:db8::9"), "{found:?}");
    }

    #[test]
    fn a_private_network_gets_its_own_addresses() {
        let private = state(&[("10.0.0.1:1", ""), ("100.64.3.4:1", ""), ("127.0.0.1:1", "")]);
        let found = lines(&private, "example.com");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].ends_with("node n1; only its own network reaches this address"));
        assert_eq!(
            lines(&state(&[("127.0.0.1:1", "")]), "example.com").len(),
            1,
            "the proof alone"
        );
    }

    #[test]
    fn a_wildcard_is_proven_by_its_base() {
        let found = lines(&state(&[("203.0.113.7:1", "")]), "*.example.com");
        assert!(found[0].starts_with("! A *.example.com"), "{found:?}");
        assert!(found[1].starts_with("! Txt _temps-challenge.example.com pr00f"), "{found:?}");
    }

    #[test]
    fn a_name_in_a_zone_of_the_cluster_needs_the_delegation_alone() {
        let mut state = state(&[("203.0.113.7:1", ""), ("10.0.0.2:1", "198.51.100.2,2001:db8::2")]);
        let zones = vec!["apps.example.com".parse().unwrap()];
        let settings = Settings { dns: DnsSettings { zones }, ..Settings::default() };
        state.settings.insert(0, settings);
        assert!(
            lines(&state, "shop.apps.example.com")[0].starts_with("! A shop.apps"),
            "none answers"
        );
        let answers = Some(([0, 0, 0, 0], 53).into());
        for id in [1, 2] {
            let node = Node { dns: answers, ..state.nodes[&NodeId(id)].clone() };
            state.nodes.insert(node.id, node);
        }
        for name in ["shop.apps.example.com", "*.apps.example.com", "apps.example.com"] {
            assert_eq!(
                lines(&state, name),
                [
                    "! Ns apps.example.com ns-1.apps.example.com has node n1 answer for all names of apps.example.com",
                    "! Ns apps.example.com ns-2.apps.example.com has node n2 answer for all names of apps.example.com",
                    "! A ns-1.apps.example.com 203.0.113.7 where node n1 answers",
                    "! A ns-2.apps.example.com 198.51.100.2 where node n2 answers",
                ]
            );
        }
        let outside = lines(&state, "*.example.net");
        let alias = "? Cname _acme-challenge.example.net _acme-challenge.apps.example.com lets";
        assert!(outside.last().unwrap().starts_with(alias), "{outside:?}");
    }

    #[test]
    fn a_name_in_a_zone_of_a_provider_needs_nothing() {
        let mut state = state(&[("203.0.113.7:1", "")]);
        let provider = DnsProvider {
            id: temps_state::Id::from_parts(0, 1),
            name: "dns".parse().unwrap(),
            kind: "rfc2136".into(),
            zones: vec!["example.com".parse().unwrap()],
            credentials: temps_state::ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
            takes_over: false,
            managed: Default::default(),
            trouble: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        state.dns_providers.insert(provider.id, provider);
        assert_eq!(
            lines(&state, "*.example.com"),
            [
                "? A *.example.com 203.0.113.7 leads to node n1; the cluster keeps it at the DNS provider dns",
                "? Txt _temps-challenge.example.com pr00f proves that every name below is yours; the cluster \
                 keeps it at the DNS provider dns",
            ]
        );
        assert!(lines(&state, "example.net")[0].starts_with("! A example.net"));
    }

    #[test]
    fn an_alias_needs_a_preview_domain_and_a_name_below_its_zone() {
        let mut state = with_environment();
        let alias = |state: &State, name: &str| {
            lines(state, name).into_iter().find(|line| line.starts_with("? Cname"))
        };
        assert_eq!(alias(&state, "www.example.com"), None);
        let preview_domain = "apps.example.net".into();
        state.settings.insert(0, Settings { preview_domain, ..Settings::default() });
        assert_eq!(alias(&state, "example.com"), None);
        let found = alias(&state, "www.example.com").unwrap();
        let wanted = "? Cname www.example.com shop-production.apps.example.net instead of";
        assert!(found.starts_with(wanted), "{found}");
    }
}
