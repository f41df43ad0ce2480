//! Names that only one can have: at most one claim of each wins, the others see who did, and a claim that is repeated
//! with the same idempotency key is the same claim.

use std::collections::BTreeMap;

use super::{Finding, Verdict, counted};
use crate::history::{History, Moment, Op, Operation, Outcome, TAKEN};

/// Judges all names.
pub(super) fn check(history: &History) -> Option<Finding> {
    let mut names: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        if matches!(operation.op, Op::Claim { .. } | Op::Look { .. }) {
            names.entry(operation.op.key()).or_default().push(operation);
        }
    }
    let won = |operations: &&Vec<&Operation>| operations.iter().any(|one| win(one).is_some());
    let claims = names.values().flatten().filter(|one| matches!(one.op, Op::Claim { .. }));
    let looked_at = format!(
        "{}, {} given, {}",
        counted(names.len(), "name"),
        names.values().filter(won).count(),
        counted(claims.count(), "claim")
    );
    (!names.is_empty()).then(|| Finding {
        name: "unique names",
        promise: "A name is given once, whoever asks for it where at the same time; losers see the winner, and a request \
                  that is repeated takes effect once.",
        looked_at,
        verdict: names
            .iter()
            .map(|(name, operations)| of_one(name, operations))
            .find(|verdict| *verdict != Verdict::Valid)
            .unwrap_or(Verdict::Valid),
    })
}

/// The claim and the id of a claim that won, and when it was told so.
fn win(operation: &Operation) -> Option<(u64, &str, Moment)> {
    match (&operation.op, operation.acknowledged()) {
        (Op::Claim { v, id: Some(id), .. }, Some(at)) => Some((*v, id, at)),
        _ => None,
    }
}

/// The claim that an operation is.
fn claim(operation: &Operation) -> Option<u64> {
    match operation.op {
        Op::Claim { v, .. } => Some(v),
        _ => None,
    }
}

fn of_one(name: &str, operations: &[&Operation]) -> Verdict {
    let wins = || operations.iter().filter_map(|one| Some((*one, win(one)?)));
    if let Some((first, (claim, id, _))) = wins().next()
        && let Some((other, _)) = wins().find(|(_, (c, i, _))| *c != claim || *i != id)
    {
        return Verdict::violated(format!("{name} was given twice"), [first, other]);
    }
    for loser in operations {
        let Outcome::Failed { at, why } = &loser.outcome else { continue };
        if why != TAKEN {
            continue;
        }
        let may_have_won = |other: &&&Operation| {
            claim(other).is_some()
                && claim(other) != claim(loser)
                && other.may_have_happened()
                && other.invoked <= *at
        };
        if !operations.iter().any(|other| may_have_won(&other)) {
            let own = operations.iter().filter(|other| claim(other) == claim(loser));
            let why = format!("{name} was refused as taken, though nobody else can have it");
            return Verdict::violated(why, own.copied());
        }
    }
    judge_looks(name, operations, wins().next().map(|(one, (_, id, at))| (one, id, at)))
}

fn judge_looks(
    name: &str,
    operations: &[&Operation],
    winner: Option<(&Operation, &str, Moment)>,
) -> Verdict {
    // Who had the name first, as far as anybody was told.
    let mut had: Option<(&Operation, &str, Moment)> = winner;
    for look in operations {
        let (Op::Look { id: Some(id), .. }, Some(at)) = (&look.op, look.acknowledged()) else {
            continue;
        };
        let claimed =
            |one: &&Operation| claim(one).is_some() && one.may_have_happened() && one.invoked <= at;
        if !operations.iter().any(claimed) {
            return Verdict::violated(
                format!("{name} is there before anybody claimed it"),
                [*look],
            );
        }
        match had {
            Some((other, known, _)) if known != id => {
                let why = format!("{name} means two things");
                return Verdict::violated(why, [other, *look]);
            }
            Some((_, _, since)) if since <= at => {}
            _ => had = Some((look, id, at)),
        }
    }
    let Some((known, _, since)) = had else { return Verdict::Valid };
    let blind = |look: &&&Operation| {
        matches!(look.op, Op::Look { id: None, .. })
            && look.acknowledged().is_some()
            && look.invoked > since
    };
    match operations.iter().find(|look| blind(look)) {
        Some(look) => Verdict::violated(format!("{name} is gone"), [known, *look]),
        None => Verdict::Valid,
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;

    fn claim(v: u64, id: Option<&str>) -> Op {
        Op::Claim { k: "n".into(), v, id: id.map(str::to_owned) }
    }

    fn look(id: Option<&str>) -> Op {
        Op::Look { k: "n".into(), id: id.map(str::to_owned) }
    }

    #[test]
    fn good_ones_are_valid() {
        for (name, made) in [
            ("one wins", {
                let made = Made::default().ok(0, 5, claim(1, Some("a"))).because(
                    0,
                    4,
                    claim(2, None),
                    TAKEN,
                );
                made.ok(6, 7, look(Some("a")))
            }),
            ("repeated", {
                let made =
                    Made::default().unknown(0, 1, claim(1, None)).ok(2, 3, claim(1, Some("a")));
                made.ok(4, 5, claim(1, Some("a")))
            }),
            ("lost to an unknown one", {
                let made = Made::default().unknown(0, 1, claim(1, None)).because(
                    2,
                    3,
                    claim(2, None),
                    TAKEN,
                );
                made.ok(4, 5, look(Some("a")))
            }),
            ("nobody yet", Made::default().ok(0, 1, look(None)).ok(0, 3, claim(1, Some("a")))),
        ] {
            assert_eq!(verdict(check, made), Verdict::Valid, "{name}");
        }
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (name, made, why) in [
            (
                "two winners",
                { Made::default().ok(0, 5, claim(1, Some("a"))).ok(0, 5, claim(2, Some("b"))) },
                "twice",
            ),
            (
                "a repetition that counts twice",
                { Made::default().ok(0, 5, claim(1, Some("a"))).ok(6, 7, claim(1, Some("b"))) },
                "twice",
            ),
            (
                "taken by oneself",
                {
                    Made::default().unknown(0, 1, claim(1, None)).because(
                        2,
                        3,
                        claim(1, None),
                        TAKEN,
                    )
                },
                "nobody else",
            ),
            (
                "taken by nobody",
                Made::default().because(0, 1, claim(1, None), TAKEN),
                "nobody else",
            ),
            (
                "gone",
                { Made::default().ok(0, 1, claim(1, Some("a"))).ok(2, 3, look(None)) },
                "gone",
            ),
            (
                "seen and gone",
                {
                    let made =
                        Made::default().unknown(0, 1, claim(1, None)).ok(2, 3, look(Some("a")));
                    made.ok(4, 5, look(None))
                },
                "gone",
            ),
            (
                "two meanings",
                { Made::default().ok(0, 1, claim(1, Some("a"))).ok(2, 3, look(Some("b"))) },
                "two things",
            ),
            (
                "there before it was claimed",
                { Made::default().ok(0, 1, look(Some("a"))).ok(2, 3, claim(1, Some("a"))) },
                "before anybody",
            ),
        ] {
            match verdict(check, made) {
                Verdict::Violated { why: said, .. } => {
                    assert!(said.contains(why), "{name}: {said}")
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
