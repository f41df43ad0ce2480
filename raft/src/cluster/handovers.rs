//! Which nodes have said that one process of theirs hands over to the next, and for how long this node has known.

use std::collections::BTreeMap;

use jiff::Timestamp;
use temps_state::{NodeId, State};
use tokio::time::Instant;

/// What was announced, by node, and since when this node has known. Its own time counts, so no clocks are compared.
#[derive(Debug, Default)]
pub struct Handovers {
    known: BTreeMap<NodeId, (Timestamp, Instant)>,
}

impl Handovers {
    /// Takes note of what the nodes say at `now`. To be called by every node, so that a new leader knows for as long as
    /// the others.
    pub fn follow(&mut self, state: &State, now: Instant) {
        let announced = state.nodes.values().filter_map(|node| {
            let said = node.hands_over_since?;
            let known = self.known.get(&node.id).filter(|(known, _)| *known == said);
            Some((node.id, known.copied().unwrap_or((said, now))))
        });
        self.known = announced.collect();
    }

    /// Since when this node has known that the other one hands over, if it does.
    pub fn since(&self, node: NodeId) -> Option<Instant> {
        self.known.get(&node).map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use temps_state::Node;

    fn state(said: Option<i64>) -> State {
        let mut state = State::default();
        let node = Node::new(NodeId(1), "n", Timestamp::UNIX_EPOCH);
        let hands_over_since = said.map(|at| Timestamp::from_second(at).unwrap());
        state.nodes.insert(node.id, Node { hands_over_since, ..node });
        state
    }

    #[test]
    fn a_handover_is_counted_from_when_it_was_known_and_anew_after_another() {
        let (mut handovers, begun) = (Handovers::default(), Instant::now());
        // What is said at each second, and since which second it counts then.
        let cases = [
            (None, None),
            (Some(7), Some(1)),
            (Some(7), Some(1)),
            (Some(9), Some(3)),
            (None, None),
        ];
        for (second, (said, since)) in cases.into_iter().enumerate() {
            let at = |second| begun + Duration::from_secs(second);
            handovers.follow(&state(said), at(second as u64));
            assert_eq!(handovers.since(NodeId(1)), since.map(at), "at second {second}");
        }
    }
}
