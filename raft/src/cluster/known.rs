//! For how long this node has known something about others that the state dates. Its own time counts, so no clocks are
//! compared: the state's time follows whichever clock is ahead, and stays there when that one is set right.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use temps_state::{Node, NodeId, State};
use tokio::time::Instant;

/// What is so of nodes, with the date that the state has for it, and since when this node has known.
#[derive(Debug)]
pub struct Known {
    date: fn(&Node) -> Option<Timestamp>,
    known: BTreeMap<NodeId, (Timestamp, Instant)>,
}

impl Known {
    /// Of what this finds in a node, so far of nobody.
    pub const fn of(date: fn(&Node) -> Option<Timestamp>) -> Self {
        Self { date, known: BTreeMap::new() }
    }

    /// Takes note of what is so at `now`. To be called by every node, so that a new leader knows for as long as the
    /// others.
    pub fn follow(&mut self, state: &State, now: Instant) {
        let found = state.nodes.values().filter_map(|node| {
            let date = (self.date)(node)?;
            let known = self.known.get(&node.id).filter(|(known, _)| *known == date);
            Some((node.id, known.copied().unwrap_or((date, now))))
        });
        self.known = found.collect();
    }

    /// Since when this node has known that it is so of the other one, if it is.
    pub fn since(&self, node: NodeId) -> Option<Instant> {
        self.known.get(&node).map(|(_, since)| *since)
    }

    /// For how long it has known at `now`.
    pub fn lasts(&self, node: NodeId, now: Instant) -> Option<Duration> {
        self.since(node).map(|since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(said: Option<i64>) -> State {
        let mut state = State::default();
        let node = Node::new(NodeId(1), "n", Timestamp::UNIX_EPOCH);
        let lost_since = said.map(|at| Timestamp::from_second(at).unwrap());
        state.nodes.insert(node.id, Node { lost_since, ..node });
        state
    }

    #[test]
    fn what_is_so_counts_from_when_it_was_known_and_anew_after_another_date() {
        let (mut known, begun) = (Known::of(|node| node.lost_since), Instant::now());
        // What the state says at each second, which may be dated long before or after, and since when it counts then.
        let cases = [
            (None, None),
            (Some(7), Some(1)),
            (Some(7), Some(1)),
            (Some(90_000_000_000), Some(3)),
            (Some(90_000_000_000), Some(3)),
            (None, None),
        ];
        for (second, (said, since)) in cases.into_iter().enumerate() {
            let at = |second| begun + Duration::from_secs(second);
            let now = at(second as u64);
            known.follow(&state(said), now);
            assert_eq!(known.since(NodeId(1)), since.map(at), "at second {second}");
            let lasts = since.map(|since| Duration::from_secs(second as u64 - since));
            assert_eq!(known.lasts(NodeId(1), now), lasts, "at second {second}");
        }
    }
}
