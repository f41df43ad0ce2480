//! A snapshot: the whole content in octets that are either good or refused.
//!
//! It is `TEMPSNAP`, the format, a JSON header with its length, the rows with their lengths, and the CRC-32C of all
//! that. Numbers are little-endian.

use std::io;

use serde::{Deserialize, Serialize};
use temps_state::RowError;

use crate::content::{Content, Position};

const MAGIC: &[u8; 8] = b"TEMPSNAP";
const FORMAT: u32 = 1;
const CHECKSUM_BYTES: usize = 4;

#[derive(Serialize, Deserialize)]
struct Header {
    position: Position,
    rows: u64,
}

/// Why bytes are not a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("it is not a snapshot")]
    Magic,
    #[error("its checksum does not match: it is torn or damaged")]
    Checksum,
    #[error("it has format {0}, which this version does not know")]
    Format(u32),
    #[error("it ends too early")]
    Short,
    #[error("its header cannot be read")]
    Header(#[from] serde_json::Error),
    #[error("one of its rows cannot be read")]
    Row(#[from] RowError),
    #[error("it cannot be read")]
    File(#[from] io::Error),
}

/// Writes a content as a snapshot.
pub fn encode(content: &Content) -> Vec<u8> {
    let rows = content.state.rows();
    let header = Header { position: content.position.clone(), rows: rows.len() as u64 };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    put(&mut bytes, &serde_json::to_vec(&header).expect("a header is plain JSON"));
    for row in rows {
        put(&mut bytes, row.key.as_bytes());
        put(&mut bytes, &row.value.unwrap_or_default());
    }
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Reads a content back, if every byte is as it was written.
pub fn decode(bytes: &[u8]) -> Result<Content, SnapshotError> {
    let mut rest = check(bytes)?;
    match take_number(&mut rest)? {
        FORMAT => {}
        other => return Err(SnapshotError::Format(other)),
    }
    let header: Header = serde_json::from_slice(take(&mut rest)?)?;
    let mut content = Content { position: header.position, ..Content::default() };
    for _ in 0..header.rows {
        let key = take(&mut rest)?;
        let key = str::from_utf8(key).map_err(|_| SnapshotError::Short)?;
        content.state.restore(key, take(&mut rest)?)?;
    }
    Ok(content)
}

/// What is between the magic and the checksum, if every byte is as it was written.
pub fn check(bytes: &[u8]) -> Result<&[u8], SnapshotError> {
    let (body, checksum) = bytes.split_last_chunk().ok_or(SnapshotError::Short)?;
    let rest = body.strip_prefix(MAGIC).ok_or(SnapshotError::Magic)?;
    match crc32c::crc32c(body) == u32::from_le_bytes(*checksum) {
        true => Ok(rest),
        false => Err(SnapshotError::Checksum),
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("rows are bounded by the length of a log entry");
    bytes.extend(length.to_le_bytes());
    bytes.extend(part);
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], SnapshotError> {
    let length = take_number(rest)? as usize;
    let (part, after) = rest.split_at_checked(length).ok_or(SnapshotError::Short)?;
    *rest = after;
    Ok(part)
}

fn take_number(rest: &mut &[u8]) -> Result<u32, SnapshotError> {
    let (number, after) = rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or(SnapshotError::Short)?;
    *rest = after;
    Ok(u32::from_le_bytes(*number))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use temps_state::{BuildSettings, Settings};

    pub fn content(index: u64) -> Content {
        let leader_id = crate::types::LeaderId { term: 1, node_id: 1 };
        let mut content = Content::default();
        content.position.applied = Some(crate::types::LogId { leader_id, index });
        let build = BuildSettings::default();
        content.state.settings.insert(0, Settings { build, ..Settings::default() });
        content
    }

    #[test]
    fn a_snapshot_reads_back_what_was_written() {
        let content = content(5);
        assert_eq!(decode(&encode(&content)).unwrap(), content);
    }

    #[test]
    fn any_damage_is_noticed() {
        let good = encode(&content(5));
        for length in 0..good.len() {
            assert!(decode(&good[..length]).is_err(), "cut at {length}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(decode(&bad).is_err(), "bit turned at {at}");
        }
    }
}
