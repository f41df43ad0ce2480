//! Zones of the DNS that the nodes answer for themselves.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::settings::is_under;
use crate::table::fnv1a;
use crate::{DomainName, Node, PREVIEW_DOMAIN_DEFAULT, Rejected, Settings, State};

/// The most zones of a cluster.
pub const ZONES_MAX: usize = 8;
/// What stands before a name where authorities look for TXT records (RFC 8555 §8.4).
pub const CHALLENGE_LABEL: &str = "_acme-challenge";

/// What the labels of name servers begin with, before the node's id.
const SERVER_PREFIX: &str = "ns-";

/// Whether a label is that of a name server below a zone, or was or may become one's: nodes come and go.
pub fn is_server_label(label: &str) -> bool {
    let id = label.strip_prefix(SERVER_PREFIX);
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

/// A node that answers for the cluster's zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer<'a> {
    /// Its name's label below each zone.
    pub label: String,
    /// The node.
    pub node: &'a Node,
    /// Where the world asks it.
    pub addresses: Vec<IpAddr>,
}

/// What the nodes answer for in the DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsSettings {
    /// The zones that are delegated to the nodes: all their names lead to living edges.
    pub zones: Vec<DomainName>,
}

impl DnsSettings {
    /// Whether nobody has set anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The zone that a name is in.
    pub fn zone_of(&self, name: &str) -> Option<&DomainName> {
        self.zones.iter().find(|zone| is_under(name, zone.as_str()))
    }

    /// The zone in which a domain would have a name server's name: the DNS tells that one.
    pub fn hiding(&self, domain: &DomainName) -> Option<&DomainName> {
        let (label, above) = domain.base().split_once('.')?;
        self.zones.iter().find(|zone| zone.as_str() == above && is_server_label(label))
    }

    pub(crate) fn check(&self) -> Result<(), Rejected> {
        let wrong = |why| Err(Rejected::Invalid { what: "dns.zones".into(), why });
        if self.zones.len() > ZONES_MAX {
            return Err(Rejected::TooMany { noun: "zones".into(), max: ZONES_MAX });
        }
        for (at, zone) in self.zones.iter().enumerate() {
            if zone.is_wildcard() {
                return wrong(format!("{zone} is no zone: name {}, without the star", zone.base()));
            }
            let mut others = self.zones.iter().enumerate().filter(|(other, _)| *other != at);
            if let Some((_, outer)) = others.find(|(_, o)| is_under(zone.as_str(), o.as_str())) {
                return wrong(format!("{zone} is part of {outer} already: name one of them"));
            }
        }
        Ok(())
    }
}

impl Settings {
    /// The wildcard of the preview domain, where that is in a zone of the cluster's own.
    pub(crate) fn preview_wildcard(&self) -> Option<DomainName> {
        let domain = self.preview_domain.as_str();
        let ours = domain != PREVIEW_DOMAIN_DEFAULT && self.dns.zone_of(domain).is_some();
        format!("*.{domain}").parse().ok().filter(|_| ours)
    }
}

