//! The places of all open connections, and which of them are to make room for others.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use crate::seat::Seat;

/// How many seats a newcomer has looked at, on average: a search looks at all, and comes the more seldom.
const LOOKS: usize = 256;
/// One part in so many of all connections may be on its way out, beyond those that there may be.
const LEAVING_PART: usize = 16;

/// The seats of all open connections.
#[derive(Default)]
pub(crate) struct Seats {
    all: HashMap<u64, Arc<Seat>>,
    next: u64,
    /// How many were given to others, and their connections are still there.
    leaving: usize,
    /// Those that had rested longest when it was looked last, with the turn since when: the longest last.
    resting: Vec<(u64, u64)>,
    /// How many newcomers must come before it is looked again.
    patience: usize,
}

impl Seats {
    /// Whether there are `most`, but for those on their way out.
    pub(crate) fn are_taken(&self, most: usize) -> bool {
        self.all.len() - self.leaving >= most
    }

    /// Takes a seat.
    pub(crate) fn add(&mut self, seat: Arc<Seat>) -> u64 {
        self.next += 1;
        self.all.insert(self.next, seat);
        self.next
    }

    /// The connection is gone.
    pub(crate) fn remove(&mut self, id: u64) {
        if self.all.remove(&id).is_some_and(|seat| seat.is_lost()) {
            self.leaving -= 1;
        }
    }

    /// Has the connection leave that has rested longest; false where none does, or too many are leaving of the `most` that
    /// there may be.
    pub(crate) fn make_room(&mut self, most: usize) -> bool {
        self.patience = self.patience.saturating_sub(1);
        let taken = self.leaving < most.div_ceil(LEAVING_PART)
            && (self.take_longest() || (self.search() && self.take_longest()));
        self.leaving += usize::from(taken);
        taken
    }

    /// Takes the seat of the first that still rests of those which were found.
    fn take_longest(&mut self) -> bool {
        while let Some((since, id)) = self.resting.pop() {
            if self.all.get(&id).is_some_and(|seat| seat.take(since)) {
                return true;
            }
        }
        false
    }

    /// Finds those that have rested longest, unless it was looked just before; false where it was, or there are none.
    fn search(&mut self) -> bool {
        if self.patience > 0 {
            return false;
        }
        let most = self.all.len() / LOOKS + 1;
        self.patience = most;
        let mut longest = BinaryHeap::with_capacity(most + 1);
        for (id, seat) in &self.all {
            if let Some(since) = seat.resting_since() {
                longest.push((since, *id));
                if longest.len() > most {
                    longest.pop();
                }
            }
        }
        self.resting = longest.into_sorted_vec();
        self.resting.reverse();
        !self.resting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seat::Turns;

    fn seats(count: usize) -> (Seats, Vec<Arc<Seat>>) {
        let (mut seats, turns) = (Seats::default(), Turns::default());
        let all: Vec<_> = (0..count).map(|_| Arc::new(Seat::new(turns.clone()))).collect();
        for seat in &all {
            seats.add(seat.clone());
        }
        (seats, all)
    }

    #[test]
    fn those_that_rest_leave_in_order_and_the_busy_stay() {
        let (mut seats, all) = seats(4 * LOOKS);
        let most = all.len();
        all[1].work();
        let mut left = Vec::new();
        for _ in 0..9 {
            assert!(seats.make_room(most));
            let is_new = |n: &usize| all[*n].is_lost() && !left.contains(n);
            left.extend((0..all.len()).find(is_new));
        }
        assert_eq!(left, [0, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn only_a_part_is_on_its_way_out() {
        let (mut seats, all) = seats(LEAVING_PART * 2);
        let most = all.len();
        assert!(seats.make_room(most) && seats.make_room(most) && !seats.make_room(most));
        assert!(!seats.are_taken(most));
        seats.remove(1);
        assert!(seats.make_room(most));
    }

    #[test]
    fn a_search_in_vain_is_not_repeated_at_once() {
        let (mut seats, all) = seats(4 * LOOKS);
        all.iter().for_each(|seat| seat.work());
        assert!(!seats.make_room(all.len()));
        all.iter().for_each(|seat| seat.rest());
        let refused = (0..99).take_while(|_| !seats.make_room(all.len())).count();
        assert_eq!(refused, 4);
    }
}
