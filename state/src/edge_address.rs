//! Where clients find the edges.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::{Node, State};

/// The label of a node that names the addresses at which the world reaches it, with commas between them, where those are
/// not the one at which other nodes do.
pub const PUBLIC_ADDRESS_LABEL: &str = "public-address";

/// An address at which clients find a node's edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeAddress<'a> {
    /// The address.
    pub address: IpAddr,
    /// Whose it is.
    pub node: &'a Node,
    /// Whether anybody may reach it, and not only the cluster's own network.
    pub is_public: bool,
}

impl Node {
    /// Where it can be reached, as people say or as other nodes do.
    fn reached_at(&self) -> BTreeSet<IpAddr> {
        let said = self.labels.get(PUBLIC_ADDRESS_LABEL).map(String::as_str).unwrap_or_default();
        let said: BTreeSet<_> = said.split(',').filter_map(|one| one.parse().ok()).collect();
        match said.is_empty() {
            true => self.address.iter().map(|address| address.ip().to_canonical()).collect(),
            false => said,
        }
    }
}

impl State {
    /// The addresses of all edges, by node. Where nobody but the cluster's own network reaches any, that network's: it is
    /// served then.
    pub fn edge_addresses(&self) -> Vec<EdgeAddress<'_>> {
        let each = self.nodes.values().flat_map(|node| {
            let far = node.reached_at().into_iter().filter(is_far);
            far.map(move |address| EdgeAddress { address, node, is_public: is_public(&address) })
        });
        let mut all: Vec<EdgeAddress<'_>> = each.collect();
        if all.iter().any(|edge| edge.is_public) {
            all.retain(|edge| edge.is_public);
        }
        all
    }

    /// Those of edges that serve: of nodes that are heard of and do not drain. Where there is none, of those that are
    /// heard of; where there is none, of all, as whoever asks knows no less than they.
    pub fn living_edges(&self) -> Vec<EdgeAddress<'_>> {
        let all = self.edge_addresses();
        let choices: [fn(&Node) -> bool; 2] = [Node::takes_replicas, Node::is_reachable];
        let chosen = choices.iter().find_map(|lives| {
            let living: Vec<_> = all.iter().filter(|edge| lives(edge.node)).copied().collect();
            Some(living).filter(|living| !living.is_empty())
        });
        chosen.unwrap_or(all)
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{NodeId, Standing};

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

    fn texts(edges: &[EdgeAddress<'_>]) -> Vec<String> {
        edges.iter().map(|edge| format!("{} {}", edge.node.name, edge.address)).collect()
    }

    #[test]
    fn edges_are_where_the_world_reaches_them() {
        for (nodes, found) in [
            (
                &[("203.0.113.7:3001", ""), ("[2001:db8::1]:3001", ""), ("10.0.0.3:1", "")][..],
                &["n1 203.0.113.7", "n2 2001:db8::1"][..],
            ),
            (
                &[("10.0.0.1:1", "198.51.100.1,2001:db8::9"), ("10.0.0.2:1", "nonsense")],
                &["n1 198.51.100.1", "n1 2001:db8::9"],
            ),
            (
                &[("10.0.0.1:1", ""), ("100.64.3.4:1", ""), ("127.0.0.1:1", "")],
                &["n1 10.0.0.1", "n2 100.64.3.4"],
            ),
            (&[("127.0.0.1:1", ""), ("", "")], &[]),
        ] {
            assert_eq!(texts(&state(nodes).edge_addresses()), found, "{nodes:?}");
        }
    }

    #[test]
    fn edges_live_while_their_nodes_serve() {
        let lost = Some(Timestamp::UNIX_EPOCH);
        use Standing::{Draining, Joining, Ready};
        for (nodes, living) in [
            ([(Ready, None), (Ready, None), (Ready, None)], &["n1", "n2", "n3"][..]),
            ([(Ready, None), (Ready, lost), (Ready, None)], &["n1", "n3"]),
            ([(Draining, None), (Ready, None), (Joining, None)], &["n2"]),
            ([(Draining, None), (Ready, lost), (Draining, None)], &["n1", "n3"]),
            ([(Ready, lost), (Ready, lost), (Draining, lost)], &["n1", "n2", "n3"]),
        ] {
            let mut state = state(&[("10.0.0.1:1", ""), ("10.0.0.2:1", ""), ("10.0.0.3:1", "")]);
            for (id, (standing, lost_since)) in (1..).zip(nodes) {
                let node = Node { standing, lost_since, ..state.nodes[&NodeId(id)].clone() };
                state.nodes.insert(node.id, node);
            }
            let living_edges = state.living_edges();
            let names: Vec<&str> =
                living_edges.iter().map(|edge| edge.node.name.as_str()).collect();
            assert_eq!(names, living, "{nodes:?}");
        }
    }
}
