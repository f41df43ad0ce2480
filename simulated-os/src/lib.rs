//! What a simulated process takes from its system: the clock, random numbers, and syncs to the disk.
//!
//! A program that is linked with this crate calls it instead of libc's `clock_gettime`, `getrandom`, `fsync`,
//! `fdatasync` and `unlink`, whoever calls them. They do as ever until [`begin`]. From then on the thread that began sees a clock that
//! stands still until it is told to go on, and random numbers of a seed; a sync of any thread is noted, not done, and
//! what it removes can be had back.
//! For tests only: no product is linked with it.

mod libc_calls;
mod syncs;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use syncs::{Listing, Synced, take_syncs};

/// When simulated time begins, in seconds since 1970: 2026-01-01.
const BEGINNING: u64 = 1_767_225_600;

static ON: AtomicBool = AtomicBool::new(false);
static ELAPSED_NANOS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Where the random numbers of this thread stand, if it is simulated.
    static RANDOM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on this process is simulated, and so is this thread. Threads see random numbers that were drawn before they
/// are, so it should be new. Files that are removed go to a folder, each named by its number.
pub fn begin(seed: u64, removed: PathBuf) {
    syncs::keep_removed(removed);
    RANDOM.set(Some(seed));
    ON.store(true, Ordering::SeqCst);
}

/// Says how much time has passed since the beginning.
pub fn set_elapsed(elapsed: Duration) {
    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    ELAPSED_NANOS.store(nanos, Ordering::SeqCst);
}

fn is_on() -> bool {
    ON.load(Ordering::SeqCst)
}

/// What the clock says to this thread: since 1970, as a monotonic clock may, too. `None` where it is the system's.
fn now() -> Option<Duration> {
    let simulated = RANDOM.try_with(Cell::get).ok().flatten().is_some();
    let elapsed = Duration::from_nanos(ELAPSED_NANOS.load(Ordering::SeqCst));
    simulated.then(|| Duration::from_secs(BEGINNING) + elapsed)
}

/// Fills in random numbers of the seed; `false` where they should be the system's.
fn fill(octets: &mut [u8]) -> bool {
    let Some(mut at) = RANDOM.try_with(Cell::get).ok().flatten() else { return false };
    for part in octets.chunks_mut(8) {
        at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
        part.copy_from_slice(&mix(at).to_le_bytes()[..part.len()]);
    }
    RANDOM.set(Some(at));
    true
}

/// SplitMix64.
fn mix(at: u64) -> u64 {
    let at = (at ^ (at >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let at = (at ^ (at >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    at ^ (at >> 31)
}