impl State {
    /// The nodes that answer for the zones, and that somebody can ask.
    pub fn name_servers(&self) -> Vec<NameServer<'_>> {
        let edges = self.edge_addresses();
        let servers = self.nodes.values().filter_map(|node| {
            let Node { id, dns: Some(listens), .. } = node else { return None };
            // An edge of both families may take queries of one.
            let asked = |address: &IpAddr| address.is_ipv4() == listens.ip().is_ipv4();
            let own = edges.iter().filter(|edge| edge.node.id == *id).map(|edge| edge.address);
            let addresses: Vec<IpAddr> = own.filter(asked).collect();
            let server = NameServer { label: format!("{SERVER_PREFIX}{id}"), node, addresses };
            Some(server).filter(|server| !server.addresses.is_empty())
        });
        servers.collect()
    }

    /// Those of them that are heard of; where there is none, all.
    pub fn living_name_servers(&self) -> Vec<NameServer<'_>> {
        let all = self.name_servers();
        let heard_of = all.iter().any(|server| server.node.is_reachable());
        all.into_iter().filter(|server| !heard_of || server.node.is_reachable()).collect()
    }

    /// What stands in every place of the cluster's zones where authorities look, and what edges answer at names of the
    /// preview domain, so that the cluster finds out by itself whether it is asked there. Nothing secret: it tells clusters apart.
    pub fn zone_mark(&self) -> String {
        let certificate = self.authority().map(|authority| authority.certificate.as_str());
        format!("temps={:016x}", fnv1a(certificate.unwrap_or_default().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(zones: &[&str], preview_domain: &str) -> Settings {
        let zones = zones.iter().map(|zone| zone.parse().unwrap()).collect();
        let preview_domain = preview_domain.into();
        Settings { preview_domain, dns: DnsSettings { zones }, ..Settings::default() }
    }

    #[test]
    fn zones_are_few_and_apart() {
        let many: Vec<String> = (0..=ZONES_MAX).map(|n| format!("z{n}.example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (zones, fit) in [
            (&[][..], true),
            (&["apps.example.com"], true),
            (&["apps.example.com", "example.net"], true),
            (&["apps.example.com", "apps.example.com"], false),
            (&["apps.example.com", "example.com"], false),
            (&["example.com", "apps.example.com"], false),
            (&["example.com", "notexample.com"], true),
            (&["*.example.com"], false),
            (&many[1..], true),
            (&many, false),
        ] {
            assert_eq!(settings(zones, "localho.st").check().is_ok(), fit, "{zones:?}");
        }
    }

    #[test]
    fn a_name_is_in_the_zone_that_ends_it() {
        let dns = settings(&["apps.example.com", "example.net"], "localho.st").dns;
        for (name, zone) in [
            ("apps.example.com", Some("apps.example.com")),
            ("a.b.Apps.example.com.", Some("apps.example.com")),
            ("www.example.net", Some("example.net")),
            ("example.com", None),
            ("myapps.example.com", None),
        ] {
            assert_eq!(dns.zone_of(name).map(DomainName::as_str), zone, "{name}");
        }
    }

    #[test]
    fn a_domain_with_a_name_servers_name_is_hidden() {
        let dns = settings(&["apps.example.com"], "localho.st").dns;
        for (domain, hidden) in [
            ("ns-1.apps.example.com", true),
            ("*.ns-1.apps.example.com", true),
            ("ns-1.www.apps.example.com", false),
            ("ns-1.example.com", false),
            ("ns-a.apps.example.com", false),
            ("apps.example.com", false),
        ] {
            assert_eq!(dns.hiding(&domain.parse().unwrap()).is_some(), hidden, "{domain}");
        }
    }

    #[test]
    fn nodes_that_answer_are_asked_in_the_family_that_they_take() {
        let mut state = State::default();
        for (id, labelled, dns) in [
            (1, "192.0.2.1,2001:db8::1", Some("10.0.0.1:53")),
            (2, "192.0.2.2", None),
            (3, "192.0.2.3,2001:db8::3", Some("[::1]:53")),
            (4, "192.0.2.4", Some("[::1]:53")),
        ] {
            let mut node = Node::new(crate::NodeId(id), "n", jiff::Timestamp::UNIX_EPOCH);
            node.labels.insert(crate::PUBLIC_ADDRESS_LABEL.into(), labelled.into());
            node.dns = dns.map(|at| at.parse().unwrap());
            state.nodes.insert(node.id, node);
        }
        let servers = state.name_servers();
        let texts: Vec<String> =
            servers.iter().map(|one| format!("{} {:?}", one.label, one.addresses)).collect();
        assert_eq!(texts, ["ns-1 [192.0.2.1]", "ns-3 [2001:db8::3]"]);
    }

    #[test]
    fn what_may_be_a_name_server_is_told_from_what_may_not() {
        for (label, may) in [
            ("ns-1", true),
            ("ns-011", true),
            ("ns-", false),
            ("ns-1a", false),
            ("ns-1-2", false),
            ("dns-1", false),
            ("ns-production", false),
        ] {
            assert_eq!(is_server_label(label), may, "{label}");
        }
    }

    #[test]
    fn a_preview_domain_in_a_zone_gets_a_wildcard() {
        for (zones, preview, wildcard) in [
            (&["example.com"][..], "apps.example.com", Some("*.apps.example.com")),
            (&["apps.example.com"], "apps.example.com", Some("*.apps.example.com")),
            (&["apps.example.com"], "example.com", None),
            (&["localho.st"], "localho.st", None),
            (&[], "apps.example.com", None),
        ] {
            let found = settings(zones, preview).preview_wildcard();
            assert_eq!(found.as_ref().map(DomainName::as_str), wildcard, "{zones:?} {preview}");
        }
    }
}
