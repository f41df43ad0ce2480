//! What there is in the cluster's zones, told from the state. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use temps_state::{
    CHALLENGE_LABEL, Challenge, ChallengeKind, DomainName, NAME_SERVERS_MAX, NameServer,
    PROOF_LABEL, Settings, State, is_server_label,
};

use crate::limits::TEXTS_MAX;

/// What is in the zones, as far as it changes rarely; found anew when nodes, domains or settings change.
#[derive(Debug)]
pub(crate) struct Zones {
    source: State,
    settings: Settings,
    /// The addresses of living edges, each once.
    edges: Vec<IpAddr>,
    /// Who answers for the zones.
    servers: Vec<Server>,
    /// All of them, by the name of whoever does no longer.
    heirs: Server,
    /// The domains in the zones, without `*.`, their labels from the right to the left: what is below a name follows it.
    backwards: BTreeSet<String>,
}

/// A node that answers for the zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its label below each zone.
    pub(crate) label: String,
    /// Where it is asked.
    pub(crate) addresses: Vec<IpAddr>,
}

/// What a name of a zone is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The zone itself.
    Apex,
    /// One of those who answer for it.
    Server(&'a Server),
    /// A name that leads to the edges.
    Host,
    /// A name that keeps texts.
    Texts(Vec<String>),
    /// Nothing by itself, but there are names below it (RFC 8020).
    Between,
}

impl Zones {
    /// What is in the zones of a state.
    pub(crate) fn of(state: &State) -> Self {
        let settings = state.settings();
        let mut edges: Vec<IpAddr> = Vec::new();
        for edge in state.living_edges() {
            if !edges.contains(&edge.address) {
                edges.push(edge.address);
            }
        }
        let inside = state.domains.keys().map(DomainName::base);
        let inside = inside.chain([settings.preview_domain.as_str()]);
        let inside = inside.filter(|name| settings.dns.zone_of(name).is_some());
        let backwards = inside.map(|name| backwards(&name.to_ascii_lowercase())).collect();
        let servers = servers(state);
        let heirs = heirs(&servers);
        Self { source: state.clone(), servers, heirs, settings, edges, backwards }
    }

    /// Whether there may be something else in the zones of another state.
    pub(crate) fn are_of(&self, state: &State) -> bool {
        self.source.nodes.ptr_eq(&state.nodes)
            && self.source.domains.ptr_eq(&state.domains)
            && self.source.settings.ptr_eq(&state.settings)
    }

    /// The zone that a name is in. Names are in lower case and without a dot at their end.
    pub(crate) fn zone_of(&self, name: &str) -> Option<&DomainName> {
        self.settings.dns.zone_of(name)
    }

    /// Where the living edges are.
    pub(crate) fn edges(&self) -> &[IpAddr] {
        &self.edges
    }

    /// Who answers for the zones.
    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// What a name in a zone is; nothing where there is no such name. The state is that of [`Zones::are_of`], or one that
    /// differs from it in its orders.
    pub(crate) fn find(&self, state: &State, zone: &str, name: &str) -> Option<Found<'_>> {
        if name == zone {
            return Some(Found::Apex);
        }
        let (label, above) = name.split_once('.')?;
        if label == CHALLENGE_LABEL {
            return Some(Found::Texts(self.challenges(state, zone, above)));
        }
        if label == PROOF_LABEL {
            let proofs = state.domains_at(above).map(|domain| domain.proof.clone());
            let proofs: Vec<String> = proofs.collect();
            return if proofs.is_empty() { None } else { Some(Found::Texts(proofs)) };
        }
        if above == zone && is_server_label(label) {
            // The zone above may name a node that has gone: its name leads to the others.
            let server = self.servers.iter().find(|server| server.label == label);
            return Some(Found::Server(server.unwrap_or(&self.heirs)));
        }
        let preview = self.settings.preview_domain.eq_ignore_ascii_case(above);
        if preview || state.domain_of(name).is_some() {
            return Some(Found::Host);
        }
        Some(Found::Between).filter(|_| self.has_below(name))
    }

    /// What authorities look for at a name. Those of names in no zone are at the zone's own: an alias leads there.
    fn challenges(&self, state: &State, zone: &str, above: &str) -> Vec<String> {
        let own = [above.to_owned(), format!("*.{above}")];
        let own = own.iter().filter_map(|name| state.orders.get(&name.parse::<DomainName>().ok()?));
        let at_zone = (above == zone).then(|| state.orders.values());
        // Of many orders few are under way, and those are cheaper to tell than names in no zone.
        let elsewhere = at_zone.into_iter().flatten().filter(|order| order.attempt.is_some());
        let elsewhere = elsewhere.filter(|order| self.zone_of(order.name.base()).is_none());
        let attempts = own.chain(elsewhere).filter_map(|order| order.attempt.as_ref());
        let wanted = attempts.flat_map(|attempt| &attempt.challenges);
        let wanted = wanted.filter(|challenge| challenge.kind == ChallengeKind::Dns01);
        let texts = wanted.take(TEXTS_MAX - 1).map(digest);
        texts.chain([state.zone_mark()]).collect()
    }

    /// Whether the name itself or one below it leads somewhere.
    fn has_below(&self, name: &str) -> bool {
        let name = backwards(name);
        let mut followers = self.backwards.range(name.clone()..);
        let below = |other: &String| {
            other.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        followers.next().is_some_and(below) || {
            let first_below = format!("{name}.");
            let mut followers = self.backwards.range(first_below.clone()..);
            followers.next().is_some_and(|other| other.starts_with(&first_below))
        }
    }
}

/// The answer to a challenge (RFC 8555 §8.4).
fn digest(challenge: &Challenge) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(challenge.answer.as_bytes()))
}

fn servers(state: &State) -> Vec<Server> {
    let living = state.living_name_servers().into_iter().take(NAME_SERVERS_MAX);
    living.map(|NameServer { label, addresses, .. }| Server { label, addresses }).collect()
}

fn heirs(servers: &[Server]) -> Server {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in servers.iter().flat_map(|server| &server.addresses) {
        if !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    Server { label: String::new(), addresses }
}

fn backwards(name: &str) -> String {
    name.rsplit('.').collect::<Vec<_>>().join(".")
}
