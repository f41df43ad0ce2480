//! Since when a leader could have heard the others.

use std::collections::BTreeMap;
use std::time::Duration;

use temps_state::NodeId;
use tokio::time::Instant;

use super::group::leads;
use crate::liveness::{FIRST_ANSWER, SILENCE_MAX};
use crate::types::RaftMetrics;

/// Since when each member was expected to be heard. Empty on a node that does not lead.
#[derive(Debug, Default)]
pub struct Expected {
    since: BTreeMap<NodeId, Instant>,
    /// Who led before, and when it was heard last.
    leader: Option<(NodeId, Instant)>,
}

impl Expected {
    /// Takes note of who leads, and of who is a member when that is this node.
    pub fn follow(&mut self, metrics: &RaftMetrics, leader_heard: Option<Duration>) {
        if !leads(metrics) {
            self.since.clear();
            let heard = leader_heard.and_then(|ago| Instant::now().checked_sub(ago));
            let leader = metrics.current_leader.map(NodeId).zip(heard);
            self.leader = leader.or(self.leader);
            return;
        }
        let now = Instant::now();
        let begun = match self.since.is_empty() {
            true => now.checked_sub(SILENCE_MAX - FIRST_ANSWER).unwrap_or(now),
            false => now,
        };
        for (id, _) in metrics.membership_config.nodes() {
            self.since.entry(NodeId(*id)).or_insert(begun);
        }
        // This node leads because the leader before it was silent, or gave the lead away.
        if let Some((id, heard)) = self.leader.take() {
            self.since.entry(id).and_modify(|since| *since = heard);
        }
    }

    /// Since when this leader could have heard a member.
    pub fn since(&self, node: NodeId) -> Option<Instant> {
        self.since.get(&node).copied()
    }
}
