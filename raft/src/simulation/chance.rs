//! Chance, from a seed. Our own, so that a seed means the same with every version of every crate.

use std::time::Duration;

/// A sequence of numbers.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed for one purpose; another purpose has another one.
    pub fn of(seed: u64, purpose: &str) -> Self {
        let start = purpose.bytes().fold(mix(seed), |at, octet| mix(at ^ u64::from(octet)));
        Self(start)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// Whether something happens that happens so often out of a hundred times.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them, if there are any.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let index = self.below(of.len() as u64);
        of.get(usize::try_from(index).unwrap_or_default())
    }

    /// A time between two.
    pub fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let span = longest.saturating_sub(shortest).as_micros();
        shortest + Duration::from_micros(self.below(u64::try_from(span).unwrap_or(u64::MAX) + 1))
    }

    /// The same in milliseconds.
    pub fn millis(&mut self, shortest: u64, longest: u64) -> Duration {
        self.between(Duration::from_millis(shortest), Duration::from_millis(longest))
    }
}

/// SplitMix64.
fn mix(at: u64) -> u64 {
    let at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let at = (at ^ (at >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let at = (at ^ (at >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    at ^ (at >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_give_one_sequence() {
        let sequence = |seed, purpose| {
            let mut chance = Chance::of(seed, purpose);
            (0..8).map(|_| chance.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1, "disk"), sequence(1, "disk"));
        assert_ne!(sequence(1, "disk"), sequence(2, "disk"));
        assert_ne!(sequence(1, "disk"), sequence(1, "network"));
    }

    #[test]
    fn what_is_drawn_is_within_its_bounds() {
        let mut chance = Chance::of(7, "bounds");
        for _ in 0..1000 {
            assert!(chance.below(3) < 3);
            assert!(!chance.percent(0) && chance.percent(100));
            let time = chance.millis(2, 4);
            assert!((2..=4).contains(&time.as_millis()), "{time:?}");
        }
        assert_eq!((chance.below(0), chance.pick::<u8>(&[])), (0, None));
    }
}
