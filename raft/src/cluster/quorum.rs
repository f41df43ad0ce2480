//! What the cluster may lose. Pure: from who votes and who is reachable.

use std::collections::BTreeSet;

use serde::Serialize;
use temps_state::NodeId;

/// How many more nodes the cluster may lose at once and still agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MayLose {
    /// How many voters.
    pub count: usize,
    /// The same in words, with what to do.
    pub text: String,
}

/// Why a node may not go now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "without node {node} only {left} of {voters} voting nodes would be left, and {needed} are \
     needed to change anything: bring the lost nodes back, let another node join, or drain this \
     one first"
)]
pub struct WouldLoseQuorum {
    /// Which node.
    pub node: NodeId,
    /// How many reachable voters would be left.
    pub left: usize,
    /// How many nodes vote.
    pub voters: usize,
    /// How many of them must be reachable.
    pub needed: usize,
}

/// How many of so many voters agree for all.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// Whether whoever is heard is a majority of every group of voters; there are two while the voters change.
pub fn is_quorum(groups: &[BTreeSet<u64>], is_heard: impl Fn(NodeId) -> bool) -> bool {
    groups.iter().all(|voters| {
        voters.iter().filter(|id| is_heard(NodeId(**id))).count() >= majority(voters.len())
    })
}

/// Whether the cluster could still agree if `node` were gone now.
pub fn may_remove(
    node: NodeId,
    voters: &BTreeSet<NodeId>,
    reachable: &BTreeSet<NodeId>,
) -> Result<(), WouldLoseQuorum> {
    let left = voters.intersection(reachable).filter(|voter| **voter != node).count();
    let needed = majority(voters.len());
    match left >= needed {
        true => Ok(()),
        false => Err(WouldLoseQuorum { node, left, voters: voters.len(), needed }),
    }
}

/// How many more nodes may be lost.
pub fn may_lose(nodes: usize, voters: &BTreeSet<NodeId>, reachable: &BTreeSet<NodeId>) -> MayLose {
    let living = voters.intersection(reachable).count();
    let needed = majority(voters.len());
    let count = living.saturating_sub(needed);
    let text = match (living < needed, nodes, count) {
        (true, ..) => format!(
            "There is no quorum: {living} of {} voting nodes are reachable, and {needed} must be. \
             Nothing can be changed until another one is back; apps are served as before.",
            voters.len()
        ),
        (_, 0 | 1, _) => {
            "This is the only node: if it is lost, everything is. Let two more join.".into()
        }
        (_, 2, _) => "No node may be lost: two nodes survive no loss. Let a third join.".into(),
        (_, _, 0) => {
            "No more node may be lost: bring the lost ones back, or let another join.".into()
        }
        (_, _, 1) => "One more node may be lost.".into(),
        (_, _, count) => format!("{count} more nodes may be lost."),
    };
    MayLose { count, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes, voters, those that are reachable; how many may be lost, and a part of the text.
    type Case = (usize, &'static [u64], &'static [u64], usize, &'static str);

    fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn a_quorum_is_a_majority_of_every_group() {
        type Groups = &'static [&'static [u64]];
        let cases: [(Groups, &[u64], bool); 6] = [
            (&[&[1]], &[1], true),
            (&[&[1, 2, 3]], &[1], false),
            (&[&[1, 2, 3]], &[1, 3, 9], true),
            (&[&[1, 2]], &[1], false),
            (&[&[1, 2, 3], &[3, 4, 5]], &[1, 2, 3], false),
            (&[&[1, 2, 3], &[3, 4, 5]], &[1, 3, 5], true),
        ];
        for (groups, heard, quorum) in cases {
            let groups: Vec<BTreeSet<u64>> =
                groups.iter().map(|ids| ids.iter().copied().collect()).collect();
            let is_heard = |id: NodeId| heard.contains(&id.0);
            assert_eq!(is_quorum(&groups, is_heard), quorum, "{heard:?} of {groups:?}");
        }
    }

    #[test]
    fn a_node_may_go_when_the_rest_still_agrees() {
        let cases: [(u64, &[u64], &[u64], bool); 9] = [
            (3, &[1, 2, 3], &[1, 2, 3], true),
            (3, &[1, 2, 3], &[1, 2], true),
            (2, &[1, 2, 3], &[1, 2], false),
            (1, &[1], &[1, 2], false),
            (2, &[1], &[1, 2], true),
            (4, &[1, 2, 3], &[1, 2, 3, 4], true),
            (4, &[1, 2, 3], &[1, 4], false),
            (5, &[1, 2, 3, 4, 5], &[1, 2, 3, 5], true),
            (5, &[1, 2, 3, 4, 5], &[1, 2, 5], false),
        ];
        for (node, voters, reachable, may) in cases {
            let answer = may_remove(NodeId(node), &ids(voters), &ids(reachable));
            assert_eq!(answer.is_ok(), may, "{node} of {voters:?}, {reachable:?} reachable");
        }
    }

    #[test]
    fn what_may_be_lost_is_what_is_left_over() {
        let cases: [Case; 8] = [
            (1, &[1], &[1], 0, "This is the only node"),
            (2, &[1], &[1, 2], 0, "two nodes survive no loss"),
            (3, &[1, 2, 3], &[1, 2, 3], 1, "One more node"),
            (3, &[1, 2, 3], &[1, 2], 0, "No more node"),
            (3, &[1, 2, 3], &[1], 0, "no quorum: 1 of 3"),
            (5, &[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5], 2, "2 more nodes"),
            (5, &[1, 2, 3, 4, 5], &[1, 2, 3, 4], 1, "One more node"),
            (9, &[1, 2, 3, 4, 5], &[1, 2, 3, 6, 7, 8, 9], 0, "No more node"),
        ];
        for (nodes, voters, reachable, count, text) in cases {
            let answer = may_lose(nodes, &ids(voters), &ids(reachable));
            assert_eq!(answer.count, count, "{voters:?}, {reachable:?} reachable");
            assert!(answer.text.contains(text), "{}", answer.text);
        }
    }
}
