//! Work that one node does for all: each name has its certificate ordered once, by the authority's own books.

use std::collections::BTreeMap;

use super::{Evidence, Finding, Verdict, counted};
use crate::history::{History, Moment, Op, Sight};

/// Judges what the authority did.
pub(super) fn check(history: &History) -> Option<Finding> {
    let asked = || history.operations.iter().filter(|one| matches!(one.op, Op::Certify { .. }));
    let may_be_asked: Vec<&str> =
        asked().filter(|one| one.may_have_happened()).map(|one| one.op.key()).collect();
    let known = asked().filter(|one| one.acknowledged().is_some()).map(|one| one.op.key());
    let known: Vec<&str> = known.collect();
    let seen = history.sights.iter().rev().find_map(|(at, sight)| match sight {
        Sight::Authority { certificates, given, .. } => Some((*at, *certificates, given)),
        _ => None,
    });
    let verdict = match seen {
        None if may_be_asked.is_empty() => return None,
        None => Verdict::Unknown { why: "the authority's books were not read".into() },
        Some((at, certificates, given)) => {
            of_the_books(at, certificates, given, &may_be_asked, &known).unwrap_or(Verdict::Valid)
        }
    };
    Some(Finding {
        name: "certificates",
        promise: "Whichever node dies meanwhile, each name gets its certificate, and the authority is asked for it once.",
        looked_at: format!(
            "{}, {}",
            counted(may_be_asked.len(), "name"),
            counted(seen.map_or(0, |(_, certificates, _)| certificates), "certificate")
        ),
        verdict,
    })
}

/// What is wrong in the authority's books, if anything is.
fn of_the_books(
    at: Moment,
    certificates: usize,
    given: &BTreeMap<String, usize>,
    may_be_asked: &[&str],
    known: &[&str],
) -> Option<Verdict> {
    let violated = |why: String| {
        let what = format!("the authority gave {}", counted(certificates, "certificate"));
        Some(Verdict::Violated { why, evidence: vec![Evidence { from: at, to: Some(at), what }] })
    };
    let count = |name: &str| given.get(name).copied().unwrap_or_default();
    if let Some((name, times)) = given.iter().find(|(_, times)| **times > 1) {
        return violated(format!("{times} certificates were given for {name}"));
    }
    if certificates > given.values().sum() {
        let why = format!("{certificates} certificates were given for {} names", given.len());
        return violated(why);
    }
    if let Some(name) = given.keys().find(|name| !may_be_asked.contains(&name.as_str())) {
        return violated(format!("a certificate was given for {name}, which nobody has asked for"));
    }
    let waiting = known.iter().find(|name| count(name) == 0)?;
    violated(format!("{waiting} waits for a certificate"))
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;

    /// Of names `a`, which was asked for, `b`, which may have been, and `c`, which was not.
    fn of(given: &[(&str, usize)]) -> Verdict {
        let certify = |k: &str| Op::Certify { k: k.into() };
        let made = Made::default().ok(0, 1, certify("a")).unknown(2, 3, certify("b"));
        let made = made.failed(4, 5, certify("c"));
        let given: BTreeMap<String, usize> =
            given.iter().map(|(name, times)| ((*name).into(), *times)).collect();
        let certificates = given.values().sum();
        verdict(check, made.sight(9, Sight::Authority { names: 3, certificates, given }))
    }

    #[test]
    fn the_authoritys_books_count() {
        assert_eq!(of(&[("a", 1)]), Verdict::Valid, "nobody knows whether b was asked for");
        assert_eq!(of(&[("a", 1), ("b", 1)]), Verdict::Valid);
        let is_wrong = |given: &[_]| matches!(of(given), Verdict::Violated { .. });
        assert!(is_wrong(&[("a", 2)]), "one was ordered twice, and there are as many as names");
        assert!(is_wrong(&[("a", 1), ("c", 1)]), "one was ordered though that failed");
        assert!(is_wrong(&[]) && is_wrong(&[("b", 1)]), "one was forgotten");
    }
}
