//! What every node's log tells of the cluster: who leads, who is lost, who is back.

use std::collections::BTreeMap;

use temps_state::{Node, NodeId, State};
use tracing::{info, warn};

/// What was told last.
#[derive(Debug, Default)]
pub struct Chronicle {
    leader: Option<NodeId>,
    reachable: BTreeMap<NodeId, bool>,
}

/// Something that people who read a log want to know.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Leads(NodeId),
    NobodyLeads,
    Lost(NodeId, String),
    Back(NodeId, String),
    Gone(NodeId),
}

impl Chronicle {
    /// Writes down what is new.
    pub fn tell(&mut self, state: &State, leader: Option<NodeId>) {
        for news in self.news(state, leader) {
            match news {
                News::Leads(node) => info!(%node, "this node leads now"),
                News::NobodyLeads => warn!("nobody leads, as far as this node knows"),
                News::Lost(node, name) => {
                    warn!(%node, name, "the node is lost: it has not answered the leader");
                }
                News::Back(node, name) => info!(%node, name, "the node is back"),
                News::Gone(node) => info!(%node, "the node has left the cluster"),
            }
        }
    }

    fn news(&mut self, state: &State, leader: Option<NodeId>) -> Vec<News> {
        let mut news = Vec::new();
        if leader != self.leader {
            news.push(leader.map_or(News::NobodyLeads, News::Leads));
            self.leader = leader;
        }
        let now: BTreeMap<NodeId, bool> =
            state.nodes.values().map(|node| (node.id, node.is_reachable())).collect();
        if now == self.reachable {
            return news;
        }
        news.extend(state.nodes.values().filter_map(|node| self.change(node)));
        let gone = self.reachable.keys().filter(|id| !now.contains_key(id));
        news.extend(gone.map(|id| News::Gone(*id)));
        self.reachable = now;
        news
    }

    /// A node that is new here is no news, unless it is lost.
    fn change(&self, node: &Node) -> Option<News> {
        let before = self.reachable.get(&node.id).copied();
        match (before, node.is_reachable()) {
            (Some(true) | None, false) => Some(News::Lost(node.id, node.name.clone())),
            (Some(false), true) => Some(News::Back(node.id, node.name.clone())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn each_change_is_told_once() {
        let (mut chronicle, id) = (Chronicle::default(), NodeId(2));
        let node = |lost: bool| Node {
            lost_since: lost.then_some(Timestamp::UNIX_EPOCH),
            ..Node::new(id, "n2", Timestamp::UNIX_EPOCH)
        };
        let state = |node: Option<Node>| {
            let mut state = State::default();
            node.into_iter().for_each(|node| drop(state.nodes.insert(id, node)));
            state
        };
        let name = || "n2".to_owned();
        let cases = [
            (Some(node(false)), Some(1), vec![News::Leads(NodeId(1))]),
            (Some(node(false)), Some(1), vec![]),
            (Some(node(true)), None, vec![News::NobodyLeads, News::Lost(id, name())]),
            (Some(node(true)), None, vec![]),
            (Some(node(false)), Some(2), vec![News::Leads(id), News::Back(id, name())]),
            (None, Some(2), vec![News::Gone(id)]),
            (Some(node(true)), Some(2), vec![News::Lost(id, name())]),
        ];
        for (node, leader, told) in cases {
            assert_eq!(chronicle.news(&state(node), leader.map(NodeId)), told);
        }
    }
}
