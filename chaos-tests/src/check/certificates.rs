//! Work that one node does for all: each name has its certificate ordered once, by the authority's own books.

use super::{Evidence, Finding, Verdict, counted};
use crate::history::{History, Op, Sight};

/// Judges what the authority did.
pub(super) fn check(history: &History) -> Option<Finding> {
    let asked = history.operations.iter().filter(|one| matches!(one.op, Op::Certify { .. }));
    let may_be_asked = asked.clone().filter(|one| one.may_have_happened()).count();
    let known = asked.filter(|one| one.acknowledged().is_some()).count();
    let seen = history.sights.iter().rev().find_map(|(at, sight)| match sight {
        Sight::Authority { certificates, .. } => Some((*at, *certificates)),
        _ => None,
    });
    let verdict = match seen {
        None if may_be_asked == 0 => return None,
        None => Verdict::Unknown { why: "the authority's books were not read".into() },
        Some((at, certificates)) if certificates > may_be_asked => {
            let what = format!("the authority gave {}", counted(certificates, "certificate"));
            let evidence = vec![Evidence { from: at, to: Some(at), what }];
            let why = format!("{certificates} certificates were given for {may_be_asked} names");
            Verdict::Violated { why, evidence }
        }
        Some((at, certificates)) if certificates < known => {
            let what = format!("the authority gave {}", counted(certificates, "certificate"));
            let evidence = vec![Evidence { from: at, to: Some(at), what }];
            Verdict::Violated { why: format!("{known} names wait for a certificate"), evidence }
        }
        Some(_) => Verdict::Valid,
    };
    Some(Finding {
        name: "certificates",
        promise: "Whichever node dies meanwhile, each name gets its certificate, and the authority is asked for it once.",
        looked_at: format!(
            "{}, {}",
            counted(may_be_asked, "name"),
            counted(seen.map_or(0, |(_, certificates)| certificates), "certificate")
        ),
        verdict,
    })
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, verdict};
    use super::*;

    fn of(certificates: usize) -> Verdict {
        let certify = |k: &str| Op::Certify { k: k.into() };
        let made = Made::default().ok(0, 1, certify("a")).unknown(2, 3, certify("b"));
        verdict(check, made.sight(9, Sight::Authority { names: 2, certificates }))
    }

    #[test]
    fn the_authoritys_books_count() {
        assert_eq!(of(1), Verdict::Valid, "nobody knows whether the second was asked for");
        assert_eq!(of(2), Verdict::Valid);
        assert!(matches!(of(3), Verdict::Violated { .. }), "one was ordered twice");
        assert!(matches!(of(0), Verdict::Violated { .. }), "one was forgotten");
    }
}
