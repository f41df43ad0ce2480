//! What keeps a node from going, and what its going costs. Pure.

use temps_raft::WouldLoseQuorum;
use temps_state::{Intent, Node, NodeId, Phase, Standing, State};

use crate::ApiError;

/// What a node that drains still does. Versions that are only kept for a rollback are no reason to wait: they are
/// started again where they are needed.
pub(super) fn blocked_by(state: &State, node: &Node, leader: Option<NodeId>) -> Vec<String> {
    if node.standing != Standing::Draining {
        return Vec::new();
    }
    let nobody = state.ready_nodes().all(|other| other.id == node.id);
    let elsewhere = if nobody { ", and no other node takes replicas now" } else { "" };
    let replicas = busy_replicas(state, node.id);
    let builds = state.deployments.values();
    let builds = builds.filter(|d| d.phase == Phase::Building { on: node.id }).count();
    let reasons = [
        (replicas > 0).then(|| format!("{} to move{elsewhere}", counted(replicas, "replica"))),
        (builds > 0).then(|| format!("{} to end", counted(builds, "build"))),
        (leader == Some(node.id)).then(|| "the lead to hand over".into()),
    ];
    reasons.into_iter().flatten().collect()
}

/// How many replicas of a node serve, or end what they serve.
pub(super) fn busy_replicas(state: &State, node: NodeId) -> usize {
    let here = state.replicas.values().filter(|replica| replica.node == node);
    here.filter(|replica| replica.intent != Intent::Keep).count()
}

/// What is lost with a quorum; an error unless that is meant.
pub(super) fn loss(
    may_remove: &Result<(), WouldLoseQuorum>,
    force: bool,
) -> Result<Option<String>, ApiError> {
    match may_remove {
        Ok(()) => Ok(None),
        Err(why) if !force => Err(why.clone().into()),
        Err(WouldLoseQuorum { left, needed, .. }) => Ok(Some(format!(
            "only {left} of the {needed} voting nodes that are needed can be reached now: nothing \
             can be changed until others come back; apps are served as before"
        ))),
    }
}

/// What stops with the node.
pub(super) fn warning(state: &State, node: &Node) -> Option<String> {
    let replicas = busy_replicas(state, node.id);
    (replicas > 0 && node.is_reachable()).then(|| {
        format!(
            "{} still ran on it, which start elsewhere now: drain a node first to move them \
             without a gap",
            counted(replicas, "replica")
        )
    })
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_node_that_drains_says_what_it_waits_for() {
        let mut state = State::default();
        let mut node = Node::new(NodeId(1), "n1", Timestamp::UNIX_EPOCH);
        state.nodes.insert(node.id, node.clone());
        assert!(blocked_by(&state, &node, Some(node.id)).is_empty(), "it does not drain");
        node.standing = Standing::Draining;
        assert_eq!(blocked_by(&state, &node, Some(node.id)), ["the lead to hand over"]);
        assert!(blocked_by(&state, &node, Some(NodeId(2))).is_empty());
    }

    #[test]
    fn the_quorum_is_given_up_only_by_force() {
        let lost = WouldLoseQuorum { node: NodeId(3), left: 1, voters: 3, needed: 2 };
        assert_eq!(loss(&Ok(()), false).unwrap(), None);
        let refused = loss(&Err(lost.clone()), false).unwrap_err();
        assert_eq!(refused.kind().1, "would_lose_quorum");
        let warning = loss(&Err(lost), true).unwrap().unwrap();
        assert!(warning.contains("only 1 of the 2"), "{warning}");
    }
}
