//! Whether a fault did anything while it was there: one that did not, proves nothing about those who lived with it.

use std::time::Duration;

use super::{clocks, disks};
use crate::chaos::Field;
use crate::history::FaultKind;
use crate::{Authority, GroundError};

/// By how much a calendar has to be off that was set off by twice as much.
const OFF_MIN: Duration = Duration::from_secs(clocks::AHEAD.unsigned_abs() / 2);

/// Asks, before a fault is undone, whether it did what it is there for. Faults that are not asked about here cannot be made
/// without an effect, or were asked when they were made.
///
/// # Errors
/// [`GroundError::NoEffect`] when it did not, and others when nobody can say.
pub(crate) async fn prove(
    field: &Field,
    kind: FaultKind,
    nodes: &[usize],
) -> Result<(), GroundError> {
    let ground = &field.ground;
    match kind {
        FaultKind::Halves
        | FaultKind::LeaderAlone
        | FaultKind::Ring
        | FaultKind::OneWay
        | FaultKind::ClientSide
        | FaultKind::ReplaceCutOff => some(ground.lost_packets().await?, "no packet was lost"),
        FaultKind::Loss => some(ground.shaken("lost").await?, "no packet was lost"),
        FaultKind::Delay => some(ground.shaken("late").await?, "no packet was late"),
        FaultKind::Duplication => some(ground.shaken("doubled").await?, "no packet came twice"),
        FaultKind::Reorder => some(ground.shaken("held").await?, "no packet was overtaken"),
        FaultKind::AuthorityAway | FaultKind::AuthorityHangs | FaultKind::AuthorityFails => {
            let asked = ground.asked(Authority::DIRECTORY_PORT).await?;
            some(asked, "nobody asked the authority for anything")
        }
        FaultKind::ClockAhead | FaultKind::ClockBehind => off(field, nodes).await,
        FaultKind::DiskFull => {
            let refused = disks::failed(field, nodes).await?;
            some(refused, "nobody needed room")
        }
        _ => Ok(()),
    }
}

/// More than none.
pub(super) fn some(count: u64, otherwise: &str) -> Result<(), GroundError> {
    if count > 0 { Ok(()) } else { Err(GroundError::NoEffect(otherwise.into())) }
}

/// Whether the calendars of these nodes are another one than this process's.
async fn off(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        let off = field.ground.node(node).clock_error().await?;
        if off < OFF_MIN {
            return Err(GroundError::NoEffect(format!("n{node}'s clock is off by {off:?}")));
        }
    }
    Ok(())
}
