//! Which records of the DNS make a domain lead to this cluster, told from the state alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;
use temps_state::{Domain, Node, PREVIEW_DOMAIN_DEFAULT, State};
use utoipa::ToSchema;

/// The label of a node that names the addresses at which the world reaches it, with commas between them, where those are
/// not the one at which other nodes do.
pub const PUBLIC_ADDRESS_LABEL: &str = "public-address";
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
    let mut records = addresses(state, domain);
    records.extend(alias(state, domain));
    records.push(proof(domain));
    records.sort_by_key(|record| !record.required);
    records
}

fn addresses(state: &State, domain: &Domain) -> Vec<RecordOut> {
    let of_nodes = |wanted: fn(&IpAddr) -> bool| {
        let each = state.nodes.values().flat_map(|node| {
            reached_at(node).into_iter().filter(wanted).map(move |address| (address, node))
        });
        each.collect::<Vec<_>>()
    };
    let public = of_nodes(is_public);
    let (found, note) = match public.is_empty() {
        false => (public, ""),
        // A cluster of a private network serves that network.
        true => (of_nodes(is_far), "; only its own network reaches this address"),
    };
    let mut seen = BTreeSet::new();
    let first = found.into_iter().filter(|(address, _)| seen.insert(*address));
    let record = |(address, node): (IpAddr, &Node)| RecordOut {
        r#type: if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa },
        name: domain.name.to_string(),
        value: address.to_string(),
        required: true,
        why: format!("leads to node {}{note}", node.name),
    };
    first.map(record).collect()
}

/// Where a node can be reached, as people say or as other nodes do.
fn reached_at(node: &Node) -> BTreeSet<IpAddr> {
    let labelled = node.labels.get(PUBLIC_ADDRESS_LABEL).map(String::as_str).unwrap_or_default();
    let labelled: BTreeSet<_> = labelled.split(',').filter_map(|one| one.parse().ok()).collect();
    match labelled.is_empty() {
        true => node.address.iter().map(|address| address.ip().to_canonical()).collect(),
        false => labelled,
    }
}

/// Whether it is an address of another machine at all.
fn is_far(address: &IpAddr) -> bool {
    !address.is_loopback() && !address.is_unspecified()
}

/// Whether anybody may reach it (RFC 1918, 3927, 4193, 4291, 6598).
fn is_public(address: &IpAddr) -> bool {
    let local = match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a, b & 0xc0) == (100, 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    is_far(address) && !local
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
    use temps_state::{NodeId, Settings};

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
