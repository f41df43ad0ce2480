//! What the state machine holds: the state, and how far it has come. Pure: no disk, no clock.

use jiff::Timestamp;
use openraft::EntryPayload;
use serde::{Deserialize, Serialize};
use temps_state::{Reply, Row, RowError, State};

use crate::planted::{self, Bug};
use crate::types::{Answer, LogEntry, LogId, Payload, SnapshotMeta, StoredMembership};

/// How far the log was applied, with what belongs to the machine but not to the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The last applied entry.
    pub applied: Option<LogId>,
    /// The last applied membership.
    pub membership: StoredMembership,
    /// The latest time that any entry carried.
    pub at: Timestamp,
}

impl Default for Position {
    fn default() -> Self {
        Self { applied: None, membership: StoredMembership::default(), at: Timestamp::UNIX_EPOCH }
    }
}

impl Position {
    /// The index of the last applied entry; 0 before the first.
    pub fn index(&self) -> u64 {
        self.applied.map_or(0, |id| id.index)
    }

    /// The position as openraft names a snapshot.
    pub fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }
}

/// Why an entry cannot be applied. Whoever passed it over would have another state than everybody else.
#[derive(Debug, thiserror::Error)]
#[error(
    "log entry {index} cannot be read by this version of Temps ({source}): start the version that \
     the other nodes run; nothing is lost"
)]
pub struct Unreadable {
    index: u64,
    #[source]
    source: RowError,
}

/// The state and its position.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// How far the log was applied.
    pub position: Position,
    /// The state.
    pub state: State,
}

impl Content {
    /// Applies one entry. One that cannot be read is not passed over: the node must stop.
    pub fn apply(&mut self, entry: LogEntry) -> Result<Answer, Unreadable> {
        let answer = match entry.payload {
            EntryPayload::Blank => Ok(Reply::Done),
            EntryPayload::Normal(payload) => self.apply_command(entry.log_id.index, &payload)?,
            EntryPayload::Membership(membership) => {
                self.position.membership = StoredMembership::new(Some(entry.log_id), membership);
                Ok(Reply::Done)
            }
        };
        self.position.applied = Some(entry.log_id);
        Ok(answer)
    }

    /// Entries may reach the log in another order than they were stamped in, and clocks differ: here time stands
    /// still rather than go back.
    fn apply_command(&mut self, index: u64, payload: &Payload) -> Result<Answer, Unreadable> {
        let mut entry = payload.entry().map_err(|source| Unreadable { index, source })?;
        if planted::is(Bug::LocalTimeApplied) {
            entry.at = Timestamp::now();
        }
        if planted::is(Bug::RequestRepeated) {
            entry.request = None;
        }
        entry.at = entry.at.max(self.position.at);
        self.position.at = entry.at;
        Ok(self.state.apply(index, entry))
    }
}

/// Tells whether rows read back are the rows that were written: their number, and the sum of their checksums, which
/// does not depend on their order and can be kept up row by row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    rows: u64,
    sum: u64,
}

impl Tally {
    /// Counts a row in.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(checksum(key, value));
    }

    /// Counts a row out.
    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(checksum(key, value));
    }

    /// The tally of all rows of a state.
    pub fn of(rows: &[Row]) -> Self {
        let mut tally = Self::default();
        for row in rows {
            tally.add(row.key.as_bytes(), row.value.as_deref().unwrap_or_default());
        }
        tally
    }
}

fn checksum(key: &[u8], value: &[u8]) -> u64 {
    let key = crc32c::crc32c(key);
    u64::from(key) << 32 | u64::from(crc32c::crc32c_append(key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LeaderId;
    use temps_state::{Actor, Command, Entry, FORMAT, NodeId, Settings};

    fn entry(index: u64, payload: Payload) -> LogEntry {
        let leader_id = LeaderId { term: 1, node_id: 1 };
        LogEntry { log_id: LogId { leader_id, index }, payload: EntryPayload::Normal(payload) }
    }

    fn command(at: i64) -> Payload {
        Payload::of(&Entry {
            at: Timestamp::from_second(at).unwrap(),
            actor: Actor::Node { id: NodeId(1) },
            from: None,
            request: None,
            condition: None,
            command: Command::ChangeSettings { settings: Settings::default() },
        })
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_not_passed_over() {
        let mut newer = command(100).0.to_vec();
        newer[0] = FORMAT + 1;
        let unknown = br#"\x01{"command":{"type":"of_a_later_version"}}"#;
        for octets in [newer, unknown.to_vec(), vec![]] {
            let mut content = Content::default();
            let refused = content.apply(entry(7, Payload(octets.into()))).unwrap_err().to_string();
            assert!(refused.starts_with("log entry 7 cannot be read"), "{refused}");
            assert_eq!(content, Content::default());
        }
    }

    #[test]
    fn time_in_the_state_never_goes_back() {
        let mut content = Content::default();
        for (index, at) in [(1, 100), (2, 50)] {
            content.apply(entry(index, command(at))).unwrap().unwrap();
        }
        let times: Vec<i64> = content.state.audit.values().map(|r| r.at.as_second()).collect();
        assert_eq!(times, [100, 100]);
    }

    #[test]
    fn a_tally_depends_on_the_rows_and_not_on_their_order() {
        let (mut one, mut two) = (Tally::default(), Tally::default());
        one.add(b"a", b"1");
        one.add(b"b", b"2");
        two.add(b"b", b"2");
        two.add(b"c", b"3");
        two.add(b"a", b"1");
        assert_ne!(one, two);
        two.remove(b"c", b"3");
        assert_eq!(one, two);
        two.remove(b"a", b"1");
        two.add(b"a", b"2");
        assert_ne!(one, two);
    }
}
