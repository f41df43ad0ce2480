//! The cluster as a whole: leaders in their order, nodes that do not forget while they run, no panics, and whole again at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Evidence, Finding, Verdict, counted};
use crate::history::{EdgeSight, History, Moment, Op, Operation, Outcome, Sight, Trouble, life};

/// How long a node may take to say how it is.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// For how long after it has been let in a node may know nobody.
const NEW_MAX: Duration = Duration::from_secs(15);
/// What a node says of something that it does not know.
const GONE: &str = "not_found";
/// What a node says to somebody that it does not know.
const STRANGER: &str = "unauthenticated";

/// Judges what nodes said of themselves, and how the run ended.
pub(super) fn check(history: &History) -> Option<Finding> {
    let seen: Vec<(Moment, &EdgeSight)> = history
        .sights
        .iter()
        .filter_map(|(at, sight)| match sight {
            Sight::Node(node) => Some((*at, node)),
            _ => None,
        })
        .collect();
    let terms: BTreeMap<u64, usize> =
        seen.iter().filter_map(|(_, node)| Some((node.term, node.leader?))).collect();
    // What was seen is wrong also if nobody could go on because of it.
    let verdict = gone(history)
        .or_else(|| forgotten(history))
        .or_else(|| forgets(history, &seen))
        .or_else(|| of_the_run(history))
        .or_else(|| of_the_end(history));
    Some(Finding {
        name: "cluster",
        promise: "A node that runs never goes back to an older leader and never forgets, none panics, nothing that was made is gone, and once all faults are gone \
                  the cluster is whole within a minute.",
        looked_at: format!(
            "{} at nodes, {} with a leader",
            counted(seen.len(), "look"),
            counted(terms.len(), "term")
        ),
        verdict: verdict.unwrap_or(Verdict::Valid),
    })
}

/// What the harness itself could not do.
fn of_the_run(history: &History) -> Option<Verdict> {
    let broken = history.broken.first()?;
    Some(Verdict::Unknown { why: format!("the harness failed: {broken}") })
}

/// What is used was made before, and nobody removes anything.
fn gone(history: &History) -> Option<Verdict> {
    let is_gone = |one: &&Operation| {
        let is_name = matches!(one.op, Op::Look { .. } | Op::Claim { .. });
        !is_name && matches!(&one.outcome, Outcome::Failed { why, .. } if why == GONE)
    };
    let lost = history.operations.iter().find(is_gone)?;
    let why = format!("{} is gone, though its creation was acknowledged", lost.op.key());
    Some(Verdict::violated(why, [lost]))
}

/// Everybody asks with the key of a user who was there before the run, and whom nobody removes. Only a node that has just
/// been let in knows nobody yet.
fn forgotten(history: &History) -> Option<Verdict> {
    let troubles = history.troubles();
    let may_be_new = |operation: &Operation| {
        let is_new = |trouble: &Trouble| {
            trouble.fault.replaced.contains(&operation.node)
                && trouble.from <= operation.until()
                && operation.invoked <= trouble.to.plus(NEW_MAX)
        };
        troubles.iter().any(is_new)
    };
    let is_refused = |one: &&Operation| {
        matches!(&one.outcome, Outcome::Failed { why, .. } if why == STRANGER) && !may_be_new(one)
    };
    let refused = history.operations.iter().find(is_refused)?;
    let why = format!("n{} no longer knows who was there before the run", refused.node);
    Some(Verdict::violated(why, [refused]))
}

fn evidence(at: Moment, node: &EdgeSight) -> Evidence {
    let EdgeSight { node, leader, term, applied, edge, .. } = node;
    let leader = leader.map_or("nobody".into(), |leader| format!("n{leader}"));
    let what = format!("n{node}: term {term}, {leader} leads, applied {applied}, its edge {edge}");
    Evidence { from: at, to: Some(at), what }
}

/// A node that follows an older term or leader than before. Of openraft's terms each node has one of its own: several may
/// lead in one, the one with the highest id last.
fn is_newer(older: &EdgeSight, node: &EdgeSight) -> bool {
    let leaders = older.leader_id.zip(node.leader_id);
    older.term > node.term
        || (older.term == node.term && leaders.is_some_and(|(older, newer)| older > newer))
}

