//! Bugs that are planted to see whether the simulation finds them. The product has none of them: there, [`is`] is `false`
//! whatever is asked.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))]
pub enum Bug {
    /// A vote is given before it is on the disk.
    VoteNotSynced,
    /// A vote is given and never written.
    VoteNotWritten,
    /// Entries are acknowledged before they are on the disk.
    AppendNotSynced,
    /// A snapshot counts as written before it is on the disk.
    SnapshotNotSynced,
    /// A read is answered with what is applied here.
    ReadWithoutIndex,
    /// A leader answers a read without asking whether it leads still.
    ReadOfAFormerLeader,
    /// After a restart nobody knows what was purged of the log.
    PurgedForgotten,
    /// A snapshot that is installed leaves a part of the rows behind.
    SnapshotHalfInstalled,
    /// A snapshot that is installed leaves the members as they were.
    SnapshotWithoutMembers,
    /// A snapshot is installed with the state and not with the file that the log begins with from then on.
    SnapshotNotKept,
    /// A request that is repeated takes effect again.
    RequestRepeated,
    /// A node that lost its log votes on under its id.
    NodeIdReused,
    /// An entry is applied with the time of whoever applies it.
    LocalTimeApplied,
    /// The first entry that is applied after a restart is passed over.
    EntryLostAtRestart,
    /// A write is acknowledged when it is in the leader's log.
    WriteWithoutQuorum,
}

/// Whether a bug is in this build.
#[cfg(not(test))]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(test)]
pub use tests::is;

#[cfg(test)]
pub mod tests {
    use std::sync::OnceLock;

    use super::Bug;

    /// Names the bug that a process has.
    pub const VARIABLE: &str = "TEMPS_PLANTED";

    /// All of them.
    pub const ALL: [Bug; 15] = [
        Bug::VoteNotSynced,
        Bug::VoteNotWritten,
        Bug::AppendNotSynced,
        Bug::SnapshotNotSynced,
        Bug::ReadWithoutIndex,
        Bug::ReadOfAFormerLeader,
        Bug::PurgedForgotten,
        Bug::SnapshotHalfInstalled,
        Bug::SnapshotWithoutMembers,
        Bug::SnapshotNotKept,
        Bug::RequestRepeated,
        Bug::NodeIdReused,
        Bug::LocalTimeApplied,
        Bug::EntryLostAtRestart,
        Bug::WriteWithoutQuorum,
    ];

    /// Whether this process has a bug.
    pub fn is(bug: Bug) -> bool {
        static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();
        let planted = PLANTED.get_or_init(|| std::env::var(VARIABLE).ok().map(|name| of(&name)));
        *planted == Some(bug)
    }

    fn of(name: &str) -> Bug {
        let known = ALL.into_iter().find(|bug| format!("{bug:?}") == name);
        known.unwrap_or_else(|| panic!("{VARIABLE}={name} is no bug"))
    }
}
