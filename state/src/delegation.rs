//! Whether the zone above hands a zone over to the nodes that answer for it, told from what it says. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use crate::settings::is_under;
use crate::{DomainName, NameServer, Node, State, is_server_label};

/// The most nodes that are named as a zone's servers.
pub const NAME_SERVERS_MAX: usize = 8;

/// For how long a node may be lost before its address should go from the zone above: most are back soon.
const LOST_TOLERATED: SignedDuration = SignedDuration::from_hours(1);

/// What the zone above says of a zone: the names of its servers, and where each is. Empty where it is not handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delegation(pub BTreeMap<String, BTreeSet<IpAddr>>);

/// What was seen of a delegation, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationSight {
    /// When somebody looked.
    pub at: Timestamp,
    /// Whether the servers of the zone above said so themselves. Resolvers rather tell what the zone says of itself.
    pub by_parent: bool,
    /// What was found, or why it could not be looked up.
    pub found: Result<Delegation, String>,
}

/// What is not as it should be about a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelegationFault {
    /// A node answers for the zone, and nothing leads to it.
    Missing {
        /// What it is called in the zone.
        server: String,
        /// What people call the node.
        node: String,
    },
    /// A server has no address, or a name in the zone that the cluster does not answer about.
    Nowhere {
        /// Its name.
        server: String,
    },
    /// No node of the cluster answers at an address.
    Wrong {
        /// The name of the server.
        server: String,
        /// The address.
        address: IpAddr,
    },
}

/// What to do at the zone above, so that nothing is wrong about a delegation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DelegationChange {
    /// Records that should go.
    pub remove: Vec<DelegationRecord>,
    /// Records that should be there, too.
    pub add: Vec<DelegationRecord>,
}

/// A record of a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelegationRecord {
    /// The zone has a server of that name.
    Server(String),
    /// A server is there.
    Address(String, IpAddr),
}

impl State {
    /// What is not as it should be about a zone's delegation.
    pub fn delegation_faults(
        &self,
        zone: &DomainName,
        found: &Delegation,
        now: Timestamp,
    ) -> Vec<DelegationFault> {
        let known = self.known_servers(now);
        let seen = found.0.iter().flat_map(|(server, addresses)| {
            let server = server.clone();
            if addresses.is_empty() || !is_answered(zone, &server) {
                return vec![DelegationFault::Nowhere { server }];
            }
            let wrong = addresses.difference(&known).copied();
            wrong
                .map(|address| DelegationFault::Wrong { server: server.clone(), address })
                .collect()
        });
        let missing = self.missing(zone, found).into_iter().map(|one| DelegationFault::Missing {
            server: name_of(&one, zone),
            node: one.node.name.clone(),
        });
        seen.chain(missing).collect()
    }

    /// What would mend a zone's delegation, by as few records as may be: a name that leads to no node any more is given to
    /// one that is missing, as any node's name is answered for as long as some node is.
    pub fn delegation_change(
        &self,
        zone: &DomainName,
        found: &Delegation,
        now: Timestamp,
    ) -> DelegationChange {
        let known = self.known_servers(now);
        let mut missing = self.missing(zone, found);
        let (mut remove, mut add) = (vec![], vec![]);
        for (server, addresses) in &found.0 {
            let answered = is_answered(zone, server);
            let goes = |address: &&IpAddr| !answered || !known.contains(address);
            let going = addresses.iter().filter(goes);
            remove.extend(going.clone().map(|at| DelegationRecord::Address(server.clone(), *at)));
            if going.count() < addresses.len() {
                continue;
            }
            match take_for(&mut missing, zone, found, server) {
                Some(heir) => add.extend(addresses_at(server, &heir)),
                None => remove.push(DelegationRecord::Server(server.clone())),
            }
        }
        for one in missing {
            let name = name_of(&one, zone);
            if !found.0.contains_key(&name) {
                add.push(DelegationRecord::Server(name.clone()));
            }
            add.extend(addresses_at(&name, &one));
        }
        for records in [&mut remove, &mut add] {
            records.sort_by_key(|record| matches!(record, DelegationRecord::Address(..)));
        }
        DelegationChange { remove, add }
    }

    /// Where nodes answer for zones that live, or may be back soon.
    fn known_servers(&self, now: Timestamp) -> BTreeSet<IpAddr> {
        let lately =
            |node: &Node| node.lost_since.is_some_and(|at| now.duration_since(at) < LOST_TOLERATED);
        let back_soon = self.name_servers().into_iter().filter(|server| lately(server.node));
        let all = self.living_name_servers().into_iter().chain(back_soon);
        all.flat_map(|server| server.addresses).collect()
    }

    /// Those to which nothing leads, as many as should be named yet.
    fn missing<'a>(&'a self, zone: &DomainName, found: &Delegation) -> Vec<NameServer<'a>> {
        let answered = found.0.iter().filter(|(server, _)| is_answered(zone, server));
        let led_to: BTreeSet<IpAddr> =
            answered.flat_map(|(_, addresses)| addresses).copied().collect();
        let is_named =
            |server: &NameServer<'_>| server.addresses.iter().any(|at| led_to.contains(at));
        let (named, mut missing): (Vec<_>, Vec<_>) =
            self.living_name_servers().into_iter().partition(is_named);
        missing.truncate(NAME_SERVERS_MAX.saturating_sub(named.len()));
        missing
    }
}

/// Whether somebody answers about a server's name: the cluster does about those of nodes and the zone's own, and others
/// about theirs.
fn is_answered(zone: &DomainName, server: &str) -> bool {
    let label = server.strip_suffix(zone.as_str()).and_then(|label| label.strip_suffix('.'));
    !is_under(server, zone.as_str())
        || server == zone.as_str()
        || label.is_some_and(is_server_label)
}

/// The one of those that are missing which gets a name at the zone above: its owner, else one that has none there.
fn take_for<'a>(
    missing: &mut Vec<NameServer<'a>>,
    zone: &DomainName,
    found: &Delegation,
    server: &str,
) -> Option<NameServer<'a>> {
    if !is_under(server, zone.as_str()) || !is_answered(zone, server) {
        return None;
    }
    let own = missing.iter().position(|one| name_of(one, zone) == server);
    let nameless = || missing.iter().position(|one| !found.0.contains_key(&name_of(one, zone)));
    own.or_else(nameless).map(|at| missing.remove(at))
}

fn name_of(server: &NameServer<'_>, zone: &DomainName) -> String {
    format!("{}.{zone}", server.label)
}

fn addresses_at(name: &str, server: &NameServer<'_>) -> Vec<DelegationRecord> {
    let record = |at: &IpAddr| DelegationRecord::Address(name.to_owned(), *at);
    server.addresses.iter().map(record).collect()
}

#[cfg(test)]
mod tests;
