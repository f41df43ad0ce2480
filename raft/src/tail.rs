//! The end of the log after a loss of power: what was not synced may be half there, and is cut off before anybody reads
//! on. Anything else that cannot be read is damage to what was synced, and refused: a node must not vote on without what
//! it has promised. `raft-log` cannot tell the two apart: it cuts wherever a record claims to be longer than the file,
//! and refuses a half record before zeros.
//!
//! What is kept of it is written once more. The process before may have ended because a sync failed, and after that Linux
//! takes what never came to the disk for written: a sync would find nothing to do, and this node acknowledge what the next
//! loss of power takes (fsync(2), ERRORS; Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use raft_log::RaftLogRecord;
use raft_log::codeq::Decode;
use tracing::warn;

use crate::RaftError;
use crate::folder::sync_dir;
use crate::wal::Wal;

/// What disks write whole or not at all. What was not written of a longer file are zeros, from where one begins.
const SECTOR_BYTES: usize = 512;
/// The most that a record has before its payload, the payload's length included.
const HEAD_BYTES: usize = 4 + 8 + 8 + 8 + 1 + 4;

/// Cuts what was half written off the log in `dir`, and has the rest on the disk. Blocks.
pub fn mend(dir: &Path) -> Result<(), RaftError> {
    let damaged = |path: &Path, at| RaftError::LogDamaged { path: path.into(), at };
    // Only the newest segment is written to; before it comes to the disk, the one before it may be torn, too.
    let mut may_be_torn = true;
    for path in segments(dir)?.into_iter().rev() {
        let bytes = fs::read(&path).map_err(RaftError::file("read", &path))?;
        let (end, error) = readable(&bytes);
        if let Some(error) = error {
            if !may_be_torn || !is_torn(&bytes[end..], end, &error) {
                return Err(damaged(&path, end));
            }
            warn!(segment = %path.display(), at = end, lost = bytes.len() - end, "a torn end of the log is cut off");
            cut_file(&path, end).map_err(RaftError::file("cut", &path))?;
        }
        if may_be_torn {
            write_again(&path, &bytes[..end]).map_err(RaftError::file("write", &path))?;
        }
        may_be_torn &= end == 0;
    }
    sync_dir(dir).map_err(RaftError::file("sync", dir))
}

/// The files of the log, in order.
fn segments(dir: &Path) -> Result<Vec<PathBuf>, RaftError> {
    let read = || {
        let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|kind| kind == "wal"));
        paths.sort();
        Ok(paths)
    };
    read().map_err(RaftError::file("read", dir))
}

/// How far a segment can be read, and why no further.
fn readable(bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let begin = bytes.len() - rest.len();
        if let Err(error) = RaftLogRecord::<Wal>::decode(&mut rest) {
            return (begin, Some(error));
        }
    }
    (bytes.len(), None)
}

/// Whether `rest`, which begins at `at` in its segment, is what a loss of power leaves of records that were written and
/// not synced: the beginning of them and nothing more, or zeros to the end.
fn is_torn(rest: &[u8], at: usize, error: &io::Error) -> bool {
    let is_record = |from: usize| RaftLogRecord::<Wal>::decode(&rest[from..]).is_ok();
    if (1..rest.len()).any(is_record) || has_turned_bit(rest) {
        return false;
    }
    let last_sector = (at + rest.len() - 1) / SECTOR_BYTES * SECTOR_BYTES;
    let ends_in_zeros = rest[last_sector.saturating_sub(at)..].iter().all(|byte| *byte == 0);
    ends_in_zeros || error.kind() == io::ErrorKind::UnexpectedEof
}

/// Whether a single bit of its head is all that keeps `rest` from being a whole record: a length that leads beyond the end
/// is also what a torn one has.
fn has_turned_bit(rest: &[u8]) -> bool {
    let mut record = rest.to_vec();
    (0..HEAD_BYTES.min(rest.len()) * 8).any(|bit| {
        let (octet, mask) = (bit / 8, 1 << (bit % 8));
        record[octet] ^= mask;
        let is_whole = RaftLogRecord::<Wal>::decode(&mut record.as_slice()).is_ok();
        record[octet] ^= mask;
        is_whole
    })
}

fn cut_file(path: &Path, length: usize) -> io::Result<()> {
    let file = to_write(path)?;
    file.set_len(length as u64)?;
    file.sync_all()
}

/// In its place: it takes no room, and power may be lost at any moment, as every octet is what it was.
fn write_again(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = to_write(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}
