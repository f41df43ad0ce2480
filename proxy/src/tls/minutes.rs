//! What happens at most once a minute for a name, without a lock and within bounds.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// How many names count in a minute; names of one hash come in turn.
const NAMES_MAX: usize = 256;
const SECONDS_PER_MINUTE: i64 = 60;

/// The minute of each name, by its hash.
#[derive(Debug)]
pub(super) struct Minutes {
    slots: [AtomicI64; NAMES_MAX],
    hashes: RandomState,
}

impl Minutes {
    /// No name was there yet.
    pub(super) fn new() -> Self {
        Self { slots: [const { AtomicI64::new(0) }; NAMES_MAX], hashes: RandomState::new() }
    }

    /// Whether a name is there for the first time in this minute.
    pub(super) fn is_first(&self, name: &str, now: Timestamp) -> bool {
        let hash = self.hashes.hash_one(name) % NAMES_MAX as u64;
        let slot = usize::try_from(hash).ok().and_then(|at| self.slots.get(at));
        slot.is_some_and(|slot| is_first(slot, now.as_second()))
    }
}

/// Whether a second is in another minute than the one before.
pub(super) fn is_first(minute: &AtomicI64, second: i64) -> bool {
    let now = second / SECONDS_PER_MINUTE;
    minute.swap(now, Ordering::Relaxed) != now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_once_a_minute_and_a_flood_of_names_within_bounds() {
        let minutes = Minutes::new();
        let at = |second| Timestamp::from_second(second).unwrap();
        let first =
            |second| (0..10_000).filter(|n| minutes.is_first(&n.to_string(), at(second))).count();
        for second in [60, 120] {
            let found = first(second);
            assert!((1..=NAMES_MAX).contains(&found), "{found}");
            assert_eq!(first(second + 59), 0);
        }
    }
}
