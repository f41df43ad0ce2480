//! Fresh ids: the clock and 80 random bits.

use std::time::{SystemTime, UNIX_EPOCH};

use temps_state::Id;

/// Makes a new id; ids made later sort later, as far as the clocks of the nodes agree.
pub fn fresh_id<I: Id>() -> I {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    I::from_parts(at_ms, rand::random())
}
