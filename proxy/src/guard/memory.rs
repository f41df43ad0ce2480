//! A memory of fixed size: until when something holds, by key. No lock, and nothing grows.
//!
//! Sets of four slots; a slot is one atomic integer that tells part of its key's hash and a time. What is over is
//! forgotten first, then what is over soonest. The hash is seeded anew in every process, so that nobody can choose
//! addresses that push others out.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many keys are remembered at most.
pub(crate) const REMEMBERED_MAX: usize = SETS * WAYS;
const SETS: usize = 16_384;
const WAYS: usize = 4;
/// Bits of a slot that tell the time; the others tell the key.
const TIME_BITS: u32 = 44;
const TIME_MAX: u64 = (1 << TIME_BITS) - 1;
/// How often a change that meets another one of the same slot is tried.
const TRIES_MAX: usize = 8;
/// Ticks of a second.
pub(crate) const TICKS: u64 = 100_000;

/// A time on the memory's own clock, in hundred-thousandths of a second; the clock lasts for five years.
pub(crate) type Tick = u64;

/// A memory of fixed size. It takes room only once it is used.
pub(crate) struct Memory {
    slots: LazyLock<Box<[AtomicU64]>>,
    seed: RandomState,
    began: Instant,
}

/// What to do where no slot is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// Forget what is over soonest.
    Forget,
    /// Remember nothing more.
    Refuse,
}

impl Default for Memory {
    fn default() -> Self {
        let empty: fn() -> _ = || (0..REMEMBERED_MAX).map(|_| AtomicU64::new(0)).collect();
        Self { slots: LazyLock::new(empty), seed: RandomState::new(), began: Instant::now() }
    }
}

impl Memory {
    /// What time it is.
    pub(crate) fn now(&self) -> Tick {
        // 0 is what an empty slot says.
        1 + ticks(self.began.elapsed())
    }

    /// Whether a key is remembered.
    pub(crate) fn has(&self, key: impl Hash, now: Tick) -> bool {
        let place = self.place(key);
        place.slots(&self.slots).iter().any(|slot| {
            let value = slot.load(Ordering::Relaxed);
            tag_of(value) == place.tag && time_of(value) > now
        })
    }

    /// Changes until when a key is remembered: `next` is given what is known, and its error changes nothing. Tells whether
    /// it is remembered now.
    pub(crate) fn change<E>(
        &self,
        key: impl Hash,
        now: Tick,
        crowded: Crowded,
        next: impl Fn(Option<Tick>) -> Result<Tick, E>,
    ) -> Result<bool, E> {
        let place = self.place(key);
        for _ in 0..TRIES_MAX {
            let (slot, value) = place.choose(&self.slots, now);
            let is_live = time_of(value) > now;
            let known = (is_live && tag_of(value) == place.tag).then(|| time_of(value));
            let until = next(known)?;
            if is_live && known.is_none() && crowded == Crowded::Refuse {
                return Ok(false);
            }
            let changed = (place.tag << TIME_BITS) | until.min(TIME_MAX);
            let order = Ordering::Relaxed;
            if slot.compare_exchange_weak(value, changed, order, order).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Remembers a key until a time.
    pub(crate) fn keep(&self, key: impl Hash, now: Tick, until: Tick) {
        let kept =
            self.change(key, now, Crowded::Forget, |_| Ok::<_, std::convert::Infallible>(until));
        let Ok(_) = kept;
    }

    /// Remembers a key that is not remembered yet; tells whether it did.
    pub(crate) fn keep_once(&self, key: impl Hash, now: Tick, until: Tick) -> bool {
        let once = |known: Option<Tick>| if known.is_some() { Err(()) } else { Ok(until) };
        self.change(key, now, Crowded::Refuse, once) == Ok(true)
    }

    fn place(&self, key: impl Hash) -> Place {
        let hash = self.seed.hash_one(key);
        let set = usize::try_from(hash % SETS as u64).unwrap_or_default();
        Place { set, tag: hash >> TIME_BITS }
    }
}

/// A time span in ticks.
pub(crate) fn ticks(span: Duration) -> Tick {
    u64::try_from(span.as_micros() / 10).unwrap_or(TIME_MAX)
}

/// Where a key is remembered.
struct Place {
    set: usize,
    tag: u64,
}

impl Place {
    fn slots<'a>(&self, all: &'a [AtomicU64]) -> &'a [AtomicU64] {
        &all[self.set * WAYS..][..WAYS]
    }

    /// The key's own slot, else the one that is over first.
    fn choose<'a>(&self, all: &'a [AtomicU64], now: Tick) -> (&'a AtomicU64, u64) {
        let slots = self.slots(all);
        let mut chosen = (&slots[0], slots[0].load(Ordering::Relaxed));
        for slot in slots {
            let value = slot.load(Ordering::Relaxed);
            if tag_of(value) == self.tag && time_of(value) > now {
                return (slot, value);
            }
            if time_of(value) < time_of(chosen.1) {
                chosen = (slot, value);
            }
        }
        chosen
    }
}

fn tag_of(slot: u64) -> u64 {
    slot >> TIME_BITS
}

fn time_of(slot: u64) -> Tick {
    slot & TIME_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_until_its_time() {
        let memory = Memory::default();
        memory.keep("a", 10, 20);
        for (key, now, has) in
            [("a", 10, true), ("a", 19, true), ("a", 20, false), ("b", 10, false)]
        {
            assert_eq!(memory.has(key, now), has, "{key} at {now}");
        }
        assert!(!memory.keep_once("a", 15, 30), "it is remembered");
        assert!(memory.keep_once("a", 20, 30), "it was forgotten");
        assert!(memory.has("a", 29));
    }

    #[test]
    fn many_keys_fit_and_the_soonest_over_is_forgotten() {
        let memory = Memory::default();
        let count = REMEMBERED_MAX / 4;
        for n in 0..count {
            memory.keep(n, 1, 100);
        }
        let kept = (0..count).filter(|n| memory.has(n, 1)).count();
        assert!(kept > count * 98 / 100, "{kept} of {count}");
        for n in 0..REMEMBERED_MAX * 8 {
            memory.keep(("later", n), 1, 200);
        }
        assert!((0..count).filter(|n| memory.has(n, 1)).count() < count / 20);
    }

    #[test]
    fn a_full_memory_that_forgets_nothing_refuses() {
        let memory = Memory::default();
        let fresh = (0..REMEMBERED_MAX * 4).filter(|n| memory.keep_once(n, 1, 100)).count();
        assert!(fresh <= REMEMBERED_MAX && fresh > REMEMBERED_MAX / 2, "{fresh}");
        let again = (0..REMEMBERED_MAX * 4).filter(|n| memory.keep_once(n, 1, 100)).count();
        assert!(again < REMEMBERED_MAX / 100, "{again} were taken twice");
        assert!((0..100).any(|n| memory.keep_once(n, 100, 200)), "all is over by then");
    }

    #[test]
    fn changes_of_many_threads_are_all_counted() {
        let memory = Memory::default();
        let step = |known: Option<Tick>| Ok::<_, ()>(known.unwrap_or(1_000) + 1);
        let kept = std::thread::scope(|scope| {
            let count = || {
                (0..1_000)
                    .filter(|_| memory.change("a", 1, Crowded::Forget, step) == Ok(true))
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        let last = std::cell::Cell::new(0);
        let look = |known: Option<Tick>| {
            last.set(known.unwrap_or_default());
            Err::<Tick, ()>(())
        };
        let _ = memory.change("a", 1, Crowded::Forget, look);
        assert_eq!(last.get(), 1_000 + kept as u64);
    }
}
