//! Which of several endpoints gets a request. Pure.

/// How many requests more than twice the load of another node's replica one of this node may have and still be chosen.
const LOCAL_LOAD_MARGIN: usize = 8;

/// What the choice of an endpoint depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Whether it failed and has not been seen well since.
    pub(crate) ejected: bool,
    /// Whether it is on this node.
    pub(crate) local: bool,
    /// Its requests under way, as far as this node knows.
    pub(crate) load: usize,
}

impl Candidate {
    fn rank(self) -> (bool, usize) {
        (self.ejected, self.load)
    }

    /// Whether one of this node is good enough to leave `far` alone.
    fn suffices_before(self, far: Self) -> bool {
        let enough = self.load <= far.load.saturating_mul(2).saturating_add(LOCAL_LOAD_MARGIN);
        match (self.ejected, far.ejected) {
            (false, true) => true,
            (true, false) => false,
            _ => enough,
        }
    }
}

/// The healthy before those that failed, then those of this node unless they have clearly more to do, then the least
/// loaded; of equals the first.
pub(crate) fn choose<T>(candidates: impl Iterator<Item = (Candidate, T)>) -> Option<T> {
    let (mut near, mut far) = (None::<(Candidate, T)>, None::<(Candidate, T)>);
    for (candidate, what) in candidates {
        let best = if candidate.local { &mut near } else { &mut far };
        if best.as_ref().is_none_or(|(b, _)| candidate.rank() < b.rank()) {
            *best = Some((candidate, what));
        }
    }
    let chosen = match (near, far) {
        (Some(near), Some(far)) if near.0.suffices_before(far.0) => Some(near),
        (near, None) => near,
        (_, far) => far,
    };
    chosen.map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn near(load: usize) -> Candidate {
        Candidate { ejected: false, local: true, load }
    }

    const fn far(load: usize) -> Candidate {
        Candidate { ejected: false, local: false, load }
    }

    const fn ejected(candidate: Candidate) -> Candidate {
        Candidate { ejected: true, ..candidate }
    }

    fn chosen(candidates: &[Candidate]) -> Option<usize> {
        choose(candidates.iter().copied().zip(0..))
    }

    #[test]
    fn healthy_then_near_then_least_loaded() {
        for (candidates, expected) in [
            (&[][..], None),
            (&[near(0), near(0)], Some(0)),
            (&[near(3), near(2), near(2)], Some(1)),
            (&[far(0), near(0)], Some(1)),
            (&[far(0), near(LOCAL_LOAD_MARGIN)], Some(1)),
            (&[far(0), near(LOCAL_LOAD_MARGIN + 1)], Some(0)),
            (&[far(10), near(20 + LOCAL_LOAD_MARGIN)], Some(1)),
            (&[far(10), near(21 + LOCAL_LOAD_MARGIN)], Some(0)),
            (&[near(100), near(1), far(0)], Some(1)),
            (&[far(5), far(4)], Some(1)),
            (&[ejected(near(0)), far(100)], Some(1)),
            (&[ejected(far(0)), near(100)], Some(1)),
            (&[ejected(near(0)), near(9), far(0)], Some(2)),
            (&[ejected(near(0)), ejected(far(0))], Some(0)),
            (&[ejected(near(5)), ejected(near(4))], Some(1)),
        ] {
            assert_eq!(chosen(candidates), expected, "{candidates:?}");
        }
    }

    proptest! {
        #[test]
        fn somebody_is_chosen_and_never_an_ejected_one_before_a_healthy_one(
            candidates in prop::collection::vec((any::<bool>(), any::<bool>(), any::<usize>()), 0..9),
        ) {
            let candidates: Vec<_> = candidates
                .into_iter()
                .map(|(ejected, local, load)| Candidate { ejected, local, load })
                .collect();
            let chosen = chosen(&candidates);
            prop_assert_eq!(chosen.is_some(), !candidates.is_empty());
            let healthy = candidates.iter().any(|c| !c.ejected);
            prop_assert!(chosen.is_none_or(|at| candidates[at].ejected != healthy));
        }
    }
}
