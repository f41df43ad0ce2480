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
    groups
        .iter()
        .map(|voters| Votes::of(voters, &is_heard))
        .all(|votes| votes.living >= votes.needed)
}

/// How a group of voters stands.
#[derive(Debug, Clone, Copy, Default)]
struct Votes {
    /// How many vote.
    all: usize,
    /// How many of them are reachable.
    living: usize,
    /// How many must be.
    needed: usize,
}

impl Votes {
    fn of(voters: &BTreeSet<u64>, is_living: impl Fn(NodeId) -> bool) -> Self {
        let living = voters.iter().filter(|id| is_living(NodeId(**id))).count();
        Self { all: voters.len(), living, needed: majority(voters.len()) }
    }
}

/// Whether the cluster could still agree if `node` were gone now: every group of voters must.
pub fn may_remove(
    node: NodeId,
    groups: &[BTreeSet<u64>],
    reachable: &BTreeSet<NodeId>,
) -> Result<(), WouldLoseQuorum> {
    let stays = |id: NodeId| id != node && reachable.contains(&id);
    let mut left = groups.iter().map(|voters| Votes::of(voters, stays));
    match left.find(|votes| votes.living < votes.needed) {
        Some(Votes { all, living, needed }) => {
            Err(WouldLoseQuorum { node, left: living, voters: all, needed })
        }
        None => Ok(()),
    }
}

/// How many more nodes may be lost, of so many: as many as the group of voters that can spare least.
pub fn may_lose(nodes: usize, groups: &[BTreeSet<u64>], reachable: &BTreeSet<NodeId>) -> MayLose {
    let votes = groups.iter().map(|voters| Votes::of(voters, |id| reachable.contains(&id)));
    let spare = |votes: &Votes| votes.living.checked_sub(votes.needed);
    let votes = votes.min_by_key(spare).unwrap_or_default();
    let Votes { all, living, needed } = votes;
    let count = spare(&votes).unwrap_or_default();
    let text = match (living < needed, nodes, count) {
        (true, ..) => format!(
            "There is no quorum: {living} of {all} voting nodes are reachable, and {needed} must be. \
             Nothing can be changed until another one is back; apps are served as before."
        ),
        (_, 0 | 1, _) => {
            "This is the only node: if it is lost, everything is. Let two more join.".into()
        }
        (_, 2, _) => "No node may be lost: two nodes survive no loss. Let a third join.".into(),
        (_, _, 0) if groups.len() > 1 => {
            "No node may be lost just now: who votes is changing, which takes a moment.".into()
        }
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
    type Case = (usize, Groups, &'static [u64], usize, &'static str);
    type Groups = &'static [&'static [u64]];

    fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn sets(groups: Groups) -> Vec<BTreeSet<u64>> {
        groups.iter().map(|ids| ids.iter().copied().collect()).collect()
    }

    #[test]
    fn a_quorum_is_a_majority_of_every_group() {
        let cases: [(Groups, &[u64], bool); 6] = [
            (&[&[1]], &[1], true),
            (&[&[1, 2, 3]], &[1], false),
            (&[&[1, 2, 3]], &[1, 3, 9], true),
            (&[&[1, 2]], &[1], false),
            (&[&[1, 2, 3], &[3, 4, 5]], &[1, 2, 3], false),
            (&[&[1, 2, 3], &[3, 4, 5]], &[1, 3, 5], true),
        ];
        for (groups, heard, quorum) in cases {
            let is_heard = |id: NodeId| heard.contains(&id.0);
            assert_eq!(is_quorum(&sets(groups), is_heard), quorum, "{heard:?} of {groups:?}");
        }
    }

    #[test]
    fn a_node_may_go_when_the_rest_still_agrees() {
        let cases: [(u64, Groups, &[u64], bool); 11] = [
            (3, &[&[1, 2, 3]], &[1, 2, 3], true),
            (3, &[&[1, 2, 3]], &[1, 2], true),
            (2, &[&[1, 2, 3]], &[1, 2], false),
            (1, &[&[1]], &[1, 2], false),
            (2, &[&[1]], &[1, 2], true),
            (4, &[&[1, 2, 3]], &[1, 2, 3, 4], true),
            (4, &[&[1, 2, 3]], &[1, 4], false),
            (5, &[&[1, 2, 3, 4, 5]], &[1, 2, 3, 5], true),
            (5, &[&[1, 2, 3, 4, 5]], &[1, 2, 5], false),
            (1, &[&[1], &[1, 2, 3]], &[1, 2, 3], false),
            (2, &[&[1], &[1, 2, 3]], &[1, 2, 3], true),
        ];
        for (node, voters, reachable, may) in cases {
            let answer = may_remove(NodeId(node), &sets(voters), &ids(reachable));
            assert_eq!(answer.is_ok(), may, "{node} of {voters:?}, {reachable:?} reachable");
        }
    }

    #[test]
    fn what_may_be_lost_is_what_is_left_over() {
        let cases: [Case; 10] = [
            (1, &[&[1]], &[1], 0, "This is the only node"),
            (2, &[&[1]], &[1, 2], 0, "two nodes survive no loss"),
            (3, &[&[1, 2, 3]], &[1, 2, 3], 1, "One more node"),
            (3, &[&[1, 2, 3]], &[1, 2], 0, "No more node"),
            (3, &[&[1, 2, 3]], &[1], 0, "no quorum: 1 of 3"),
            (5, &[&[1, 2, 3, 4, 5]], &[1, 2, 3, 4, 5], 2, "2 more nodes"),
            (5, &[&[1, 2, 3, 4, 5]], &[1, 2, 3, 4], 1, "One more node"),
            (9, &[&[1, 2, 3, 4, 5]], &[1, 2, 3, 6, 7, 8, 9], 0, "No more node"),
            (3, &[&[1], &[1, 2, 3]], &[1, 2, 3], 0, "who votes is changing"),
            (3, &[&[1, 2, 3], &[1]], &[2, 3], 0, "no quorum: 0 of 1"),
        ];
        for (nodes, voters, reachable, count, text) in cases {
            let answer = may_lose(nodes, &sets(voters), &ids(reachable));
            assert_eq!(answer.count, count, "{voters:?}, {reachable:?} reachable");
            assert!(answer.text.contains(text), "{}", answer.text);
        }
    }
}
