//! What a disk is told, in words over a socket: one line to it, one back.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// How long a disk may take to do what it is told.
const ORDER_LIMIT: Duration = Duration::from_secs(30);
/// How a disk says that it has done it; anything else is why not.
pub(super) const DONE: &str = "done";

/// What a disk is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Fail the next sync, and no other.
    FailSyncOnce,
    /// Fail every sync.
    FailSyncs,
    /// Let whoever syncs a snapshot that is being written wait, until told anything that changes something.
    StallSnapshots,
    /// Have no room for anything that grows.
    Full,
    /// Work again.
    Heal,
    /// Tell how often it has failed or stalled as it was told, since it was last told anything else.
    Count,
    /// Lose power: whatever was not synced is gone. Nobody may have a file open.
    Lose,
    /// Lose power while the last write to each file was under way: of that a part is left, of which the number says how
    /// much, and of all before it everything.
    Tear(u64),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailSyncOnce => f.write_str("fail-sync-once"),
            Self::FailSyncs => f.write_str("fail-syncs"),
            Self::StallSnapshots => f.write_str("stall-snapshots"),
            Self::Full => f.write_str("full"),
            Self::Heal => f.write_str("heal"),
            Self::Count => f.write_str("count"),
            Self::Lose => f.write_str("lose"),
            Self::Tear(number) => write!(f, "tear {number}"),
        }
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "fail-sync-once" => Self::FailSyncOnce,
            "fail-syncs" => Self::FailSyncs,
            "stall-snapshots" => Self::StallSnapshots,
            "full" => Self::Full,
            "heal" => Self::Heal,
            "count" => Self::Count,
            "lose" => Self::Lose,
            _ => {
                let number = text.strip_prefix("tear ").and_then(|number| number.parse().ok());
                Self::Tear(number.ok_or_else(|| format!("no disk understands `{text}`"))?)
            }
        })
    }
}

/// Has the disk with this socket do something, and returns how often it failed or how much it took back.
///
/// # Errors
/// When it does not.
pub fn tell(socket: &Path, order: Order) -> io::Result<u64> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ORDER_LIMIT))?;
    writeln!(stream, "{order}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let done = answer.trim().strip_prefix(DONE).and_then(|count| count.trim().parse().ok());
    done.ok_or_else(|| io::Error::other(format!("{order}: {}", answer.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_understood() {
        use Order::{Count, FailSyncOnce, FailSyncs, Full, Heal, Lose, StallSnapshots, Tear};
        for order in [FailSyncOnce, FailSyncs, StallSnapshots, Full, Heal, Count, Lose, Tear(7)] {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert!("tear".parse::<Order>().is_err());
    }
}
