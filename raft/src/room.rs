//! Room on the disk. A log that cannot grow stops its node, so that changes are refused before it comes to that.

use std::io;
use std::path::Path;

use temps_state::Actor;

use crate::ProposeError;

/// What must be free on the data folder's disk for people's changes. Octets.
pub const ROOM_FOR_CHANGES_BYTES: u64 = 16 << 20;
/// What must be free for what nodes tell of themselves: less, so that a full disk can still be reported. Octets.
pub const ROOM_FOR_REPORTS_BYTES: u64 = 4 << 20;

/// Refuses a change by `actor` while the disk has too little room for it.
pub fn ensure_room(data_dir: &Path, actor: &Actor) -> Result<(), ProposeError> {
    let needed = match actor {
        Actor::Node { .. } => ROOM_FOR_REPORTS_BYTES,
        _ => ROOM_FOR_CHANGES_BYTES,
    };
    match free(data_dir) {
        Some(free) if free < needed => Err(ProposeError::DiskFull { free, needed }),
        _ => Ok(()),
    }
}

/// Whether so many octets are free on the disk that `dir` is on.
pub fn has_room(dir: &Path, needed: u64) -> bool {
    free(dir).is_none_or(|free| free >= needed)
}

/// Whether an error says that the disk is full, or a quota used up.
pub fn lacks_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A disk that does not say how full it is, is written to.
fn free(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
