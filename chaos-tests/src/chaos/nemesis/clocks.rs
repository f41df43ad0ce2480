//! Clocks that jump: what a node's process is told of the calendar. Time that is only measured goes on as it does, for no
//! kernel lets it jump.

use crate::GroundError;
use crate::chaos::Field;

/// An hour ahead, in seconds: longer than whatever is renewed, retried or given up after minutes.
pub(super) const AHEAD: i64 = 3600;
/// As much behind.
pub(super) const BEHIND: i64 = -3600;
/// As this machine's clock is.
pub(super) const RIGHT: i64 = 0;

/// Sets the clocks of these nodes so many seconds off.
pub(super) fn set(field: &Field, nodes: &[usize], seconds: i64) -> Result<(), GroundError> {
    nodes.iter().try_for_each(|&node| field.ground.node(node).set_clock(seconds))
}
