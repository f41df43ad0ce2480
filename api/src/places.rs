//! Places of which there are so many: whoever holds some leaves others to everybody else.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One has no more than one part in so many of all places, and as many are kept for those who are nobody in particular.
const PARTS: usize = 4;

/// Places that are taken and given back.
#[derive(Debug)]
pub(crate) struct Places<K> {
    all: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    of: HashMap<K, usize>,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    whose: Option<K>,
}

impl<K: Clone + Eq + Hash> Places<K> {
    /// So many.
    pub fn new(all: usize) -> Arc<Self> {
        let taken = Taken { all: 0, of: HashMap::new() };
        Arc::new(Self { all, taken: Mutex::new(taken) })
    }

    /// A place, if there is one left for `whose`. Those of nobody in particular, who may be many, have no share: they get
    /// any that is left.
    pub fn take(self: &Arc<Self>, whose: Option<K>) -> Option<Place<K>> {
        let mut taken = self.taken();
        match &whose {
            None if taken.all >= self.all => return None,
            Some(_) if taken.all >= self.all - self.all / PARTS => return None,
            Some(whose) if taken.of(whose) >= self.all.div_ceil(PARTS) => return None,
            _ => {}
        }
        taken.all += 1;
        if let Some(whose) = &whose {
            *taken.of.entry(whose.clone()).or_default() += 1;
        }
        drop(taken);
        Some(Place { places: Arc::clone(self), whose })
    }
}

impl<K> Places<K> {
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Taken<K> {
    fn of(&self, whose: &K) -> usize {
        self.of.get(whose).copied().unwrap_or(0)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let Some(whose) = &self.whose else { return };
        match taken.of.get_mut(whose) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.of.remove(whose)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(places: &Arc<Places<u8>>, whose: Option<u8>) -> Vec<Place<u8>> {
        std::iter::from_fn(|| places.take(whose)).collect()
    }

    #[test]
    fn one_has_a_part_and_the_last_part_is_kept() {
        let places = Places::new(8);
        let held: Vec<_> = (1..=9).map(|one| taken(&places, Some(one))).collect();
        let each: Vec<_> = held.iter().map(Vec::len).collect();
        assert_eq!(each, [2, 2, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(taken(&places, None).len(), 2);
        drop(held);
        assert_eq!(taken(&places, None).len(), 8);
        assert!(places.taken().of.is_empty(), "nobody is remembered for nothing");
        assert_eq!(taken(&places, Some(1)).len(), 2, "all were given back");
    }

    #[test]
    fn few_places_are_places_still() {
        let places = Places::new(1);
        let held = places.take(Some(1));
        assert!(held.is_some() && places.take(None).is_none());
        drop(held);
        assert!(places.take(None).is_some());
    }
}
