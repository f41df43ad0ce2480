//! Whether a connection has anything under way, and since when not: who has rested longest makes room for others. No lock.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures::task::AtomicWaker;

/// What a seat says whose connection has something under way.
const BUSY: u64 = 0;
/// What it says once it was given to somebody else.
const LOST: u64 = u64::MAX;

/// Tells what came to rest before what, without a clock.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<AtomicU64>);

impl Turns {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The place that an open connection takes. It rests unless a request is under way.
pub(crate) struct Seat {
    turns: Turns,
    /// The turn at which it came to rest, [`BUSY`] or [`LOST`].
    since: AtomicU64,
    /// Whoever waits for the loss.
    waker: AtomicWaker,
}

impl Seat {
    /// That of a connection which nothing was asked on yet.
    pub(crate) fn new(turns: Turns) -> Self {
        let since = AtomicU64::new(turns.next());
        Self { turns, since, waker: AtomicWaker::new() }
    }

    /// Something is under way now.
    pub(crate) fn work(&self) {
        let busy = |since: u64| (since != LOST).then_some(BUSY);
        let _ = self.since.fetch_update(Ordering::AcqRel, Ordering::Acquire, busy);
    }

    /// Nothing is any more.
    pub(crate) fn rest(&self) {
        let turn = self.turns.next();
        let _ = self.since.compare_exchange(BUSY, turn, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Since which turn nothing has been under way.
    pub(crate) fn resting_since(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Acquire);
        (since != BUSY && since != LOST).then_some(since)
    }

    /// Gives the seat to somebody else, if it has rested since that turn.
    pub(crate) fn take(&self, since: u64) -> bool {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let taken = self.since.compare_exchange(since, LOST, order.0, order.1).is_ok();
        if taken {
            self.waker.wake();
        }
        taken
    }

    /// Whether it was given to somebody else.
    pub(crate) fn is_lost(&self) -> bool {
        self.since.load(Ordering::Acquire) == LOST
    }

    /// Resolves once it is lost, for the one task that has the connection.
    pub(crate) async fn lost(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.is_lost() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_rests_loses_the_seat() {
        let seat = Arc::new(Seat::new(Turns::default()));
        let first = seat.resting_since().unwrap();
        seat.work();
        assert!(seat.resting_since().is_none() && !seat.take(first));
        seat.rest();
        let second = seat.resting_since().unwrap();
        assert!(second > first && !seat.take(first), "it has worked meanwhile");
        seat.rest();
        assert_eq!(seat.resting_since(), Some(second), "it rests already");
        let waits = tokio::spawn({
            let seat = seat.clone();
            async move { seat.lost().await }
        });
        tokio::task::yield_now().await;
        assert!(seat.take(second) && !seat.take(second));
        waits.await.unwrap();
        seat.work();
        seat.rest();
        assert!(seat.is_lost(), "nobody gets it back");
    }
}