/// A node that went back while it ran.
fn forgets(history: &History, seen: &[(Moment, &EdgeSight)]) -> Option<Verdict> {
    let troubles = history.troubles();
    let mut last: BTreeMap<(usize, usize), (Moment, &EdgeSight)> = BTreeMap::new();
    for &(at, node) in seen {
        // It was asked a moment before it was taken down.
        let Some(life) = life(&troubles, node.node, at.minus(LOOK_MAX), at) else { continue };
        if let Some((before, older)) = last.insert((node.node, life), (at, node))
            && (older.applied > node.applied || older.edge > node.edge || is_newer(older, node))
        {
            let why = format!("n{} went back though it ran on", node.node);
            return Some(Verdict::Violated {
                why,
                evidence: vec![evidence(before, older), evidence(at, node)],
            });
        }
    }
    None
}

fn of_the_end(history: &History) -> Option<Verdict> {
    let violated = |why: String| Some(Verdict::Violated { why, evidence: Vec::new() });
    match &history.ending {
        None => Some(Verdict::Unknown { why: "the history has no end".into() }),
        Some(ending) if !ending.panics.is_empty() => {
            violated(format!("a node panicked: {}", ending.panics[0]))
        }
        Some(ending) if ending.converged_ms.is_none() => {
            violated("the cluster was not whole again after the last fault was gone".into())
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;
    use crate::history::{Ending, FaultKind};

    fn node(node: usize, term: u64, leader: usize, applied: u64) -> Sight {
        let leader_id = Some(leader as u64);
        let leader = Some(leader);
        Sight::Node(EdgeSight { node, leader, leader_id, term, applied, edge: applied })
    }

    fn ended(mut made: Made) -> Made {
        made.history.ending = Some(Ending { converged_ms: Some(900), ..Ending::default() });
        made
    }

    #[test]
    fn good_ones_are_valid() {
        let made = Made::default().sight(1, node(1, 3, 2, 10)).sight(2, node(2, 3, 2, 11));
        assert_eq!(verdict(check, ended(made)), Verdict::Valid);
        let made = Made::default().sight(1, node(1, 3, 2, 10)).sight(9, node(1, 4, 3, 8));
        let made = made.fault(4, 7, FaultKind::KillOne, &[1]);
        assert_eq!(verdict(check, ended(made)), Verdict::Valid, "it started anew");
        let made = Made::default().sight(1, node(1, 4, 1, 10)).sight(2, node(4, 4, 3, 10));
        assert_eq!(verdict(check, ended(made)), Verdict::Valid, "one after the other in one term");
        let made = Made::default().sight(4, node(1, 3, 2, 10)).sight(6, node(1, 4, 3, 2));
        let made = made.fault(3, 7, FaultKind::Replace, &[1]);
        assert_eq!(verdict(check, ended(made)), Verdict::Valid, "who answered, nobody can say");
        let made = Made::default().replaced(3, 7, &[1]).node(1);
        let made = made.because(8, 9, Op::Read { k: "r".into(), v: None }, STRANGER);
        assert_eq!(verdict(check, ended(made)), Verdict::Valid, "it knows nobody yet");
    }

    #[test]
    fn planted_bugs_are_caught() {
        let older = Made::default().sight(1, node(1, 3, 2, 10)).sight(2, node(1, 3, 1, 10));
        let back = Made::default().sight(1, node(1, 3, 1, 10)).sight(2, node(1, 3, 1, 9));
        let mut panicked = ended(Made::default());
        panicked.history.ending = Some(Ending { panics: vec!["n1".into()], ..Ending::default() });
        let mut never_whole = Made::default();
        never_whole.history.ending = Some(Ending::default());
        let read = Op::Read { k: "r".into(), v: None };
        let gone = ended(Made::default().because(0, 1, read.clone(), GONE));
        let mut long_after = Made::default().replaced(3, 7, &[1]).node(1);
        long_after = ended(long_after.because(40, 41, read.clone(), STRANGER));
        let mut not_replaced = Made::default().fault(3, 7, FaultKind::BitFlip, &[1]).node(1);
        not_replaced = ended(not_replaced.because(8, 9, read.clone(), STRANGER));
        let mut forgotten = ended(Made::default().node(1).because(0, 1, read, STRANGER));
        forgotten.history.broken.push("n1 does not start".into());
        for (name, made) in [
            ("gone", gone),
            ("forgotten", forgotten),
            ("long after", long_after),
            ("not replaced", not_replaced),
            ("older leader", ended(older)),
            ("back", ended(back)),
            ("panic", panicked),
            ("end", never_whole),
        ] {
            assert!(matches!(verdict(check, made), Verdict::Violated { .. }), "{name}");
        }
    }

    #[test]
    fn a_run_that_broke_proves_nothing() {
        assert!(matches!(verdict(check, Made::default()), Verdict::Unknown { .. }));
        let mut made = ended(Made::default());
        made.history.broken.push("no token".into());
        assert!(matches!(verdict(check, made), Verdict::Unknown { .. }));
    }
}
