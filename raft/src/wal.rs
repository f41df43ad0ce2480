//! How votes, log ids and entries are written into the log's segments.

use std::io::{self, Read, Write};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::storage::IOFlushed;
use raft_log::codeq::{Decode, Encode};
use tokio::sync::oneshot;

use crate::types::{LeaderId, LogEntry, LogId, LogPayload, Payload, TypeConfig, Vote};

/// The longest payload a record may claim; anything longer is damage.
const PAYLOAD_BYTES_MAX: u32 = 16 * 1024 * 1024;

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The types that `raft-log` is used with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wal;

impl raft_log::Types for Wal {
    type LogId = WalLogId;
    type LogPayload = WalPayload;
    type Vote = WalVote;
    type Callback = OnFlush;
    type UserData = ();

    fn log_index(id: &WalLogId) -> u64 {
        id.index
    }

    fn payload_size(payload: &WalPayload) -> u64 {
        match &payload.0 {
            EntryPayload::Normal(payload) => payload.0.len() as u64,
            EntryPayload::Blank | EntryPayload::Membership(_) => 64,
        }
    }
}

/// Whom to tell that everything written so far is on disk.
pub enum OnFlush {
    /// openraft, about an append.
    Appended(IOFlushed<TypeConfig>),
    /// Somebody who waits.
    Waiting(oneshot::Sender<io::Result<()>>),
}

impl raft_log::Callback for OnFlush {
    fn send(self, result: io::Result<()>) {
        #[cfg(test)]
        let Some((this, result)) = crate::simulation::hold(self, result) else { return };
        #[cfg(not(test))]
        let this = self;
        this.tell(result);
    }
}

impl OnFlush {
    /// Tells whoever waits.
    pub fn tell(self, result: io::Result<()>) {
        match self {
            Self::Appended(callback) => callback.io_completed(result),
            Self::Waiting(sender) => {
                // Whoever waited has gone: there is nobody left to tell.
                let _ = sender.send(result);
            }
        }
    }
}

/// A log id as written: leader's term and node, then index. Sorts like openraft's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalLogId {
    term: u64,
    node: u64,
    index: u64,
}

impl From<LogId> for WalLogId {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<WalLogId> for LogId {
    fn from(id: WalLogId) -> Self {
        let leader_id = LeaderId { term: id.term, node_id: id.node };
        Self { leader_id, index: id.index }
    }
}

impl Encode for WalLogId {
    fn encode<W: Write>(&self, mut w: W) -> io::Result<usize> {
        Ok(self.term.encode(&mut w)? + self.node.encode(&mut w)? + self.index.encode(&mut w)?)
    }
}

impl Decode for WalLogId {
    fn decode<R: Read>(mut r: R) -> io::Result<Self> {
        let (term, node) = (u64::decode(&mut r)?, u64::decode(&mut r)?);
        Ok(Self { term, node, index: u64::decode(&mut r)? })
    }
}

/// A vote as written. Sorts like openraft's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub struct WalVote {
    term: u64,
    node: u64,
    committed: bool,
}

impl From<Vote> for WalVote {
    fn from(vote: Vote) -> Self {
        let Vote { leader_id, committed } = vote;
        Self { term: leader_id.term, node: leader_id.node_id, committed }
    }
}

impl From<WalVote> for Vote {
    fn from(vote: WalVote) -> Self {
        let leader_id = LeaderId { term: vote.term, node_id: vote.node };
        Self { leader_id, committed: vote.committed }
    }
}

impl Encode for WalVote {
    fn encode<W: Write>(&self, mut w: W) -> io::Result<usize> {
        let committed = u8::from(self.committed);
        Ok(self.term.encode(&mut w)? + self.node.encode(&mut w)? + committed.encode(&mut w)?)
    }
}

impl Decode for WalVote {
    fn decode<R: Read>(mut r: R) -> io::Result<Self> {
        let (term, node) = (u64::decode(&mut r)?, u64::decode(&mut r)?);
        Ok(Self { term, node, committed: u8::decode(&mut r)? != 0 })
    }
}

/// An entry's payload as written: what kind it is, its length, its bytes.
#[derive(Debug, Clone)]
pub struct WalPayload(LogPayload);

impl Encode for WalPayload {
    fn encode<W: Write>(&self, mut w: W) -> io::Result<usize> {
        let (kind, bytes) = match &self.0 {
            EntryPayload::Blank => (BLANK, Bytes::new()),
            EntryPayload::Normal(payload) => (NORMAL, payload.0.clone()),
            EntryPayload::Membership(membership) => {
                (MEMBERSHIP, serde_json::to_vec(membership)?.into())
            }
        };
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        w.write_all(&[kind])?;
        w.write_all(&length.to_be_bytes())?;
        w.write_all(&bytes)?;
        Ok(1 + 4 + bytes.len())
    }
}

impl Decode for WalPayload {
    fn decode<R: Read>(mut r: R) -> io::Result<Self> {
        let (kind, length) = (u8::decode(&mut r)?, u32::decode(&mut r)?);
        if length > PAYLOAD_BYTES_MAX {
            return Err(damaged("a payload longer than any entry"));
        }
        let mut bytes = vec![0; length as usize];
        r.read_exact(&mut bytes)?;
        Ok(Self(match kind {
            BLANK => EntryPayload::Blank,
            NORMAL => EntryPayload::Normal(Payload(bytes.into())),
            MEMBERSHIP => EntryPayload::Membership(
                serde_json::from_slice(&bytes).map_err(|_| damaged("a membership"))?,
            ),
            _ => return Err(damaged("a payload of no known kind")),
        }))
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log has {what} that cannot be read"))
}

/// An entry as `raft-log` takes it.
pub fn from_entry(entry: LogEntry) -> (WalLogId, WalPayload) {
    (entry.log_id.into(), WalPayload(entry.payload))
}

/// An entry as openraft takes it.
pub fn to_entry((id, payload): (WalLogId, WalPayload)) -> LogEntry {
    LogEntry { log_id: id.into(), payload: payload.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: Encode + Decode>(value: &T) -> T {
        let mut bytes = Vec::new();
        let written = value.encode(&mut bytes).unwrap();
        assert_eq!(written, bytes.len());
        T::decode(&bytes[..]).unwrap()
    }

    #[test]
    fn records_read_back_what_was_written() {
        let id = WalLogId { term: 3, node: 1, index: 9 };
        assert_eq!(round_trip(&id), id);
        let vote = WalVote { term: 3, node: 1, committed: true };
        assert_eq!(round_trip(&vote), vote);
        let normal = WalPayload(EntryPayload::Normal(Payload(Bytes::from_static(b"abc"))));
        assert_eq!(round_trip(&normal).0, normal.0);
        assert_eq!(round_trip(&WalPayload(EntryPayload::Blank)).0, EntryPayload::Blank);
    }

    #[test]
    fn a_record_that_claims_too_much_is_damage() {
        let mut bytes = vec![NORMAL];
        bytes.extend(u32::MAX.to_be_bytes());
        assert!(WalPayload::decode(&bytes[..]).is_err());
        assert!(WalPayload::decode(&[9, 0, 0, 0, 0][..]).is_err());
    }

    #[test]
    fn a_vote_of_a_later_term_sorts_later_whoever_got_it() {
        let old = WalVote { term: 1, node: 9, committed: true };
        let new = WalVote { term: 2, node: 1, committed: false };
        assert!(old < new);
    }
}
